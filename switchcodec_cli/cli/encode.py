"""`swc encode`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import PIPE, Job, audio_suffixes, plan_outputs, split_output
from ..batch.run import (
    Outcome,
    check_plan,
    make_folder_for,
    open_input,
    open_output,
    run_plan,
    size_of,
)
from ..errors import SwcError, UsageError
from .encode_options import EncodeOptions, encode_options
from .options import (
    Command,
    device_option,
    force_option,
    json_option,
    quiet_option,
    weights_option,
)
from .progress import Progress, duration, share_of_pcm, size, speed

if TYPE_CHECKING:
    from ..api import Codec
    from ..audio import AudioReader
    from ..bitstream import Header, StreamWriter

EXAMPLES = (
    ("swc encode talk.wav", "Writes talk.swc beside it."),
    ("swc encode song.flac small.swc --kbps 5.33", "At no more than 5.33 kbps, under another name."),
    ("swc encode recordings/ -o archive/", "A whole tree, mirrored; run again, it resumes."),
    ("swc encode book.flac --abr 2 --effort 3", "2 kbps on average, bits where they help most, taking time."),
    ("ffmpeg -i talk.mp4 -f wav - | swc encode - talk.swc", "From a pipe, however long."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Audio to .swc files.")
@click.argument(
    "inputs",
    metavar="IN... [OUT.swc]",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True, readable=False),
)
@click.option(
    "-o", "--output", metavar="OUT|DIR", help="File or folder to write, - for standard output.",
    type=click.Path(allow_dash=True, readable=False),
)  # fmt: skip
@encode_options
@weights_option
@device_option
@force_option
@json_option
@quiet_option
@click.pass_context
def encode(context: click.Context, inputs: tuple[str, ...], output: str | None, **options: Any) -> int:
    """Encode audio into .swc files.

    IN is a file of any usual format, a folder (all audio in it, mirrored below DIR), a pattern in quotes,
    or - for standard input. Outputs go beside their sources unless told otherwise.

    With several inputs, those that fail are reported and left out, and a later run skips those whose output
    is there, whole, and made the same way.
    """
    settings = EncodeOptions.take(options)
    sources, target = split_output(inputs, output, lambda name: name.lower().endswith(".swc"))
    plan = plan_outputs(sources, target, suffix=".swc", inputs=audio_suffixes(), outputs=[".swc"])
    force, as_json = options["force"], options["as_json"]
    check_plan(plan, as_json, force)
    if plan.jobs:
        from ..api import Codec

        codec = Codec.load(options["weights"], options["device"])
        settings.check(codec)

    def work(job: Job, progress: Progress) -> Outcome:
        if not plan.single and not force and os.path.exists(job.target):
            return done_before(codec, settings, job)
        return encode_file(codec, settings, job, force, progress)

    with Progress("encoding", len(plan.jobs), options["quiet"], as_json) as progress:
        return run_plan(plan, work, progress, "encoded", context.obj.debug)


class _LengthDiffers(Exception):
    """The input holds more samples than its header says."""


def encode_file(codec: Codec, settings: EncodeOptions, job: Job, force: bool, progress: Progress) -> Outcome:
    """Encode one input, block by block."""
    try:
        return _encode(codec, settings, job, force, progress, trust_length=True)
    except _LengthDiffers:
        if not os.path.isfile(job.source) or job.target == PIPE:
            raise SwcError(f"{job.source}: holds more audio than its header says") from None
        return _encode(codec, settings, job, force, progress, trust_length=False)


def _encode(
    codec: Codec, settings: EncodeOptions, job: Job, force: bool, progress: Progress, trust_length: bool
) -> Outcome:
    from ..audio import AudioReader, choose_channels, mix

    began = time.perf_counter()
    with AudioReader(job.source) as reader:
        rate, channels = reader.sample_rate, choose_channels(reader.channels, settings.channels, reader.name)
        total = reader.frames if trust_length else None
        dual_mono = channels == 2 and has_equal_channels(job.source, reader)
        seconds = reader.frames / rate if reader.frames is not None else None
        make_folder_for(job)
        planner = settings.planner(codec, rate, channels, dual_mono) if os.path.isfile(job.source) else None
        plan = None
        if planner is not None:
            progress.start(f"first pass: {reader.name}", seconds)
            with AudioReader(job.source) as ahead:
                for block in ahead.blocks():
                    planner.write(mix(block, channels))
                    progress.advance(len(block) / rate)
            plan = planner.close()
        progress.start(reader.name, seconds)
        with open_output(job.target, force) as file:
            encoder = settings.encoder(codec, file, rate, channels, dual_mono, total, plan)
            for block in reader.blocks():
                encoder.write(mix(block, channels))
                progress.advance(len(block) / rate)
            if total is not None and encoder.samples != total:
                raise _LengthDiffers
            encoder.close()
    return _encoded(job, encoder.writer, encoder.samples, time.perf_counter() - began)


def has_equal_channels(source: str, reader: AudioReader) -> bool:
    """Whether what becomes stereo is one signal twice: one is then coded instead of two.

    A file is read ahead as far as its channels are equal; a pipe cannot be, and is taken as it is.
    """
    from ..audio import AudioReader

    if reader.channels != 2 or not os.path.isfile(source):
        return reader.channels == 1
    with AudioReader(source) as ahead:
        return all((block[:, 0] == block[:, 1]).all() for block in ahead.blocks())


def _encoded(job: Job, writer: StreamWriter, samples: int, elapsed: float) -> Outcome:
    from ..bitstream import nominal_kbps

    header = writer.header
    written = writer.budget.total // 8
    seconds = samples / header.original_rate
    pcm = 2 * samples * header.channels
    before = size_of(job.source)
    experts = header.experts_total
    nominal = None if experts is None else nominal_kbps(header.parameters, header.signals + experts)
    record = {
        "input": job.source,
        "output": job.target,
        "status": "encoded",
        "input_bytes": before,
        "bytes": written,
        "seconds": seconds,
        "sample_rate": header.original_rate,
        "channels": header.channels,
        "channel_coding": header.channel_coding.name.lower(),
        "experts": experts,
        "kbps": 8e-3 * written / seconds if seconds else None,
        "nominal_kbps": nominal,
        "ratio_to_pcm": pcm / written,
        "elapsed": elapsed,
        "speed": seconds / elapsed,
    }
    rate = f", {8e-3 * written / seconds:.2f} kbps, {share_of_pcm(pcm / written)}" if seconds else ""
    line = (
        f"{name_of(job.source)} -> {name_of(job.target, output=True)}: {duration(seconds)} {layout(header)}, "
        f"{size(pcm if before is None else before)} -> {size(written)}{rate}, {speed(seconds, elapsed)}"
    )
    return Outcome(line, record, seconds, pcm if before is None else before, written)


def layout(header: Header) -> str:
    """The channels in words: mono, stereo, or stereo of one signal."""
    if header.channels == 1:
        return "mono"
    return "stereo" if header.signals == 2 else "stereo (both channels equal)"


def name_of(path: str, output: bool = False) -> str:
    """A path for a line of text."""
    if path == PIPE:
        return "standard output" if output else "standard input"
    return path


def done_before(codec: Codec, settings: EncodeOptions, job: Job) -> Outcome:
    """The outcome of a job whose output is there, whole and as it would be made now. Raises UsageError."""
    from ..audio import AudioReader, choose_channels
    from ..bitstream import verify

    with open_input(job.target) as file:
        report = verify(file)
    with AudioReader(job.source) as reader:
        channels = choose_channels(reader.channels, settings.channels, reader.name)
        rate, frames = reader.sample_rate, reader.frames
    header = report.header
    if not report.ok or header is None:
        problem = "damaged"
    elif (header.original_rate, header.channels) != (rate, channels) or (
        frames not in (None, report.total_samples)
    ):
        problem = f"of other audio than {job.source}"
    elif not settings.made(header, codec):
        problem = "made with other settings or weights"
    elif os.path.getmtime(job.target) < os.path.getmtime(job.source):
        problem = f"older than {job.source}"
    else:
        record = {"input": job.source, "output": job.target, "status": "skipped"}
        return Outcome(f"{job.source} -> {job.target}: done before", record, skipped=True)
    raise UsageError(f"{job.target}: exists already, {problem} (use --force to overwrite it)")
