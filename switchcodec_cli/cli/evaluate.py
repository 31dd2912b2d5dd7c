"""`swc eval`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SwcError, UsageError
from .errors import Invocation, exit_code_of_files
from .formatting import format_json, format_size
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
    from ..evaluation import AudioStore, DecodedFolder, Point, RateQuality, Row
    from ..report.listening_page import PageOptions

EXAMPLES = (
    ("swc eval speech.wav", "Prints a table of quality at four rates."),
    (
        "swc eval valid/ --kbps 1.78,2.67 --no-visqol --workers 2",
        "Prints the means over each folder in a tree.",
    ),
    ("swc eval valid/ --sweep --plot curves.png", "Compares all efforts, average rate and constant quality."),
    ("swc eval valid/ --plot curves.png --json > results.json", "Plots the curves and saves all results."),
    (
        "swc eval valid/ --html report.html --codec opus --also EnCodec@6=encodec6/",
        "Makes a page with audio to compare with Opus, and with files that EnCodec decoded at 6 kbps.",
    ),
)
OWN_CURVE = "swc"  # its name beside other codecs
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


def parse_folders(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[DecodedFolder]:
    """Convert folders of decoded files, NAME=DIR or NAME@KBPS=DIR. Raises click.BadParameter."""
    from ..evaluation import DecodedFolder

    folders = []
    for value in values:
        label, _equals, folder = value.partition("=")
        name, _at, rate = label.partition("@")
        if not name or not folder:
            raise click.BadParameter(f"{value!r} is not NAME=DIR or NAME@KBPS=DIR")
        folders.append(DecodedFolder(name, Path(folder), parse_rates(rate)[0] if rate else None))
    labels = [(folder.name, folder.kbps) for folder in folders]
    if len(set(labels)) < len(labels):
        raise click.BadParameter("two folders have the same name and rate")
    return folders


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
@click.option(
    "--html",
    metavar="HTML",
    type=click.Path(readable=False),
    help="Write a page with curves, audio to compare, and blind tests (needs switchcodec-cli[report]).",
)
@click.option("--assets", is_flag=True, help="Put the audio of the page into a folder beside it.")
@click.option(
    "--codec",
    "codecs",
    metavar="LIST",
    default="",
    help="Compare with other codecs, separated by commas: opus (at 6, 12 and 24 kbps; needs ffmpeg).",
)
@click.option(
    "--also",
    metavar="NAME[@KBPS]=DIR",
    multiple=True,
    callback=parse_folders,
    help="Compare with files in DIR that were decoded elsewhere and have the names of the originals; can be "
    "repeated.",
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
    html: str | None,
    assets: bool,
    codecs: str,
    also: list[DecodedFolder],
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
    from ..evaluation import METRICS, available_metrics, points_of_other_codecs, rate_quality

    if plot is not None:
        from ..report.figure_file import check_figure_path

        check_figure_path(plot, force)
    for decoded in also:
        if not decoded.folder.is_dir():
            raise UsageError(f"{decoded.folder}: no such folder")
    page = _page_options(html, assets, force)
    other_points = points_of_other_codecs([name for name in codecs.split(",") if name])
    excluded = {"pesq": no_pesq, "stoi": no_stoi, "visqol": no_visqol}
    metrics = [name for name in available_metrics() if not excluded.get(name, False)]
    missing = [name for name in METRICS if name not in available_metrics()]

    from ..api import Codec

    codec = Codec.load(weights, device)
    own_points = _own_points(kbps, sweep, effort, OWN_CURVE if other_points or also else "")
    progress = Progress("evaluating", quiet=quiet, debug=invocation.debug)
    with progress, _audio_store(page) as store:
        if missing:
            progress.message(f"not installed and omitted: {', '.join(missing)} (switchcodec-cli[eval])")
        progress.start("evaluating", None)

        def on_row(row: Row, done: int, total: int) -> None:
            progress.advance(row.seconds)
            progress.message(f"{done}/{total} {_row_text(row)}")

        result = rate_quality(
            codec,
            references,
            [*own_points, *other_points],
            metrics=metrics,
            channels=channels,
            workers=workers,
            encode_options={"effort": effort},
            decode_options={"phase_iterations": phase_iterations},
            also=also,
            on_coded=store.keep if store else None,
            on_row=on_row,
        )
        for error in result.errors.values():
            progress.error(SwcError(error))
        if page and store and result.rows:
            _write_page(result, store, replace(page, weights=codec.fingerprint.hex()), progress)
    _print_result(result, as_json)
    if plot is not None and result.rows:
        from ..report.rate_quality_figure import plot_rate_quality

        plot_rate_quality(result, plot, force)
    return exit_code_of_files(list(result.exit_codes.values()), result.files)


def _own_points(kbps: Sequence[float], sweep: bool, effort: int, curve: str) -> list[Point]:
    from ..evaluation import Point, sweep_points

    return sweep_points(kbps, effort) if sweep else [Point.at_rate(rate, curve) for rate in kbps]


def _page_options(html: str | None, assets: bool, force: bool) -> PageOptions | None:
    """Where the page is written, if one is wanted. Raises UsageError if it cannot be."""
    if html is None:
        if assets:
            raise UsageError("--assets goes with --html")
        return None
    from ..report.listening_page import PageOptions, check_page

    options = PageOptions(html, assets=assets, force=force)
    check_page(options)
    return options


@contextmanager
def _audio_store(page: PageOptions | None) -> Iterator[AudioStore | None]:
    """Keeps the audio of the page until it is written."""
    if page is None:
        yield None
        return
    from ..evaluation import AudioStore

    with AudioStore() as store:
        yield store


def _write_page(result: RateQuality, store: AudioStore, page: PageOptions, progress: Progress) -> None:
    from ..report.listening_page import LARGE_PAGE, write_page

    progress.start(f"writing {page.path}", store.seconds)
    size = write_page(result, store.items, page, progress.advance)
    progress.finish()
    progress.message(f"{page.path}: {format_size(size)}")
    if size > LARGE_PAGE:
        progress.warning(f"{page.path}: is large for a browser; --assets puts the audio into files beside it")


def _row_text(row: Row) -> str:
    curve = f"{', '.join(filter(None, [row.curve, row.setting]))}: " if row.curve else ""
    scores = " ".join(f"{name} {value:.3f}" for name, value in row.scores.items())
    rate = f"{row.kbps:.3f} kbps" if math.isfinite(row.kbps) else "rate unknown"
    return f"{row.file}: {curve}{rate}, {scores}"


def _print_result(result: RateQuality, as_json: bool) -> None:
    if as_json:
        click.echo(format_json(result.as_dict()))
    elif result.rows:
        from rich.console import Console

        width = None if sys.stdout.isatty() else TABLE_WIDTH
        Console(file=sys.stdout, width=width).print(result.table())
