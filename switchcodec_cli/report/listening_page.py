"""An evaluation as one web page: curves, audio of every file at every rate, and blind listening tests.

The page is the template `listening_page/page.html` (Jinja2) with a style sheet and scripts beside it. It is
written piece by piece, so that memory does not grow with the amount of audio.
"""

from __future__ import annotations

import base64
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..atomic_io import atomic_path, write_error
from ..bitstream import BlockKind, inspect
from ..errors import UsageError
from ..evaluation.metrics import METRICS
from ..evaluation.statistics import CurvePoint, bjontegaard_rate_difference
from .figure_file import import_matplotlib
from .quality_panels import MeanScore, mean_score, quality_panels
from .routing_text import signal_names

if TYPE_CHECKING:
    from jinja2 import Template

    from ..evaluation import RateQuality, Row, StoredAudio, StoredItem, StoredVersion

TEMPLATES = Path(__file__).parent / "listening_page"
SCRIPTS = ("statistics.js", "playback.js", "spectrogram.js", "items.js", "listening_tests.js", "page.js")
LARGE_PAGE = 50_000_000  # bytes, of which some browsers need many times as much memory
_CLIP_FILE = re.compile(r"\d+-\d+\.js")
_NO_REQUESTS = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_AUDIO_BESIDE_IT = _NO_REQUESTS.replace("script-src", "script-src 'self' file:")


@dataclass(frozen=True)
class PageOptions:
    """How a page is written."""

    path: str
    title: str = "Listening report"
    weights: str = ""  # fingerprint
    assets: bool = False  # audio in scripts beside the page
    force: bool = False  # overwrite existing files

    @property
    def assets_folder(self) -> Path:
        """Folder of the audio, if it is not in the page."""
        return Path(self.path).with_name(f"{Path(self.path).stem}_audio")


@dataclass(frozen=True)
class Clip:
    """Audio that the page plays."""

    name: str
    path: Path
    seconds: float

    def base64(self) -> str:
        """The file in base64."""
        return base64.b64encode(self.path.read_bytes()).decode()


def check_page(options: PageOptions) -> None:
    """Check that a page can be written.

    Raises:
        UsageError: it exists already, its suffix is not that of a web page, or a package is not installed.
    """
    if Path(options.path).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{options.path}: a report is written as .html")
    folder = options.assets_folder
    for path in (Path(options.path), *([folder] if options.assets else [])):
        if path.exists() and not options.force:
            raise UsageError(f"{path}: exists already (use --force to overwrite it)")
    if options.assets and folder.exists() and not _holds_only_clips(folder):
        raise UsageError(f"{folder}: is not a folder of a report, and is not overwritten")
    import_matplotlib()
    _template()


def write_page(
    result: RateQuality,
    items: Sequence[StoredItem],
    options: PageOptions,
    on_progress: Callable[[float], None] | None = None,
) -> int:
    """Write the page.

    Args:
        result: The measures.
        items: The audio.
        options: Where and how.
        on_progress: Called with the seconds of each piece of audio when it is written.

    Returns:
        The size of the page in bytes.

    Raises:
        UsageError: see `check_page`.
        SwcError: a file cannot be written.
    """
    check_page(options)
    pieces = _template().generate(**_content(result, items, options))
    clips = _report_progress(_clips(items), on_progress)
    if options.assets:
        _write_assets(clips, options)
        clips = iter(())
    with atomic_path(options.path, options.force) as temporary:
        with open(temporary, "w", encoding="utf-8") as page:
            for piece in pieces:
                page.write(piece)
            for clip in clips:
                page.write(f'<script type="text/plain" id="clip-{clip.name}">{clip.base64()}</script>\n')
            page.write("</body></html>\n")
        return temporary.stat().st_size


def _template() -> Template:
    try:
        import jinja2
    except ImportError:
        raise UsageError("reports need Jinja2: pip install 'switchcodec-cli[report]'") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = _number
    return environment.get_template("page.html")


def _report_progress(clips: Iterator[Clip], on_progress: Callable[[float], None] | None) -> Iterator[Clip]:
    for clip in clips:
        yield clip
        if on_progress:
            on_progress(clip.seconds)


def _holds_only_clips(folder: Path) -> bool:
    return folder.is_dir() and all(_CLIP_FILE.fullmatch(path.name) for path in folder.iterdir())


def _write_assets(clips: Iterator[Clip], options: PageOptions) -> None:
    """Write a folder with a script per clip; it appears when it is complete."""
    folder = options.assets_folder
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir()
        for clip in clips:
            text = f'registerClip("{clip.name}","{clip.base64()}");\n'
            (temporary / f"{clip.name}.js").write_text(text, encoding="ascii")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        raise write_error(folder, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _clips(items: Sequence[StoredItem]) -> Iterator[Clip]:
    for number, item in enumerate(items):
        yield Clip(f"{number}-0", item.original.path, item.seconds)
        for index, version in enumerate(item.versions):
            yield Clip(f"{number}-{index + 1}", version.audio.path, item.seconds)


def _content(result: RateQuality, items: Sequence[StoredItem], options: PageOptions) -> dict[str, Any]:
    """The variables of the template."""
    curves = list(dict.fromkeys(row.curve for row in result.rows))
    return {
        "title": options.title,
        "data": _data(result, items, options),
        "policy": _AUDIO_BESIDE_IT if options.assets else _NO_REQUESTS,
        "style": (TEMPLATES / "page.css").read_text(encoding="utf-8"),
        "scripts": "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS),
        "metrics": [METRICS[name] for name in result.metrics],
        "curves": curves,
        "panels": quality_panels(result),
        "means": list(_mean_lines(result)),
        "rate_differences": list(_rate_differences(result, curves)),
        "errors": result.errors,
    }


def _data(result: RateQuality, items: Sequence[StoredItem], options: PageOptions) -> dict[str, Any]:
    """What the scripts of the page read."""
    rows = {(row.file, row.curve, row.setting): row for row in result.rows}
    names = _short_names([item.file for item in items])
    rates = [item.sample_rate for item in items]
    return {
        "title": options.title,
        "swc": __version__,
        "weights": options.weights,
        "sampleRate": max(set(rates), key=rates.count, default=44100),
        "assets": options.assets_folder.name if options.assets else None,
        "metrics": [
            {
                "name": name,
                "title": METRICS[name].title,
                "arrow": METRICS[name].arrow,
                "lowerIsBetter": METRICS[name].lower_is_better,
                "zeroIsBest": METRICS[name].zero_is_best,
                "decimals": METRICS[name].decimals,
            }
            for name in result.metrics
        ],
        "items": [
            {
                "name": names[item.file],
                "kind": item.kind,
                "seconds": item.seconds,
                "channels": item.channels,
                "sampleRate": item.sample_rate,
                "original": {"clip": f"{number}-0", **_audio_data(item.original)},
                "versions": [
                    {
                        "clip": f"{number}-{index + 1}",
                        "name": version_name(version.curve, version.setting),
                        "routing": _routing(version),
                        **_audio_data(version.audio),
                        **_row_data(rows[item.file, version.curve, version.setting]),
                    }
                    for index, version in enumerate(item.versions)
                    if (item.file, version.curve, version.setting) in rows
                ],
            }
            for number, item in enumerate(items)
        ],
    }


def version_name(curve: str, setting: str) -> str:
    """What a version is called in the page: "Opus 12 kbps", "2.67 kbps", "constant, effort 1: Q 5"."""
    rate = f"{setting} kbps" if setting.replace(".", "", 1).isdigit() else setting
    return " ".join(filter(None, [curve, rate]))


def _short_names(files: Sequence[str]) -> dict[str, str]:
    """Names of files without the folders that all of them have in common."""
    if len(files) == 1:
        return {files[0]: Path(files[0]).name}
    common = os.path.commonpath([Path(file).resolve().parent for file in files]) if files else ""
    return {file: os.path.relpath(Path(file).resolve(), common) for file in files}


def _audio_data(audio: StoredAudio) -> dict[str, Any]:
    return {"loudness": _finite(audio.loudness), "clipped": audio.clipped}


def _row_data(row: Row) -> dict[str, Any]:
    scores = {name: _finite(score) for name, score in row.scores.items()}
    return {"kbps": _finite(row.kbps), "size": row.size, "scores": scores}


def _routing(version: StoredVersion) -> dict[str, Any] | None:
    """Which experts are used when, if the version is a stream of this project.

    `masks` has for each signal and window the bits of its experts, or -1 for a block that is not coded.
    """
    if version.stream is None:
        return None
    with open(version.stream, "rb") as file:
        summary = inspect(file)
    coded = [[mode.kind is BlockKind.CODED for mode in modes or ()] for modes in summary.modes]
    bits = (summary.masks @ (1 << np.arange(summary.masks.shape[2]))).tolist()  # (windows, signals)
    return {
        "windowSeconds": summary.header.parameters.window_seconds,
        "experts": summary.header.parameters.experts,
        "signals": list(signal_names(summary.header)),
        "masks": [
            [bits[window][signal] if modes and modes[signal] else -1 for window, modes in enumerate(coded)]
            for signal in range(summary.header.signals)
        ],
    }


@dataclass(frozen=True)
class _MeanLine:
    """A line of the table of means."""

    kind: str
    version: str
    files: int
    kbps: float
    scores: list[MeanScore]  # in the order of the measures


def _mean_lines(result: RateQuality) -> Iterator[_MeanLine]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in result.rows:
        groups.setdefault((row.kind, row.curve, row.setting), []).append(row)
    for kind in dict.fromkeys(row.kind for row in result.rows):
        for (group_kind, curve, setting), rows in groups.items():
            if group_kind == kind:
                kbps = sum(row.kbps * row.seconds for row in rows) / sum(row.seconds for row in rows)
                scores = [mean_score(rows, metric) for metric in result.metrics]
                yield _MeanLine(kind, version_name(curve, setting), len(rows), kbps, scores)


@dataclass(frozen=True)
class _RateDifferences:
    """How much more rate a curve needs than the first one, for each measure."""

    kind: str
    curve: str
    values: list[float]  # in percent, in the order of the measures


def _rate_differences(result: RateQuality, curves: Sequence[str]) -> Iterator[_RateDifferences]:
    for kind in dict.fromkeys(row.kind for row in result.rows):
        for curve in curves[1:]:
            values = [
                100 * bjontegaard_rate_difference(*(_points(result, kind, each, metric) for each in pair))
                for metric in result.metrics
                for pair in [(curves[0], curve)]
            ]
            if not all(math.isnan(value) for value in values):
                yield _RateDifferences(kind, curve, values)


def _points(result: RateQuality, kind: str, curve: str, metric: str) -> list[CurvePoint]:
    rows = [row for row in result.rows if row.kind == kind and row.curve == curve]
    if METRICS[metric].zero_is_best:
        rows = [replace(row, scores={metric: abs(row.scores[metric])}) for row in rows]
    means = [
        mean_score([row for row in rows if row.setting == setting], metric)
        for setting in dict.fromkeys(row.setting for row in rows)
    ]
    return [CurvePoint(mean.kbps, mean.score) for mean in means]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"
