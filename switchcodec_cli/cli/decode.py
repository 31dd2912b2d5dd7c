"""`swc decode`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import PIPE, STREAM_SUFFIXES, Job, audio_suffixes, plan_outputs, split_output
from ..batch.run import Outcome, check_plan, make_folder_for, open_input, run_plan, size_of
from ..errors import SwcError, UsageError
from .encode import layout, name_of
from .errors import check_usage
from .options import (
    Command,
    Seconds,
    device_option,
    force_option,
    json_option,
    phase_iterations_option,
    quiet_option,
    weights_option,
)
from .progress import Progress, duration, size, speed

if TYPE_CHECKING:
    from ..api import Codec
    from ..decoder.stream import StreamDecoder

EXAMPLES = (
    ("swc decode talk.swc", "Writes talk.wav beside it, 16 bits, at the original rate and length."),
    ("swc decode talk.swc talk.flac --subtype PCM_24", "As FLAC of 24 bits."),
    ("swc decode archive/ -o restored/ --format ogg", "A whole tree, mirrored; run again, it resumes."),
    ("swc decode talk.swc - --start 1:30 --duration 10 | aplay", "Ten seconds from the middle, to a pipe."),
)


@dataclass(frozen=True)
class DecodeSettings:
    """What was asked for; the fields have the names of the options."""

    start: float
    duration: float | None
    conceal: bool
    phase_iterations: int | None
    subtype: str | None
    format: str | None
    """Suffix that overrules that of the output, without a dot."""


@click.command(cls=Command, examples=EXAMPLES, short_help=".swc files to audio.")
@click.argument(
    "inputs",
    metavar="IN.swc... [OUT]",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True, readable=False),
)
@click.option(
    "-o", "--output", metavar="OUT|DIR", help="File or folder to write, - for standard output.",
    type=click.Path(allow_dash=True, readable=False),
)  # fmt: skip
@click.option(
    "--format",
    metavar="SUFFIX",
    help="Format of outputs that have no name: wav, flac, ogg ...  [default: wav]",
)
@click.option("--subtype", metavar="CODING", help="Coding of samples: PCM_16, PCM_24, FLOAT, VORBIS ...")
@click.option(
    "--raw", is_flag=True, help="Samples alone, without a header (16 bits unless --subtype says so)."
)
@click.option("--start", type=Seconds(), default=0.0, help="Begin there: seconds, MM:SS or HH:MM:SS.")
@click.option("--duration", type=Seconds(), help="Decode only so much.")
@click.option(
    "--conceal", is_flag=True, help="Fade over damaged windows, and say which, instead of refusing."
)
@phase_iterations_option
@weights_option
@device_option
@force_option
@json_option
@quiet_option
@click.pass_context
def decode(context: click.Context, inputs: tuple[str, ...], output: str | None, **options: Any) -> int:
    """Decode .swc files into audio.

    IN is a file, a folder (all .swc files in it, mirrored below DIR), a pattern in quotes, or - for standard
    input. OUT says the format by its suffix; standard output gets WAV, or samples alone with --raw. Outputs
    go beside their sources unless told otherwise.

    The original sample rate, channels and exact length come back. A damaged file is refused, unless
    --conceal is given.
    """
    from ..audio import output_format

    check_usage(not (options["raw"] and options["format"]), "--raw and --format both say the format")
    settings = DecodeSettings(
        **{name: options[name] for name in ("start", "duration", "conceal", "phase_iterations", "subtype")},
        format="raw" if options["raw"] else options["format"],
    )
    suffixes = audio_suffixes() | {".raw", ".pcm"}
    sources, target = split_output(inputs, output, lambda name: os.path.splitext(name)[1].lower() in suffixes)
    suffix = "." + (settings.format or "wav").lower().lstrip(".")
    plan = plan_outputs(sources, target, suffix=suffix, inputs=STREAM_SUFFIXES, outputs=suffixes)
    force, as_json = options["force"], options["as_json"]
    check_plan(plan, as_json, force)
    for job in plan.jobs[:1]:
        container, _ = output_format(job.target, settings.format, settings.subtype)
        piped = job.target == PIPE
        check_usage(
            not piped or container in ("WAV", "RAW"), f"a pipe takes WAV or raw audio, not {container}"
        )
    if plan.jobs:
        from ..api import Codec

        codec = Codec.load(options["weights"], options["device"])

    def work(job: Job, progress: Progress) -> Outcome:
        if not plan.single and not force and os.path.exists(job.target):
            return done_before(settings, job)
        return decode_file(codec, settings, job, force, progress)

    with Progress("decoding", len(plan.jobs), options["quiet"], as_json) as progress:
        return run_plan(plan, work, progress, "decoded", context.obj.debug)


def decode_file(codec: Codec, settings: DecodeSettings, job: Job, force: bool, progress: Progress) -> Outcome:
    """Decode one stream, packet by packet."""
    from ..audio import AudioWriter

    began = time.perf_counter()
    with open_input(job.source) as file:
        decoder = codec.decoder(
            file,
            start=settings.start,
            duration=settings.duration,
            conceal=settings.conceal,
            phase_iterations=settings.phase_iterations,
        )
        rate = decoder.sample_rate
        frames = decoder.frames
        progress.start(name_of(job.source), frames / rate if frames is not None else None)
        if settings.conceal and decoder.reader.trailer is None:
            frames = None  # the end may be missing
        make_folder_for(job)
        with AudioWriter(
            job.target, rate, decoder.channels, settings.subtype, settings.format, frames, force
        ) as writer:
            for block in decoder.blocks():
                writer.write(block)
                progress.advance(len(block) / rate)
    return _decoded(job, decoder, writer.frames_written, writer.subtype, time.perf_counter() - began)


def _decoded(job: Job, decoder: StreamDecoder, samples: int, subtype: str, elapsed: float) -> Outcome:
    seconds = samples / decoder.sample_rate
    before, written = size_of(job.source), size_of(job.target)
    record = {
        "input": job.source,
        "output": job.target,
        "status": "decoded",
        "input_bytes": before,
        "bytes": written,
        "seconds": seconds,
        "samples": samples,
        "sample_rate": decoder.sample_rate,
        "channels": decoder.channels,
        "subtype": subtype,
        "concealed": [
            {"window": window.index, "start": window.start, "reason": window.reason}
            for window in decoder.damage
        ],
        "truncated": decoder.truncated,
        "elapsed": elapsed,
        "speed": seconds / elapsed,
    }
    warnings = [
        f"{name_of(job.source)}: window {window.index} at {window.start:.3f} s is damaged ({window.reason}), "
        "faded over"
        for window in decoder.damage
    ]
    if decoder.truncated:
        warnings.append(f"{name_of(job.source)}: {decoder.truncated}; what came before it is decoded")
    sizes = f", {size(before)} -> {size(written)}" if None not in (before, written) else ""
    line = (
        f"{name_of(job.source)} -> {name_of(job.target, output=True)}: {duration(seconds)} "
        f"{layout(decoder.header)} at {decoder.sample_rate} Hz{sizes}, {speed(seconds, elapsed)}"
    )
    return Outcome(line, record, seconds, before or 0, written or 0, warnings=warnings)


def done_before(settings: DecodeSettings, job: Job) -> Outcome:
    """The outcome of a job whose output is there, as long as it should be. Raises UsageError."""
    from ..audio import AudioReader
    from ..bitstream import StreamReader

    with open_input(job.source) as file:
        reader = StreamReader(file)
        rate, channels, total = reader.header.original_rate, reader.header.channels, reader.total_samples
    if total is not None:
        first = round(settings.start * rate)
        stop = total if settings.duration is None else first + round(settings.duration * rate)
        total = max(0, min(stop, total) - first)
    try:
        with AudioReader(job.target) as audio:
            same = (audio.sample_rate, audio.channels) == (rate, channels)
            problem = None if same and total in (None, audio.frames) else f"of other audio than {job.source}"
    except SwcError:
        problem = "not readable"
    if problem is None and os.path.getmtime(job.target) < os.path.getmtime(job.source):
        problem = f"older than {job.source}"
    if problem is None:
        record = {"input": job.source, "output": job.target, "status": "skipped"}
        return Outcome(f"{job.source} -> {job.target}: done before", record, skipped=True)
    raise UsageError(f"{job.target}: exists already, {problem} (use --force to overwrite it)")
