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

from ..audio import READABLE_SUFFIXES, AudioReader, choose_channels, mix
from ..errors import BadInputError, SwcError, UsageError
from .metrics import LOWER_IS_BETTER, choose_metrics, measure

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
class Point:
    """One way to encode, a point of a curve of quality against rate."""

    curve: str
    """Name of the curve, "" where there is one only."""
    setting: str
    """What is asked for, in few characters: a rate in kbps, or "Q" and a quality."""
    options: Mapping[str, Any]
    """Keyword arguments for the codec's `encode`."""
    asked_kbps: float | None = None

    @classmethod
    def at_rate(cls, kbps: float, curve: str = "", name: str = "kbps", **options: Any) -> Point:
        """A rate that is given to the codec as the argument called `name`."""
        return cls(curve, f"{kbps:g}", {name: kbps, **options}, float(kbps))


@dataclass(frozen=True)
class Row:
    """One file at one point."""

    file: str
    kind: str
    """Name of the folder the file lies in."""
    curve: str
    setting: str
    asked_kbps: float | None
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
    """All rows of a run, in the order of files and then points, and the files that failed."""

    metrics: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    """File: what was wrong with it, one line."""

    def means(self) -> list[dict[str, Any]]:
        """Per kind and point, then over all kinds (kind "all") where there are several.

        Scores are means over files that have one; kbps is all bits over all time.
        """
        kinds = list(dict.fromkeys(row.kind for row in self.rows))
        groups = [(kind, [row for row in self.rows if row.kind == kind]) for kind in kinds]
        if len(kinds) > 1:
            groups.append(("all", self.rows))
        result = []
        for kind, rows in groups:
            for curve, setting in dict.fromkeys((row.curve, row.setting) for row in rows):
                group = [row for row in rows if (row.curve, row.setting) == (curve, setting)]
                seconds = sum(row.seconds for row in group)
                result.append(
                    {
                        "kind": kind,
                        "curve": curve,
                        "setting": setting,
                        "asked_kbps": group[0].asked_kbps,
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
        """The means, one line per kind and point."""
        table = Table(title="Rate and quality")
        several = any(row.curve for row in self.rows)
        for title in ("kind", "curve")[: 1 + several]:
            table.add_column(title, no_wrap=True)
        for title in ("asked kbps", "real kbps", "files"):
            table.add_column(title, justify="right")
        for name in self.metrics:
            arrow = "↓" if name in LOWER_IS_BETTER else "↑"
            table.add_column(f"{TITLES[name]} {arrow}", justify="right", no_wrap=True)
        previous = None
        for mean in self.means():
            group = [mean["kind"], mean["curve"]][: 1 + several]
            if previous not in (None, group):
                table.add_section()
            scores = [_cell(mean["scores"][name], _DECIMALS.get(name, 3)) for name in self.metrics]
            names = [""] * len(group) if group == previous else group
            table.add_row(*names, mean["setting"], f"{mean['kbps']:.3f}", str(mean["files"]), *scores)
            previous = group
        return table


def find_audio_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files named, and all audio files inside the folders named, sorted within each folder.

    Raises:
        BadInputError: a path does not exist, or there is nothing to measure.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.suffix.lower() in READABLE_SUFFIXES)
            found += sorted(file for file in inside if file.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"{path}: no such file or folder")
    if not found:
        raise BadInputError("there is no audio file to measure")
    return list(dict.fromkeys(found))


def sweep_points(rates: Sequence[float], effort: int) -> list[Point]:
    """The curves that an encoder of this project can take: a constant rate at every effort, an average rate
    and a constant quality at the given one."""
    from ..encoder import BEST_QUALITY, EFFORTS

    points = [
        Point.at_rate(rate, f"constant, effort {each}", effort=each) for each in EFFORTS for rate in rates
    ]
    points += [
        Point.at_rate(rate, f"average, effort {effort}", "average_kbps", effort=effort) for rate in rates
    ]
    qualities = [part * BEST_QUALITY for part in (0, 0.25, 0.5, 0.75, 1)]
    return points + [
        Point(f"quality, effort {effort}", f"Q {quality:g}", {"quality": quality, "effort": effort})
        for quality in qualities
    ]


def rate_quality(
    codec: EncoderDecoder,
    paths: Iterable[str | os.PathLike[str]],
    points: Sequence[float | Point],
    *,
    metrics: Sequence[str] | None = None,
    channels: str = "auto",
    workers: int = 1,
    encode_options: Mapping[str, Any] | None = None,
    decode_options: Mapping[str, Any] | None = None,
    on_row: Callable[[Row, int, int], None] | None = None,
) -> RateQuality:
    """Encode every file at every point, decode the bytes, and measure what came back.

    Args:
        codec: encodes and decodes; its bytes are counted, so they must be the whole file.
        paths: files and folders. A file's kind is the name of the folder it lies in.
        points: rates in kbps to ask for, or other ways to encode.
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
    if not points:
        raise UsageError("there is no rate to measure at")
    distinct: dict[tuple[str, str], Point] = {}
    for each in points:
        point = each if isinstance(each, Point) else Point.at_rate(each)
        distinct.setdefault((point.curve, point.setting), point)
    files = find_audio_files(paths)
    result = RateQuality(choose_metrics(metrics))
    total, done = len(files) * len(distinct), 0

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
                    codec, file, distinct.values(), channels, encode_options or {}, decode_options or {}
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
    codec: EncoderDecoder,
    file: Path,
    points: Iterable[Point],
    channels: str,
    encode_options: Mapping[str, Any],
    decode_options: Mapping[str, Any],
) -> Iterator[tuple[Row, np.ndarray, np.ndarray, int]]:
    """A row without scores, the mono original and the mono decoded signal, for each point."""
    with AudioReader(file) as reader:
        sample_rate = reader.sample_rate
        count = choose_channels(reader.channels, channels, reader.name)
        audio = mix(reader.read(), count)
    if not len(audio):
        raise BadInputError(f"{file}: holds no audio to measure")
    reference, seconds = audio.mean(axis=1), len(audio) / sample_rate
    kind = file.resolve().parent.name
    for point in points:
        started = time.perf_counter()
        options = {**encode_options, **point.options}
        data = codec.encode(audio if count > 1 else audio[:, 0], sample_rate, **options)
        encoded = time.perf_counter()
        decoded, decoded_rate = codec.decode(data, **decode_options)
        finished = time.perf_counter()
        if decoded_rate != sample_rate:
            raise SwcError(f"{file}: came back at {decoded_rate} Hz instead of {sample_rate} Hz")
        row = Row(
            str(file), kind, point.curve, point.setting, point.asked_kbps, 8e-3 * len(data) / seconds,
            len(data), seconds, encoded - started, finished - encoded, {},
        )  # fmt: skip
        yield row, reference, decoded.mean(axis=1) if decoded.ndim == 2 else decoded, sample_rate


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
