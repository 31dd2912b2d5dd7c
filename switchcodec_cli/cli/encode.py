"""`swc encode`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..atomic_io import PIPE
from ..batch.plan import STREAM_SUFFIXES, Conversion
from ..batch.processes import ENCODING_COSTS
from ..errors import UsageError
from .batch_options import BatchOptions, batch_options
from .encode_options import encode_options, encode_request
from .errors import Invocation
from .formatting import format_channel_coding, format_duration, format_pcm_ratio, format_size, format_speed
from .jobs import CodecSource, Task, run_jobs
from .options import Command, output_option
from .progress import JobReport

if TYPE_CHECKING:
    from ..batch.comparison import StreamComparison
    from ..batch.encode_job import EncodeRequest, EncodeResult, FileEncoder

EXAMPLES = (
    ("swc encode talk.wav", "Writes talk.swc."),
    ("swc encode song.flac small.swc --kbps 5.33", "Encodes at up to 5.33 kbps into small.swc."),
    ("swc encode recordings/ -o archive/", "Encodes a folder tree; files that are up to date are skipped."),
    ("swc encode book.flac --kbps 2 --effort 3", "Encodes at up to 2 kbps, with the best quality."),
    (
        "find . -name '*.wav' -print0 | swc encode --files-from - -0 --relative-to . -o archive/",
        "Encodes a list of files, and keeps their paths.",
    ),
    ("arecord -f cd -t raw | swc encode - talk.swc --raw 44100,2", "Encodes from a pipe."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Encode audio files.")
@click.argument(
    "inputs",
    metavar="IN... [OUT.swc|DIR]",
    nargs=-1,
    type=click.Path(allow_dash=True, readable=False),
)
@output_option
@encode_options
@click.option(
    "--delete-input",
    is_flag=True,
    help="Delete each input when its output has been read again, and is sound and made from it.",
)
@batch_options
@click.pass_obj
def encode(
    invocation: Invocation,
    /,
    inputs: tuple[str, ...],
    output: str | None,
    delete_input: bool,
    batch: BatchOptions,
    **options: Any,
) -> int:
    """Encode audio files into .swc files.

    IN is an audio file, a folder (searched for audio files; the tree is mirrored in DIR), a quoted glob
    pattern, or - for standard input. By default, outputs are written beside their inputs. The last argument
    is the output if it ends in .swc or is a folder.

    IN and OUT may be URLs that begin with s3://, gs://, az:// or sftp://, and IN https://.

    Formats such as M4A, MP4, WMA and AAC are decoded by ffmpeg, which must be installed.

    If several inputs are given, errors are reported and the remaining files are encoded. Running the command
    again skips files whose output is sound, was made from the same audio, and with the same weights, settings
    and tags. Other existing outputs are errors; see --update and --force.

    Effort 0 encodes fastest; effort 1 uses beam search; effort 2 also refines the latents by gradient descent
    through the decoder; effort 3 refines them longer and also searches for the best experts. Decoding does
    not depend on the effort.
    """
    from ..batch.encode_job import existing_stream

    request = encode_request(**options)
    plan = batch.plan(inputs, output, audio_conversion(request))
    if delete_input and any(PIPE in (job.source, job.output) for job in plan.jobs):
        raise UsageError("--delete-input needs files, not standard input or standard output")
    comparison = None
    if plan.has_existing_outputs or delete_input:
        comparison = _create_comparison(batch.weights, request)
    codec = CodecSource(batch.weights, batch.device)
    task = Task(
        "encoding",
        "encoded",
        _CreateEncoder(codec, request, batch.force),
        codec,
        encode_report,
        ENCODING_COSTS[request.settings.effort],
        request.as_json(),
        existing_stream,
        compare=None if comparison is None else comparison.difference,
        delete_input=delete_input,
    )
    return run_jobs(plan, task, batch, invocation)


@dataclass(frozen=True)
class _CreateEncoder:
    """Creates the worker; worker processes get a copy."""

    codec: CodecSource
    request: EncodeRequest
    force: bool

    def __call__(self) -> FileEncoder:
        from ..batch.encode_job import FileEncoder

        return FileEncoder(self.codec.load(), self.request, self.force)


def audio_conversion(request: EncodeRequest) -> Conversion:
    """Which files are encoded."""
    from ..audio.formats import FFMPEG_SUFFIXES, RAW_SUFFIXES, READABLE_SUFFIXES, VIDEO_SUFFIXES

    if request.raw is not None:
        return Conversion(RAW_SUFFIXES, STREAM_SUFFIXES, ".swc")
    ignored = dict.fromkeys(RAW_SUFFIXES, "may be raw audio, which needs --raw")
    ignored |= dict.fromkeys(VIDEO_SUFFIXES, "is a video, whose sound is encoded if it is given by name")
    return Conversion(READABLE_SUFFIXES | FFMPEG_SUFFIXES, STREAM_SUFFIXES, ".swc", ignored)


def _create_comparison(weights: str | None, request: EncodeRequest) -> StreamComparison:
    """What existing outputs are compared with, without loading the model. Raises SwcError."""
    from ..batch.comparison import StreamComparison, stream_parameters
    from ..model.weights_info import read_weights
    from ..model.weights_registry import find_weights

    info = read_weights(find_weights(weights)).info
    return StreamComparison(
        stream_parameters(info.config),
        info.fingerprint,
        request,
        info.has_index_model,
        info.has_waveform_model,
    )


def encode_report(result: EncodeResult) -> JobReport:
    """A result as a line of text and as JSON."""
    return JobReport(_line(result), _record(result), _rate_warnings(result))


def _rate_warnings(result: EncodeResult) -> tuple[str, ...]:
    """A warning if a recording needs more than the rate of the whole file that was asked for."""
    from ..bitstream import RateMode

    header, kbps = result.header, result.kbps
    asked = header.nominal_bits_per_second / 1000
    if header.rate_mode != RateMode.AVERAGE or kbps is None or kbps <= asked + 0.0005:
        return ()
    return (
        f"{result.job.output_name}: {kbps:.2f} kbps, more than {asked:g}: "
        "so short a recording needs it for the header and the trailer",
    )


def _line(result: EncodeResult) -> str:
    before = result.pcm_bytes if result.input_bytes is None else result.input_bytes
    parts = [
        f"{format_duration(result.seconds)} {format_channel_coding(result.header)}",
        f"{format_size(before)} -> {format_size(result.output_bytes)}",
    ]
    if result.kbps is not None:
        parts += [f"{result.kbps:.2f} kbps", format_pcm_ratio(result.pcm_bytes / result.output_bytes)]
    parts.append(format_speed(result.seconds, result.elapsed))
    return f"{result.job.source_name} -> {result.job.output_name}: {', '.join(parts)}"


def _record(result: EncodeResult) -> dict[str, Any]:
    from ..bitstream import nominal_kbps

    header, experts = result.header, result.header.experts_total
    return {
        "input": result.job.source,
        "output": result.job.output,
        "status": "encoded",
        "input_bytes": result.input_bytes,
        "bytes": result.output_bytes,
        "seconds": result.seconds,
        "digest": None
        if result.source is None
        else {"of": result.source.kind.name.lower(), "value": result.source.value.hex()},
        "sample_rate": header.original_rate,
        "channels": header.channels,
        "channel_coding": header.channel_coding.name.lower(),
        "experts": experts,
        "kbps": result.kbps,
        "nominal_kbps": None
        if experts is None
        else nominal_kbps(header.parameters, header.signals + experts),
        "ratio_to_pcm": result.pcm_bytes / result.output_bytes,
        "elapsed": result.elapsed,
        "speed": result.seconds / result.elapsed,
    }
