"""`swc decode`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import STREAM_SUFFIXES, Conversion
from ..batch.processes import DECODING_COST
from ..errors import UsageError
from .batch_options import BatchOptions, batch_options
from .errors import Invocation
from .formatting import format_channel_coding, format_duration, format_size, format_speed
from .jobs import CodecSource, Task, damage_warnings, run_jobs
from .options import Command, output_option, parse_time, phase_iterations_option, preserve_time_option
from .progress import JobReport

if TYPE_CHECKING:
    from ..batch.decode_job import DecodeRequest, DecodeResult, FileDecoder

EXAMPLES = (
    ("swc decode talk.swc", "Writes talk.wav, with samples of 16 bits."),
    ("swc decode talk.swc talk.flac --subtype PCM_24", "Writes FLAC with samples of 24 bits."),
    (
        "swc decode archive/ -o restored/ --format ogg",
        "Decodes a folder tree; files that are up to date are skipped.",
    ),
    (
        "swc decode talk.swc - --start 1:30 --duration 10 | aplay",
        "Decodes ten seconds to a pipe; only the packets needed are read.",
    ),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Decode .swc files.")
@click.argument(
    "inputs",
    metavar="IN.swc... [OUT|DIR]",
    nargs=-1,
    type=click.Path(allow_dash=True, readable=False),
)
@output_option
@click.option(
    "--format",
    "format_",
    metavar="SUFFIX",
    help="Format of outputs without a name: wav, flac, ogg, ...  [default: wav]",
)
@click.option(
    "--subtype",
    metavar="CODING",
    help="Coding of samples: PCM_16, PCM_24, FLOAT, VORBIS, ...  [default: by format]",
)
@click.option(
    "--rate",
    type=int,
    metavar="HZ",
    help="Sample rate of the output.  [default: that of the original]",
)
@click.option(
    "--raw", is_flag=True, help="Write samples without a header, 16 bits unless --subtype is given."
)
@click.option(
    "--start",
    type=parse_time,
    metavar="TIME",
    default="0",
    help="Start position, as seconds, MM:SS or HH:MM:SS.",
)
@click.option("--duration", type=parse_time, metavar="TIME", help="Duration to decode.  [default: all]")
@click.option(
    "--conceal",
    is_flag=True,
    help="Replace damaged windows by silence with fades instead of failing.",
)
@click.option("--no-tags", is_flag=True, help="Do not write the tags of the stream into the output.")
@preserve_time_option
@phase_iterations_option
@batch_options
@click.pass_obj
def decode(
    invocation: Invocation,
    /,
    inputs: tuple[str, ...],
    output: str | None,
    format_: str | None,
    subtype: str | None,
    rate: int | None,
    raw: bool,
    start: float,
    duration: float | None,
    conceal: bool,
    no_tags: bool,
    preserve_time: bool,
    phase_iterations: int | None,
    batch: BatchOptions,
) -> int:
    """Decode .swc files into audio files.

    IN is a .swc file, a folder (searched for .swc files; the tree is mirrored in DIR), a quoted glob pattern,
    or - for standard input. The suffix of OUT determines the format; standard output is WAV, or raw samples
    with --raw. By default, outputs are written beside their inputs. The last argument is the output if it has
    the suffix of an audio format or is a folder.

    IN and OUT may be URLs that begin with s3://, gs://, az:// or sftp://, and IN https://.

    The output has the sample rate, the channels and the exact length of the original. Opus and MP3, which
    support certain sample rates only, get the next higher one, and --rate asks for any other. Damaged files
    are errors unless --conceal is given.

    Tags are written as far as the format has fields for them: all of them into FLAC and MP3, the usual ones
    into Ogg, WAV, AIFF and CAF.
    """
    from ..audio.formats import FFMPEG_SUFFIXES, RAW_SUFFIXES, READABLE_SUFFIXES, VIDEO_SUFFIXES
    from ..batch.decode_job import DecodeRequest, existing_audio

    if raw and format_:
        raise UsageError("--raw and --format are mutually exclusive")
    format_ = "raw" if raw else format_
    request = DecodeRequest(
        start,
        duration,
        conceal,
        phase_iterations,
        format_,
        subtype,
        rate,
        copy_tags=not no_tags,
        preserve_time=preserve_time,
    )
    suffix = "." + (format_ or "wav").lower().lstrip(".")
    conversion = Conversion(
        STREAM_SUFFIXES,
        READABLE_SUFFIXES | RAW_SUFFIXES,
        suffix,
        unwritable_suffixes=FFMPEG_SUFFIXES | VIDEO_SUFFIXES,
    )
    plan = batch.plan(inputs, output, conversion)
    for job in plan.jobs[:1]:
        request.check_output(job.output)
    codec = CodecSource(batch.weights, batch.device)
    task = Task(
        "decoding",
        "decoded",
        _CreateDecoder(codec, request, batch.force),
        codec,
        decode_report,
        DECODING_COST,
        request.as_json(),
        existing_audio,
    )
    return run_jobs(plan, task, batch, invocation)


@dataclass(frozen=True)
class _CreateDecoder:
    """Creates the worker; worker processes get a copy."""

    codec: CodecSource
    request: DecodeRequest
    force: bool

    def __call__(self) -> FileDecoder:
        from ..batch.decode_job import FileDecoder

        return FileDecoder(self.codec.load(), self.request, self.force)


def decode_report(result: DecodeResult) -> JobReport:
    """A result as a line of text and as JSON, with warnings about damage."""
    return JobReport(_line(result), _record(result), _warnings(result))


def _line(result: DecodeResult) -> str:
    rate, original = result.sample_rate, result.header.original_rate
    converted = "" if rate == original else f" (converted from {original} Hz)"
    parts = [
        f"{format_duration(result.seconds)} {format_channel_coding(result.header)} at {rate} Hz{converted}"
    ]
    if result.input_bytes is not None and result.output_bytes is not None:
        parts.append(f"{format_size(result.input_bytes)} -> {format_size(result.output_bytes)}")
    parts.append(format_speed(result.seconds, result.elapsed))
    return f"{result.job.source_name} -> {result.job.output_name}: {', '.join(parts)}"


def _warnings(result: DecodeResult) -> tuple[str, ...]:
    name = result.job.source_name
    warnings = damage_warnings(name, result.concealed, result.truncated, "decoded")
    if result.clipped:
        plural = "s were" if result.clipped > 1 else " was"
        advice = "--subtype FLOAT" if result.can_be_float else "WAV with --subtype FLOAT"
        warnings.append(
            f"{name}: {result.clipped} sample{plural} beyond full scale and clipped; {advice} keeps them"
        )
    return tuple(warnings)


def _record(result: DecodeResult) -> dict[str, Any]:
    return {
        "input": result.job.source,
        "output": result.job.output,
        "status": "decoded",
        "input_bytes": result.input_bytes,
        "bytes": result.output_bytes,
        "seconds": result.seconds,
        "samples": result.samples,
        "sample_rate": result.sample_rate,
        "original_sample_rate": result.header.original_rate,
        "channels": result.header.channels,
        "subtype": result.subtype,
        "clipped_samples": result.clipped,
        "omitted_tags": list(result.omitted_tags),
        "concealed": [
            {"window": window.index, "start": window.start, "reason": window.reason}
            for window in result.concealed
        ],
        "truncated": result.truncated,
        "elapsed": result.elapsed,
        "speed": result.seconds / result.elapsed,
    }
