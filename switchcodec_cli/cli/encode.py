"""`swc encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import STREAM_SUFFIXES, Conversion, plan_jobs
from .encode_options import encode_options, encode_request
from .errors import Invocation
from .formatting import format_channel_coding, format_duration, format_pcm_ratio, format_size, format_speed
from .jobs import check_plan, run_jobs
from .options import (
    Command,
    device_option,
    force_option,
    json_option,
    output_option,
    quiet_option,
    weights_option,
)
from .progress import BatchProgress, JobReport

if TYPE_CHECKING:
    from ..batch.encode_job import EncodeResult, FileEncoder

EXAMPLES = (
    ("swc encode talk.wav", "Writes talk.swc."),
    ("swc encode song.flac small.swc --kbps 5.33", "Encodes at up to 5.33 kbps into small.swc."),
    ("swc encode recordings/ -o archive/", "Encodes a folder tree; files that are up to date are skipped."),
    ("swc encode book.flac --abr 2 --effort 3", "Encodes at 2 kbps on average, with the best quality."),
    ("ffmpeg -i talk.mp4 -f wav - | swc encode - talk.swc", "Encodes from a pipe."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Encode audio files.")
@click.argument(
    "inputs",
    metavar="IN... [OUT.swc]",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True, readable=False),
)
@output_option
@encode_options
@weights_option
@device_option
@force_option
@json_option
@quiet_option
@click.pass_obj
def encode(
    invocation: Invocation,
    /,
    inputs: tuple[str, ...],
    output: str | None,
    weights: str | None,
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Encode audio files into .swc files.

    IN is an audio file, a folder (searched for audio files; the tree is mirrored in DIR), a quoted glob
    pattern, or - for standard input. By default, outputs are written beside their inputs.

    If several inputs are given, errors are reported and the remaining files are encoded. Running the command
    again skips files whose output is up to date.

    Effort 0 encodes fastest; effort 1 uses beam search; effort 2 also refines the latents by gradient descent
    through the decoder; effort 3 refines them longer and also searches for the best experts. Decoding does
    not depend on the effort.
    """
    from ..audio import READABLE_SUFFIXES

    request = encode_request(**options)
    plan = plan_jobs(inputs, output, Conversion(READABLE_SUFFIXES, STREAM_SUFFIXES, ".swc"))
    check_plan(plan, force, as_json)

    def create_worker() -> FileEncoder:
        from ..api import Codec
        from ..batch.encode_job import FileEncoder

        return FileEncoder(Codec.load(weights, device), request, force)

    progress = BatchProgress(
        "encoding", len(plan.jobs), encode_report, quiet=quiet, as_json=as_json, debug=invocation.debug
    )
    return run_jobs(plan, create_worker, progress, force=force, verb="encoded")


def encode_report(result: EncodeResult) -> JobReport:
    """A result as a line of text and as JSON."""
    return JobReport(_line(result), _record(result))


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
