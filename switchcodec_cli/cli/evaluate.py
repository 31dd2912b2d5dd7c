"""`swc eval`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from ..api import Codec
    from ..evaluation import AudioStore, DecodedFolder, NoReference, Point, RateQuality, Row, Score
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
        "swc eval interviews/ --kbps 2.67 --metrics speech --transcripts words/",
        "Measures naturalness, voice, words and pitch of speech.",
    ),
    ("swc eval archive/ --no-reference", "Measures recordings whose originals are gone."),
    (
        "swc eval valid/ --html report.html --codec opus --also EnCodec@6=encodec6/",
        "Makes a page with audio to compare with Opus, and with files that EnCodec decoded at 6 kbps.",
    ),
)
OWN_CURVE = "swc"  # its name beside other codecs
DEFAULT_RATES = "0.89,2.67,5.33,8"
TABLE_WIDTH = 200  # characters, if standard output is not a terminal
_MAX_LISTED = 10  # recordings without transcript
_ALONE_PARAMETERS = frozenset({"references", "alone", "metrics", "weights", "device", "as_json", "quiet"})


def parse_rates(value: str) -> tuple[float, ...]:
    """Convert rates in kbps separated by commas. Raises click.BadParameter."""
    try:
        rates = tuple(float(rate) for rate in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of rates such as {DEFAULT_RATES}") from None
    if not all(rate > 0 for rate in rates):
        raise click.BadParameter("rates must be positive")
    return rates


def parse_names(value: str) -> tuple[str, ...]:
    """Split names separated by commas."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


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
@click.option(
    "--metrics",
    type=parse_names,
    metavar="LIST",
    help="Metrics, separated by commas, or groups of them: default, speech, levels, stereo, all.",
)
@click.option(
    "--transcripts",
    metavar="FILE|DIR",
    type=click.Path(readable=False),
    help="What is said, for the word error rate: lines with the name of a recording without suffix and its "
    "words, or a folder with NAME.txt for every NAME.wav.",
)
@click.option(
    "--no-reference",
    "alone",
    is_flag=True,
    help="Measure recordings and .swc files by themselves, without an original.",
)
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
    type=parse_names,
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
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    references: tuple[str, ...],
    kbps: tuple[float, ...],
    sweep: bool,
    effort: int,
    metrics: tuple[str, ...] | None,
    transcripts: str | None,
    alone: bool,
    no_pesq: bool,
    no_stoi: bool,
    no_visqol: bool,
    workers: int,
    plot: str | None,
    html: str | None,
    assets: bool,
    codecs: tuple[str, ...],
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

    REF are audio files and folders. By default, mel distance, STFT distance and SI-SDR are measured, and
    PESQ, STOI and ViSQOL if their packages are installed (switchcodec-cli[eval]). --metrics chooses others,
    by their names or as groups: "speech" has PESQ, STOI, DNSMOS, the similarity of the speaker's voice, the
    words that a recogniser understands, and pitch; "levels" the changes of level, overall and by octave;
    "stereo" those between the channels.

    With --no-reference, REF are recordings or .swc files to measure by themselves, with DNSMOS.
    """
    from ..evaluation import (
        check_metrics,
        load_transcripts,
        missing_metrics,
        points_of_other_codecs,
        rate_quality,
    )

    invocation: Invocation = context.obj
    if alone:
        _check_alone(context)
        return _evaluate_alone(invocation, references, metrics, weights, device, as_json, quiet)
    if plot is not None:
        from ..report.figure_file import check_figure_path

        check_figure_path(plot, force)
    for decoded in also:
        if not decoded.folder.is_dir():
            raise UsageError(f"{decoded.folder}: no such folder")
    page = _page_options(html, assets, force)
    other_points = points_of_other_codecs(codecs)
    excluded = {"pesq": no_pesq, "stoi": no_stoi, "visqol": no_visqol}
    names = _names_without(metrics or ("default",), [name for name, out in excluded.items() if out])
    spoken = None
    if transcripts is not None:
        spoken = load_transcripts(transcripts)
        names = (*names, "wer", "wer_original")
    check_metrics(names, spoken is not None)

    from ..api import Codec

    codec = Codec.load(weights, device)
    own_points = _own_points(kbps, sweep, effort, OWN_CURVE if other_points or also else "")
    progress = Progress("evaluating", quiet=quiet, debug=invocation.debug)
    with progress, _audio_store(page) as store:
        _report_missing(progress, missing_metrics(names))
        if spoken is not None:
            _report_without_transcript(progress, references, spoken)
        progress.start("evaluating", None)

        def on_row(row: Row, done: int, total: int) -> None:
            progress.advance(row.seconds)
            progress.message(f"{done}/{total} {_row_text(row)}")

        result = rate_quality(
            codec,
            references,
            [*own_points, *other_points],
            metrics=names,
            transcripts=spoken,
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


def _check_alone(context: click.Context) -> None:
    """Refuse options that have no meaning with --no-reference. Raises UsageError."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name not in _ALONE_PARAMETERS:
            raise UsageError(f"--no-reference and {parameter.opts[0]} are mutually exclusive")


def _evaluate_alone(
    invocation: Invocation,
    paths: tuple[str, ...],
    metrics: tuple[str, ...] | None,
    weights: str | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Measure recordings without an original."""
    from ..evaluation import missing_metrics, no_reference

    names = metrics or ("no-reference",)
    progress = Progress("evaluating", quiet=quiet, debug=invocation.debug)
    with progress:
        _report_missing(progress, missing_metrics(names))
        progress.start("evaluating", None)

        def on_row(row: Score, done: int, total: int) -> None:
            progress.advance(row.seconds)
            progress.message(f"{done}/{total} {row.file}: {_scores_text(row.scores)}")

        result = no_reference(paths, _StreamDecoder(weights, device), metrics=names, on_row=on_row)
        for error in result.errors.values():
            progress.error(SwcError(error))
    _print_result(result, as_json)
    return exit_code_of_files(list(result.exit_codes.values()), result.files)


@dataclass
class _StreamDecoder:
    """Decodes streams; loads the weights for the first one."""

    weights: str | None
    device: str

    @cached_property
    def _codec(self) -> Codec:
        from ..api import Codec

        return Codec.load(self.weights, self.device)

    def __call__(self, data: bytes) -> tuple[Any, int]:
        return self._codec.decode(data)


def _names_without(names: Sequence[str], excluded: Sequence[str]) -> tuple[str, ...]:
    """Names of metrics and groups without some metrics; groups that contain one become their members."""
    from ..evaluation import GROUPS, available_metrics

    result: list[str] = []
    for name in names:
        is_cut = bool(set(GROUPS.get(name, ())) & set(excluded))
        result += available_metrics(name) if is_cut else (name,)
    return tuple(name for name in result if name not in excluded)


def _report_missing(progress: Progress, missing: Sequence[str]) -> None:
    """Say which metrics are left out because their packages are not installed, and what installs them."""
    from ..evaluation import METRICS

    sources: dict[str, list[str]] = {}
    for name in missing:
        package = METRICS[name].package
        sources.setdefault(package.install if package else "", []).append(name)
    for install, names in sources.items():
        progress.message(f"not installed and omitted: {', '.join(names)} ({install})")


def _report_without_transcript(
    progress: Progress, references: Sequence[str], transcripts: Mapping[str, str]
) -> None:
    """Say which recordings have no transcript."""
    from ..evaluation import find_audio_files

    without = [file for file in find_audio_files(references) if file.stem not in transcripts]
    for file in without[:_MAX_LISTED]:
        progress.warning(f"{file}: has no transcript")
    if len(without) > _MAX_LISTED:
        progress.warning(f"and {len(without) - _MAX_LISTED} more recordings without transcript")


def _row_text(row: Row) -> str:
    curve = f"{', '.join(filter(None, [row.curve, row.setting]))}: " if row.curve else ""
    rate = f"{row.kbps:.3f} kbps" if math.isfinite(row.kbps) else "rate unknown"
    return f"{row.file}: {curve}{rate}, {_scores_text(row.scores)}"


def _scores_text(scores: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in scores.items())


def _print_result(result: RateQuality | NoReference, as_json: bool) -> None:
    if as_json:
        click.echo(format_json(result.as_dict()))
    elif result.rows:
        from rich.console import Console

        width = None if sys.stdout.isatty() else TABLE_WIDTH
        Console(file=sys.stdout, width=width).print(*result.tables(), sep="\n")
