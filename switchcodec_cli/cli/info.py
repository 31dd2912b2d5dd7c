"""`swc info`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import STREAM_SUFFIXES, expand
from ..batch.run import SOME_FAILED, open_input
from ..errors import BadInputError, SwcError
from .errors import check_usage, describe, exit_code_of, one_line
from .options import Command, force_option, json_option
from .progress import Progress, duration, share_of_pcm, size

if TYPE_CHECKING:
    from ..bitstream import Summary

EXAMPLES = (
    ("swc info talk.swc", "Header, tags, where the bits went, and which experts coded what."),
    ("swc info talk.swc --windows", "The same, and a line for every window."),
    ("swc info archive/ --json | jq -r '[.file, .kbps] | @tsv'", "The real rate of every file in a tree."),
    ("swc info talk.swc --plot routing.png", "The routing as a picture."),
)
CODINGS = {
    "MONO": "mono",
    "LEFT_RIGHT": "stereo (left and right)",
    "MID_SIDE": "stereo (mid and side)",
    "DUAL_MONO": "stereo (both channels equal)",
}


@click.command(cls=Command, examples=EXAMPLES, short_help="What is inside .swc files.")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True, readable=False)
)
@json_option
@click.option("--windows", is_flag=True, help="List every window: time, bytes, and how it is coded.")
@click.option(
    "--plot",
    metavar="PNG|SVG|PDF",
    type=click.Path(readable=False),
    help="Draw the routing over time (needs switchcodec-cli[plot]).",
)
@force_option
@click.pass_context
def info(
    context: click.Context,
    files: tuple[str, ...],
    as_json: bool,
    windows: bool,
    plot: str | None,
    force: bool,
) -> int:
    """Show what .swc files hold and where their bits went; no weights are needed.

    The picture shows, over time, how many experts code each window, which ones, and the bits they take.
    FILE may be a folder or - for standard input. Damage is listed; the exit code is then 3.
    """
    failures: list[tuple[str, SwcError]] = []
    found = list(expand(files, STREAM_SUFFIXES, failures))
    if plot is not None:
        from ..report.routing_figure import check_plot, plot_routing

        check_usage(len(found) == 1, "--plot draws one file")
        check_plot(plot, force)
    progress = Progress("reading", quiet=True, as_json=as_json)
    codes = []
    for source, error in failures:
        codes.append(exit_code_of(error))
        progress.error(describe(error, source))
    for number, file in enumerate(found):
        try:
            summary = inspect_file(file.path)
        except (SwcError, OSError) as error:
            codes.append(exit_code_of(error))
            progress.error(describe(error, file.path))
            continue
        if as_json:
            progress.record(as_record(summary, file.path, windows))
        else:
            click.echo("\n" * bool(number) + "\n".join(as_text(summary, file.path, windows)))
        if summary.problems:
            codes.append(BadInputError.exit_code)
        if plot is not None:
            plot_routing(summary, one_line(file.path), plot, force)
    if not codes:
        return 0
    return codes[0] if len(found) + len(failures) == 1 else SOME_FAILED


def inspect_file(path: str) -> Summary:
    """Inspect a file, or standard input for "-". Raises BadInputError."""
    from ..bitstream import inspect

    with open_input(path) as file:
        return inspect(file)


def packet_kbps(summary: Summary) -> float:
    """Rate of the packets alone, which is what a ceiling on the rate holds for."""
    return 8e-3 * float(summary.window_bytes.sum()) / summary.seconds if summary.seconds else 0.0


def as_record(summary: Summary, path: str, windows: bool) -> dict[str, Any]:
    """Everything as plain values for JSON."""
    from ..report.routing_text import mask_text

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
        "tags": dict(header.tags),
        "rate_mode": header.rate_mode.name.lower(),
        "experts_per_window": header.experts_total,
        "asked_kbps": header.nominal_bits_per_second / 1000 or None,
        "nominal_kbps": summary.nominal_kbps,
        "kbps": summary.real_kbps,
        "packet_kbps": packet_kbps(summary),
        "ratio_to_pcm": summary.ratio_to_pcm,
        "bytes": summary.stream_bytes,
        "bits": {
            "payload": budget.payload,
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
    }
    if windows:
        record["window_list"] = [
            {
                "start": window * parameters.window_seconds,
                "bytes": int(summary.window_bytes[window]),
                "signals": [
                    {
                        "coding": mask_text(summary, window, signal).split("+")[0],
                        "experts": summary.masks[window, signal].nonzero()[0].tolist(),
                    }
                    for signal in range(header.signals)
                ],
            }
            for window in range(summary.windows)
        ]
    return record


def as_text(summary: Summary, path: str, windows: bool) -> Iterator[str]:
    """Lines for people."""
    from ..report.routing_text import routing_picture

    header, parameters, budget = summary.header, summary.header.parameters, summary.budget

    def item(label: str, text: str) -> str:
        return f"  {label:<10}{text}"

    def share(name: str, bits: int) -> str:
        return f"{name} {bits} ({100 * bits / budget.total:.1f} %)"

    samples = "" if summary.total_samples is None else f" ({summary.total_samples} samples)"
    yield one_line(path)
    yield item("audio", f"{duration(summary.seconds)}{samples}, {header.original_rate} Hz, "
               f"{CODINGS[header.channel_coding.name]}")  # fmt: skip
    yield item(
        "rate",
        f"{summary.real_kbps:.3f} kbps in all, {packet_kbps(summary):.3f} without header and trailer; "
        f"nominal {summary.nominal_kbps:.2f} kbps: {_asked(summary)}",
    )
    yield item("size", f"{summary.stream_bytes} bytes, {share_of_pcm(summary.ratio_to_pcm)} "
               f"({size(summary.stream_bytes * summary.ratio_to_pcm)})")  # fmt: skip
    parts = (("payload", budget.payload), ("side", budget.side), ("container", budget.container))
    yield item("bits", f"{budget.total} = " + " + ".join(share(*part) for part in parts))
    yield item("codec", f"{parameters.sample_rate} Hz, windows of {parameters.frames_per_window} frames "
               f"({parameters.window_seconds:.3f} s), 1 shared quantizer and {parameters.experts} experts of "
               f"{parameters.codebooks_per_quantizer} × {parameters.codebook_size} entries")  # fmt: skip
    yield item("format", f".swc 1.{header.minor}, weights {header.fingerprint.hex()[:12]}")
    for number, (key, value) in enumerate(header.tags):
        yield item("" if number else "tags", one_line(f"{key} = {value}"))
    silent = f", {summary.silent_windows} silent" if summary.silent_windows else ""
    yield item("windows", f"{summary.windows}{silent}")
    for problem in summary.problems:
        yield item("DAMAGE", one_line(str(problem)))
    width = min(shutil.get_terminal_size().columns, 160) - 2
    for line in routing_picture(summary, width, plain=not _knows_blocks()):
        yield f"  {line}"
    if windows:
        yield from _window_lines(summary)


def _asked(summary: Summary) -> str:
    """What rate the encoder was asked for, and what that comes to."""
    from ..bitstream import RateMode

    header = summary.header
    asked = f"{header.nominal_bits_per_second / 1000:g} kbps"
    known = header.nominal_bits_per_second > 0
    if header.rate_mode == RateMode.CONSTANT:
        return f"{f'at most {asked} asked for, ' if known else ''}{header.experts_total} experts a window"
    asked = f"{asked} on average asked for" if known else "average rate"
    mode = asked if header.rate_mode == RateMode.AVERAGE else "constant quality"
    return f"{mode}, {summary.masks.sum() / max(summary.windows, 1):.1f} experts a window"


def _knows_blocks() -> bool:
    try:
        "░█▁".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _window_lines(summary: Summary) -> Iterator[str]:
    from ..report.routing_text import mask_text

    parameters, signals = summary.header.parameters, summary.header.signals
    yield f"  {'window':>6} {'start':>9} {'bytes':>6}  coded by"
    for window in range(summary.windows):
        blocks = " | ".join(mask_text(summary, window, signal) for signal in range(signals))
        start = f"{window * parameters.window_seconds:.3f} s"
        yield f"  {window:>6} {start:>9} {summary.window_bytes[window]:>6}  {blocks}"
