"""`swc info`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..atomic_io import PIPE
from ..batch.plan import STREAM_SUFFIXES, find_inputs
from ..errors import BadInputError, SwcError, UsageError, one_line
from .errors import Invocation, exit_code_of, exit_code_of_files
from .formatting import (
    format_channel_coding,
    format_duration,
    format_pcm_ratio,
    format_size,
    unlisted_text,
)
from .options import Command, force_option, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..bitstream import Summary
    from ..bitstream.index_costs import IndexCosts

EXAMPLES = (
    ("swc info talk.swc", "Shows header, tags, bit budget and use of the experts."),
    ("swc info talk.swc --windows", "Also lists all windows."),
    ("swc info archive/ --json | jq -r '[.file, .kbps] | @tsv'", "Lists the rate of each file in a folder."),
    ("swc info talk.swc --plot routing.png", "Plots the routing."),
    ("swc info talk.swc --codebooks", "Shows the cost of an index, codebook by codebook."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Show the contents of .swc files.")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True, readable=False)
)
@json_option
@click.option("--windows", is_flag=True, help="List the time, size and coding of every window.")
@click.option(
    "--codebooks",
    is_flag=True,
    help="Show what an index of each codebook costs with the index model, which the packaged weights hold.",
)
@click.option(
    "--plot",
    metavar="PNG|SVG|PDF",
    type=click.Path(readable=False),
    help="Plot the routing over time into a file (needs switchcodec-cli[plot]).",
)
@force_option
@click.pass_obj
def info(
    invocation: Invocation,
    /,
    files: tuple[str, ...],
    as_json: bool,
    windows: bool,
    codebooks: bool,
    plot: str | None,
    force: bool,
) -> int:
    """Show the header, the bit budget and the routing of .swc files. Weights are not needed.

    The routing is shown over time: the number of experts, the use of each expert, and the bits of every
    window. FILE may be a folder, a URL, or - for standard input. Damage is listed; the exit code is then 3,
    or 1 if there are several files.
    """
    inputs = find_inputs(files, STREAM_SUFFIXES)
    if plot is not None:
        from ..report.figure_file import check_figure_path

        if len(inputs.files) != 1:
            raise UsageError("--plot requires exactly one file")
        check_figure_path(plot, force)
    progress = Progress("reading", quiet=True, as_json=as_json, debug=invocation.debug)
    failures = []
    progress.ignored_inputs(inputs.ignored)
    for rejected in inputs.rejected:
        progress.error(rejected.error, rejected.source)
        failures.append(exit_code_of(rejected.error))
    for number, file in enumerate(inputs.files):
        try:
            summary = inspect_file(file.path)
            costs = _index_costs(file.path) if codebooks else None
        except (SwcError, OSError) as error:
            progress.error(error, file.path)
            failures.append(exit_code_of(error))
            continue
        if as_json:
            record = summary_record(summary, file.path, windows)
            progress.record(record if costs is None else record | {"codebook_bits": costs.mean})
        else:
            lines = [*summary_lines(summary, file.path, windows), *_cost_lines(costs)]
            click.echo("\n" * bool(number) + "\n".join(lines))
        if summary.problems:
            failures.append(BadInputError.exit_code)
        if plot is not None:
            from ..report.routing_figure import plot_routing

            plot_routing(summary, one_line(file.path), plot, force)
    return exit_code_of_files(failures, len(inputs.files) + len(inputs.rejected))


def inspect_file(path: str) -> Summary:
    """Inspect a file, or standard input for "-". Raises BadInputError."""
    from ..batch.files import open_input
    from ..bitstream import inspect

    with open_input(path) as file:
        return inspect(file)


def _index_costs(path: str) -> IndexCosts:
    """What the indices of a file cost. Raises SwcError."""
    from ..batch.files import open_input
    from ..bitstream.index_costs import index_costs
    from ..model.packaged_index_model import index_model_of

    if path == PIPE:
        raise UsageError("--codebooks reads a file twice; standard input can be read once")
    with open_input(path) as file:
        return index_costs(file, index_model_of)


def _cost_lines(costs: IndexCosts | None) -> Iterator[str]:
    if costs is None:
        return
    for number, row in enumerate(costs.mean):
        name = f"expert {number - 1}" if number else "shared quantizer"
        texts = ["not used" if bits is None else f"{bits:.2f}" for bits in row]
        yield f"  {name:<17}{', '.join(dict.fromkeys(texts))}" + (
            "" if "not used" in texts else " bits per index"
        )


def summary_record(summary: Summary, path: str, windows: bool) -> dict[str, Any]:
    """Everything that is known about a stream, as JSON values."""
    header, parameters, budget = summary.header, summary.header.parameters, summary.budget
    record = {
        "file": path,
        "version": f"1.{header.minor}",
        "weights": header.fingerprint.hex(),
        "sample_rate": header.original_rate,
        "channels": header.channels,
        "channel_coding": header.channel_coding.name.lower(),
        "samples": summary.total_samples,
        "seconds": summary.seconds,
        "tags": [list(tag) for tag in header.tags],
        "source": _source_record(summary),
        "request": _request_record(summary),
        "entropy_coded": header.entropy_coded,
        "waveform_layers": header.waveform_layers,
        "bits_per_index": summary.bits_per_index,
        "rate_mode": header.rate_mode.name.lower(),
        "experts_per_window": header.experts_total,
        "asked_kbps": header.nominal_bits_per_second / 1000 or None,
        "nominal_kbps": summary.nominal_kbps,
        "kbps": summary.real_kbps,
        "packet_kbps": summary.packet_kbps,
        "ratio_to_pcm": summary.ratio_to_pcm,
        "bytes": summary.stream_bytes,
        "bits": {
            "payload": budget.payload,
            "layers": budget.layers,
            "side": budget.side,
            "container": budget.container,
            "total": budget.total,
        },
        "codec": {
            "sample_rate": parameters.sample_rate,
            "hop": parameters.hop,
            "frames_per_window": parameters.frames_per_window,
            "window_seconds": parameters.window_seconds,
            "experts": parameters.experts,
            "codebook_size": parameters.codebook_size,
            "codebooks_per_quantizer": parameters.codebooks_per_quantizer,
        },
        "windows": summary.windows,
        "silent_windows": summary.silent_windows,
        "expert_use": summary.expert_use.tolist(),
        "problems": [str(problem) for problem in summary.problems],
        "unlisted_problems": summary.unlisted,
    }
    if windows:
        record["window_list"] = [_window_record(summary, window) for window in range(summary.windows)]
    return record


def _source_record(summary: Summary) -> dict[str, str] | None:
    """The digest of the source; None if it is unknown."""
    source = summary.source
    return None if source is None else {"kind": source.kind.name.lower(), "digest": source.value.hex()}


def _request_record(summary: Summary) -> dict[str, float | None] | None:
    """What the encoder was asked for, beyond what the header says; None if it is unknown."""
    request = summary.request
    if request is None:
        return None
    max_rate = request.max_bits_per_second
    return {
        "effort": request.effort,
        "quality": request.quality,
        "max_kbps": None if max_rate is None else max_rate / 1000,
    }


def _window_record(summary: Summary, window: int) -> dict[str, Any]:
    from ..report.routing_text import block_coding

    return {
        "start": window * summary.header.parameters.window_seconds,
        "bytes": int(summary.window_bytes[window]),
        "signals": [
            {
                "coding": block_coding(summary, window, signal),
                "experts": summary.masks[window, signal].nonzero()[0].tolist(),
                "layer_bytes": int(summary.layer_bytes[window, signal]),
            }
            for signal in range(summary.header.signals)
        ],
    }


def summary_lines(summary: Summary, path: str, windows: bool) -> Iterator[str]:
    """Everything that is known about a stream, as lines of text."""
    from ..report.routing_text import routing_picture

    yield one_line(path)
    for label, text in _items(summary):
        yield f"  {label:<10}{text}"
    width = min(shutil.get_terminal_size().columns, 160) - 2
    for line in routing_picture(summary, width, ascii_only=not _supports_block_characters()):
        yield f"  {line}"
    if windows:
        yield from _window_lines(summary)


def _items(summary: Summary) -> Iterator[tuple[str, str]]:
    """Labels and values of the properties of a stream."""
    header, parameters, budget = summary.header, summary.header.parameters, summary.budget
    samples = "" if summary.total_samples is None else f" ({summary.total_samples} samples)"
    yield (
        "audio",
        f"{format_duration(summary.seconds)}{samples}, {header.original_rate} Hz, "
        f"{format_channel_coding(header)}",
    )
    yield (
        "rate",
        f"{_real_rates(summary)}; nominal {summary.nominal_kbps:.2f} kbps: {_requested_rate(summary)}",
    )
    pcm_bytes = summary.stream_bytes * summary.ratio_to_pcm
    yield (
        "size",
        f"{summary.stream_bytes} bytes, {format_pcm_ratio(summary.ratio_to_pcm)} ({format_size(pcm_bytes)})",
    )
    parts = {"payload": budget.payload}
    if header.waveform_layers:
        parts["layers"] = budget.layers
    parts |= {"side": budget.side, "container": budget.container}
    shares = [f"{name} {bits} ({100 * bits / budget.total:.1f} %)" for name, bits in parts.items()]
    yield "bits", f"{budget.total} = {' + '.join(shares)}"
    if header.entropy_coded and summary.bits_per_index is not None:
        yield (
            "indices",
            f"{summary.bits_per_index:.2f} bits each with the index model, {parameters.index_bits} without",
        )
    if header.waveform_layers:
        blocks = int((summary.layer_bytes > 0).sum())
        rate = "" if summary.layer_kbps is None else f", {summary.layer_kbps:.3f} kbps"
        yield "layers", f"{blocks} of {summary.coded_blocks} coded blocks have a waveform layer{rate}"
    yield (
        "codec",
        f"{parameters.sample_rate} Hz, windows of {parameters.frames_per_window} frames "
        f"({parameters.window_seconds:.3f} s), 1 shared quantizer and {parameters.experts} experts with "
        f"{parameters.codebooks_per_quantizer} × {parameters.codebook_size} entries",
    )
    yield "format", f".swc 1.{header.minor}, weights {header.fingerprint.hex()[:12]}"
    source = _source_record(summary)
    if source is not None:
        yield "source", f"digest of the {source['kind']} {source['digest']}"
    for number, (key, value) in enumerate(header.tags):
        yield "" if number else "tags", one_line(f"{key} = {value}")
    silent = f", {summary.silent_windows} silent" if summary.silent_windows else ""
    yield "windows", f"{summary.windows}{silent}"
    for problem in summary.problems:
        yield "DAMAGE", one_line(str(problem))
    if summary.unlisted:
        yield "DAMAGE", unlisted_text(summary.unlisted)


def _real_rates(summary: Summary) -> str:
    if summary.real_kbps is None or summary.packet_kbps is None:
        return "too short for a rate"
    return f"{summary.real_kbps:.3f} kbps in total, {summary.packet_kbps:.3f} without header and trailer"


def _requested_rate(summary: Summary) -> str:
    """What was requested from the encoder, and the number of experts used for it."""
    from ..bitstream import EncodingRequest, RateMode

    asked = summary.request or EncodingRequest()
    header = summary.header
    kbps = f"{header.nominal_bits_per_second / 1000:g} kbps" if header.nominal_bits_per_second else None
    if header.rate_mode == RateMode.CONSTANT:
        request = "constant rate" if kbps is None else f"constant rate of up to {kbps}"
        experts = f"{header.experts_total}"
    else:
        experts = f"{summary.masks.sum() / max(summary.windows, 1):.1f}"
        if header.rate_mode == RateMode.AVERAGE:
            request = "average rate" if kbps is None else f"average rate of {kbps}"
        else:
            request = "constant quality" if asked.quality is None else f"constant quality {asked.quality:g}"
    if asked.max_bits_per_second is not None:
        request += f", at most {asked.max_bits_per_second / 1000:g} kbps per window"
    effort = "" if asked.effort is None else f", effort {asked.effort}"
    return f"{request}, {experts} experts per window{effort}"


def _supports_block_characters() -> bool:
    """Whether the encoding of standard output contains the characters of the routing picture."""
    try:
        "░█▁".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _window_lines(summary: Summary) -> Iterator[str]:
    from ..report.routing_text import block_text

    yield f"  {'window':>6} {'start':>9} {'bytes':>6}  coding"
    for window in range(summary.windows):
        blocks = [block_text(summary, window, signal) for signal in range(summary.header.signals)]
        start = f"{window * summary.header.parameters.window_seconds:.3f} s"
        yield f"  {window:>6} {start:>9} {summary.window_bytes[window]:>6}  {' | '.join(blocks)}"
