"""Quality at several rates: encode, decode and measure real files, and put the figures in a table."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.table import Table

from ..audio import FORMATS, AudioReader, choose_channels, mix
from ..errors import BadInputError, SwcError, UsageError
from ..files import atomic_path
from .metrics import LOWER_IS_BETTER, choose_metrics, measure

AUDIO_SUFFIXES = frozenset({*FORMATS, ".aifc", ".rf64", ".snd"} - {".raw", ".pcm"})
TITLES = {
    "mel": "Mel",
    "stft": "STFT",
    "si_sdr": "SI-SDR",
    "pesq": "PESQ",
    "stoi": "STOI",
    "visqol": "ViSQOL",
}
_DECIMALS = {"si_sdr": 1, "pesq": 2, "visqol": 2}


class EncoderDecoder(Protocol):
    """What is evaluated: anything that turns audio into bytes and back, such as `switchcodec_cli.Codec`."""

    def encode(self, audio: np.ndarray, sample_rate: int, **options: Any) -> bytes: ...

    def decode(self, data: bytes, **options: Any) -> tuple[np.ndarray, int]: ...


@dataclass(frozen=True)
class Row:
    """One file at one rate."""

    file: str
    kind: str
    """Name of the folder the file lies in."""
    asked_kbps: float
    kbps: float
    """Real rate: all bytes of the `.swc` file over the duration."""
    size: int
    """Bytes."""
    seconds: float
    encode_seconds: float
    decode_seconds: float
    scores: dict[str, float]


@dataclass
class RateQuality:
    """All rows of a run, in the order of files and then rates, and the files that failed."""

    metrics: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    """File: what was wrong with it, one line."""

    def means(self) -> list[dict[str, Any]]:
        """Per kind and rate, then over all kinds (kind "all") where there are several.

        Scores are means over files that have one; kbps is all bits over all time.
        """
        kinds = list(dict.fromkeys(row.kind for row in self.rows))
        groups = [(kind, [row for row in self.rows if row.kind == kind]) for kind in kinds]
        if len(kinds) > 1:
            groups.append(("all", self.rows))
        result = []
        for kind, rows in groups:
            for asked in dict.fromkeys(row.asked_kbps for row in rows):
                group = [row for row in rows if row.asked_kbps == asked]
                seconds = sum(row.seconds for row in group)
                result.append(
                    {
                        "kind": kind,
                        "asked_kbps": asked,
                        "kbps": 8e-3 * sum(row.size for row in group) / seconds,
                        "files": len(group),
                        "seconds": seconds,
                        "encode_speed": seconds / max(sum(row.encode_seconds for row in group), 1e-9),
                        "decode_speed": seconds / max(sum(row.decode_seconds for row in group), 1e-9),
                        "scores": {name: _mean([row.scores[name] for row in group]) for name in self.metrics},
                    }
                )
        return result

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; a score that could not be had is None."""
        return _plain(
            {
                "metrics": list(self.metrics),
                "means": self.means(),
                "files": [vars(row) for row in self.rows],
                "errors": self.errors,
            }
        )

    def table(self) -> Table:
        """The means, one line per kind and rate."""
        table = Table(title="Rate and quality")
        table.add_column("kind")
        for title in ("asked kbps", "real kbps", "files"):
            table.add_column(title, justify="right")
        for name in self.metrics:
            arrow = "↓" if name in LOWER_IS_BETTER else "↑"
            table.add_column(f"{TITLES[name]} {arrow}", justify="right", no_wrap=True)
        previous = None
        for mean in self.means():
            if previous not in (None, mean["kind"]):
                table.add_section()
            scores = [_cell(mean["scores"][name], _DECIMALS.get(name, 3)) for name in self.metrics]
            kind = mean["kind"] if mean["kind"] != previous else ""
            table.add_row(kind, f"{mean['asked_kbps']:g}", f"{mean['kbps']:.3f}", str(mean["files"]), *scores)
            previous = mean["kind"]
        return table


def find_audio_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files named, and all audio files inside the folders named, sorted within each folder.

    Raises:
        BadInputError: a path does not exist, or there is nothing to measure.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES)
            found += sorted(file for file in inside if file.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"{path}: no such file or folder")
    if not found:
        raise BadInputError("there is no audio file to measure")
    return list(dict.fromkeys(found))


def rate_quality(
    codec: EncoderDecoder,
    paths: Iterable[str | os.PathLike[str]],
    kbps: Sequence[float],
    *,
    metrics: Sequence[str] | None = None,
    channels: str = "auto",
    workers: int = 1,
    encode_options: Mapping[str, Any] | None = None,
    decode_options: Mapping[str, Any] | None = None,
    on_row: Callable[[Row, int, int], None] | None = None,
) -> RateQuality:
    """Encode every file at every rate, decode the bytes, and measure what came back.

    Args:
        codec: encodes and decodes; its bytes are counted, so they must be the whole file.
        paths: files and folders. A file's kind is the name of the folder it lies in.
        kbps: rates to ask for.
        metrics: names from `METRICS`; default all that are installed.
        channels: "auto", "mono" or "stereo", as in encoding.
        workers: processes that measure beside the codec; 1 measures in this one.
        encode_options, decode_options: further keyword arguments for the codec.
        on_row: called with each row, how many are done, and how many there will be at most.

    A file that cannot be read or encoded is listed in `errors`, the others go on.

    Raises:
        UsageError: an unknown metric or no rate.
        BadInputError: a path does not exist.
    """
    if not kbps:
        raise UsageError("there is no rate to measure at")
    files, rates = find_audio_files(paths), list(dict.fromkeys(kbps))
    result = RateQuality(choose_metrics(metrics))
    total, done = len(files) * len(rates), 0

    def finish(row: Row, scores: dict[str, float]) -> None:
        nonlocal done
        row.scores.update(scores)
        result.rows.append(row)
        done += 1
        if on_row:
            on_row(row, done, total)

    with ExitStack() as resources:
        pool = None
        if workers > 1:
            # A fresh interpreter each: a fork would copy the threads and locks of the codec half-alive.
            pool = resources.enter_context(
                ProcessPoolExecutor(workers, get_context("spawn"), _use_one_thread)
            )
        waiting: deque[tuple[Row, Future]] = deque()
        for file in files:
            try:
                for row, reference, decoded, sample_rate in _coded(
                    codec, file, rates, channels, encode_options or {}, decode_options or {}
                ):
                    if pool is None:
                        finish(row, measure(reference, decoded, sample_rate, result.metrics))
                        continue
                    future = pool.submit(measure, reference, decoded, sample_rate, result.metrics)
                    waiting.append((row, future))
                    while len(waiting) > 2 * workers:  # bounds the memory held by signals in the queue
                        row, future = waiting.popleft()
                        finish(row, future.result())
            except SwcError as error:
                result.errors[str(file)] = str(error)
        for row, future in waiting:
            finish(row, future.result())
    return result


def _coded(
    codec: EncoderDecoder, file: Path, rates: list[float], channels: str, encode_options, decode_options
) -> Iterator[tuple[Row, np.ndarray, np.ndarray, int]]:
    """A row without scores, the mono original and the mono decoded signal, for each rate."""
    with AudioReader(file) as reader:
        sample_rate = reader.sample_rate
        count = choose_channels(reader.channels, channels, reader.name)
        audio = mix(reader.read(), count)
    if not len(audio):
        raise BadInputError(f"{file}: holds no audio to measure")
    reference, seconds = audio.mean(axis=1), len(audio) / sample_rate
    kind = file.resolve().parent.name
    for rate in rates:
        started = time.perf_counter()
        data = codec.encode(audio if count > 1 else audio[:, 0], sample_rate, kbps=rate, **encode_options)
        encoded = time.perf_counter()
        decoded, decoded_rate = codec.decode(data, **decode_options)
        finished = time.perf_counter()
        if decoded_rate != sample_rate:
            raise SwcError(f"{file}: came back at {decoded_rate} Hz instead of {sample_rate} Hz")
        row = Row(
            str(file), kind, float(rate), 8e-3 * len(data) / seconds, len(data), seconds,
            encoded - started, finished - encoded, {},
        )  # fmt: skip
        yield row, reference, decoded.mean(axis=1) if decoded.ndim == 2 else decoded, sample_rate


def plot_rate_quality(result: RateQuality, path: str | os.PathLike[str], force: bool = False) -> None:
    """Draw every metric against the real rate, a line per kind, into a PNG, SVG or PDF file.

    Raises:
        UsageError: matplotlib is not installed, the suffix is none it knows, or the file exists.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'switchcodec-cli[plot]'") from None
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in ("png", "svg", "pdf"):
        raise UsageError(f"{path}: plots are written as .png, .svg or .pdf")
    means = result.means()
    columns = min(3, len(result.metrics))
    lines = math.ceil(len(result.metrics) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, name in zip(axes, result.metrics, strict=False):
        for kind in dict.fromkeys(mean["kind"] for mean in means if mean["kind"] != "all"):
            group = sorted((mean for mean in means if mean["kind"] == kind), key=lambda mean: mean["kbps"])
            scores = [mean["scores"][name] for mean in group]
            axis.plot([mean["kbps"] for mean in group], scores, marker="o", markersize=3, label=kind)
        better = "lower is better" if name in LOWER_IS_BETTER else "higher is better"
        axis.set(title=f"{TITLES[name]} ({better})", xlabel="kbps")
        axis.grid(alpha=0.3)
    for axis in axes[len(result.metrics) :]:
        axis.remove()
    if means:
        axes[0].legend()
    with atomic_path(path, force) as temporary:
        figure.savefig(temporary, format=suffix, dpi=120)


def _use_one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when the first measure imports it


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _cell(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
