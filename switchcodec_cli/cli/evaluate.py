"""`swc eval`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..errors import SwcError
from .errors import Invocation, exit_code_of_files
from .formatting import format_json
from .options import (
    Command,
    channels_option,
    device_option,
    effort_option,
    force_option,
    phase_iterations_option,
    quiet_option,
    weights_option,
)
from .progress import Progress

if TYPE_CHECKING:
    from ..evaluation import RateQuality, Row

EXAMPLES = (
    ("swc eval speech.wav", "Prints a table of quality at four rates."),
    (
        "swc eval valid/ --kbps 1.78,2.67 --no-visqol --workers 2",
        "Prints the means over each folder in a tree.",
    ),
    ("swc eval valid/ --sweep --plot curves.png", "Compares all efforts, average rate and constant quality."),
    ("swc eval valid/ --plot curves.png --json > results.json", "Plots the curves and saves all results."),
)
DEFAULT_RATES = "0.89,2.67,5.33,8"
TABLE_WIDTH = 200  # characters, if standard output is not a terminal


def parse_rates(value: str) -> tuple[float, ...]:
    """Convert rates in kbps separated by commas. Raises click.BadParameter."""
    try:
        rates = tuple(float(rate) for rate in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of rates such as {DEFAULT_RATES}") from None
    if not all(rate > 0 for rate in rates):
        raise click.BadParameter("rates must be positive")
    return rates


@click.command("eval", cls=Command, examples=EXAMPLES, short_help="Measure quality at several rates.")
@click.argument("references", metavar="REF...", nargs=-1, required=True, type=click.Path(readable=False))
@click.option(
    "--kbps",
    type=parse_rates,
    metavar="LIST",
    default=DEFAULT_RATES,
    show_default=True,
    help="Rates, separated by commas.",
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Evaluate constant rates at every effort, average rates, and constant qualities.",
)
@effort_option
@click.option("--no-pesq", is_flag=True, help="Do not measure PESQ.")
@click.option("--no-stoi", is_flag=True, help="Do not measure STOI.")
@click.option("--no-visqol", is_flag=True, help="Do not measure ViSQOL, which is the slowest metric.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of processes that compute metrics.",
)
@click.option(
    "--plot",
    metavar="PNG|SVG|PDF",
    type=click.Path(readable=False),
    help="Plot quality against rate into a file (needs switchcodec-cli[plot]).",
)
@channels_option
@phase_iterations_option
@weights_option
@device_option
@force_option
@click.option("--json", "as_json", is_flag=True, help="Print all results as one JSON object.")
@quiet_option
@click.pass_obj
def evaluate(
    invocation: Invocation,
    /,
    references: tuple[str, ...],
    kbps: tuple[float, ...],
    sweep: bool,
    effort: int,
    no_pesq: bool,
    no_stoi: bool,
    no_visqol: bool,
    workers: int,
    plot: str | None,
    channels: str,
    phase_iterations: int | None,
    weights: str | None,
    device: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Encode and decode recordings at several rates, and measure the quality.

    REF are audio files and folders. Mel distance, STFT distance and SI-SDR are always measured; PESQ, STOI
    and ViSQOL are measured if their packages are installed (switchcodec-cli[eval]).
    """
    from ..evaluation import METRICS, available_metrics, rate_quality, sweep_points

    if plot is not None:
        from ..report.figure_file import check_figure_path

        check_figure_path(plot, force)
    excluded = {"pesq": no_pesq, "stoi": no_stoi, "visqol": no_visqol}
    metrics = [name for name in available_metrics() if not excluded.get(name, False)]
    missing = [name for name in METRICS if name not in available_metrics()]

    from ..api import Codec

    codec = Codec.load(weights, device)
    progress = Progress("evaluating", quiet=quiet, debug=invocation.debug)
    with progress:
        if missing:
            progress.message(f"not installed and omitted: {', '.join(missing)} (switchcodec-cli[eval])")
        progress.start("evaluating", None)

        def on_row(row: Row, done: int, total: int) -> None:
            progress.advance(row.seconds)
            progress.message(f"{done}/{total} {_row_text(row)}")

        result = rate_quality(
            codec,
            references,
            sweep_points(kbps, effort) if sweep else kbps,
            metrics=metrics,
            channels=channels,
            workers=workers,
            encode_options={"effort": effort},
            decode_options={"phase_iterations": phase_iterations},
            on_row=on_row,
        )
        for error in result.errors.values():
            progress.error(SwcError(error))
    _print_result(result, as_json)
    if plot is not None and result.rows:
        from ..report.rate_quality_figure import plot_rate_quality

        plot_rate_quality(result, plot, force)
    return exit_code_of_files(list(result.exit_codes.values()), result.files)


def _row_text(row: Row) -> str:
    curve = f"{row.curve}, {row.setting}: " if row.curve else ""
    scores = " ".join(f"{name} {value:.3f}" for name, value in row.scores.items())
    return f"{row.file}: {curve}{row.kbps:.3f} kbps, {scores}"


def _print_result(result: RateQuality, as_json: bool) -> None:
    if as_json:
        click.echo(format_json(result.as_dict()))
    elif result.rows:
        from rich.console import Console

        width = None if sys.stdout.isatty() else TABLE_WIDTH
        Console(file=sys.stdout, width=width).print(result.table())
