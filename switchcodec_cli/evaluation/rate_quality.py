"""Quality against rate: files are encoded at several rates, decoded, and measured."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypedDict

from numpy.typing import NDArray
from rich.table import Table

from ..audio import READABLE_SUFFIXES, AudioReader, choose_channels, mix, resample
from ..errors import BadInputError, SwcError, UsageError
from .decoded_folder import DecodedFolder
from .metrics import METRICS, choose_metrics, measure, missing_metrics
from .signals import mean_of_known
from .table import missing_caption, score_cell, table_parts, values_for_json

ALL_KINDS = "all"


class EncoderDecoder(Protocol):
    """A codec to evaluate: turns audio into the bytes of a file and back, as `switchcodec_cli.Codec` does."""

    @property
    def encode(self) -> Callable[..., bytes]:
        """Called with audio (n,) or (n, channels), its sample rate, and options as keywords."""

    @property
    def decode(self) -> Callable[..., tuple[NDArray[Any], int]]:
        """Called with the bytes, and options as keywords; returns audio and sample rate."""


@dataclass(frozen=True)
class Point:
    """One way to encode: a point of a curve of quality against rate."""

    curve: str  # name of the curve, "" if there is one only
    setting: str  # short label: a rate in kbps, or "Q" and a quality
    options: Mapping[str, Any]  # keyword arguments for the codec's `encode`
    asked_kbps: float | None = None
    codec: EncoderDecoder | None = None  # another one than that evaluated; may decode at its own sample rate

    @classmethod
    def at_rate(
        cls,
        kbps: float,
        curve: str = "",
        name: str = "kbps",
        codec: EncoderDecoder | None = None,
        **options: Any,
    ) -> Point:
        """A rate, passed to the codec as the argument called `name`, with further options."""
        return cls(curve, f"{kbps:g}", {name: kbps, **options}, float(kbps), codec)


@dataclass(frozen=True)
class Row:
    """One file at one point."""

    file: str
    kind: str  # name of the folder that the file is in
    curve: str
    setting: str
    asked_kbps: float | None
    kbps: float  # all bytes of the encoded file over the duration; not-a-number if unknown
    size: int | None  # bytes
    seconds: float
    encode_seconds: float  # not-a-number if it was not encoded here
    decode_seconds: float
    scores: dict[str, float] = field(default_factory=dict)  # by name of the metric


class Mean(TypedDict):
    """All files of a kind at one point."""

    kind: str
    curve: str
    setting: str
    asked_kbps: float | None
    kbps: float  # all bits over all time
    files: int
    seconds: float
    encode_speed: float  # times real time
    decode_speed: float
    scores: dict[str, float]  # means over the files that have one


@dataclass
class RateQuality:
    """Result of a run: rows in the order of files and then points, and the files that failed."""

    metrics: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)  # by file, one line each
    exit_codes: dict[str, int] = field(default_factory=dict)  # of these errors
    files: int = 0  # all that were found
    missing: tuple[str, ...] = ()  # metrics that were asked for as part of a group, and are not installed

    def means(self) -> list[Mean]:
        """Per kind and point; if there are several kinds, also over all of them (kind "all")."""
        kinds = list(dict.fromkeys(row.kind for row in self.rows))
        groups = [(kind, [row for row in self.rows if row.kind == kind]) for kind in kinds]
        if len(kinds) > 1:
            groups.append((ALL_KINDS, self.rows))
        return [
            self._mean(kind, [row for row in rows if (row.curve, row.setting) == point])
            for kind, rows in groups
            for point in dict.fromkeys((row.curve, row.setting) for row in rows)
        ]

    def _mean(self, kind: str, rows: Sequence[Row]) -> Mean:
        first, seconds = rows[0], sum(row.seconds for row in rows)
        return {
            "kind": kind,
            "curve": first.curve,
            "setting": first.setting,
            "asked_kbps": first.asked_kbps,
            "kbps": sum(row.kbps * row.seconds for row in rows) / seconds,
            "files": len(rows),
            "seconds": seconds,
            "encode_speed": seconds / max(sum(row.encode_seconds for row in rows), 1e-9),
            "decode_speed": seconds / max(sum(row.decode_seconds for row in rows), 1e-9),
            "scores": {name: mean_of_known([row.scores[name] for row in rows]) for name in self.metrics},
        }

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values for JSON; numbers that are unknown are None."""
        return {
            "metrics": list(self.metrics),
            "missing": list(self.missing),
            "means": [values_for_json(mean) for mean in self.means()],
            "files": [values_for_json(asdict(row)) for row in self.rows],
            "errors": self.errors,
        }

    def tables(self) -> list[Table]:
        """The means, one line per kind and point; many metrics need several tables."""
        return [self.table(part) for part in table_parts(self.metrics)]

    def table(self, metrics: Sequence[str] | None = None) -> Table:
        """The means of some metrics or all, one line per kind and point."""
        metrics = self.metrics if metrics is None else metrics
        table = Table(title="Rate and quality", caption=missing_caption(self.missing))
        several = any(row.curve for row in self.rows)
        for title in ("kind", "curve") if several else ("kind",):
            table.add_column(title, no_wrap=True)
        for title in ("asked kbps", "real kbps", "files"):
            table.add_column(title, justify="right")
        for metric in map(METRICS.__getitem__, metrics):
            table.add_column(f"{metric.title} {metric.arrow}", justify="right", no_wrap=True)
        previous: list[str] = []
        for mean in self.means():
            group = [mean["kind"], mean["curve"]] if several else [mean["kind"]]
            if previous not in ([], group):
                table.add_section()
            names = [""] * len(group) if group == previous else group
            scores = [score_cell(mean["scores"][name], METRICS[name].decimals) for name in metrics]
            table.add_row(*names, mean["setting"], score_cell(mean["kbps"], 3), str(mean["files"]), *scores)
            previous = group
        return table


def find_audio_files(
    paths: Iterable[str | os.PathLike[str]], suffixes: Collection[str] = READABLE_SUFFIXES
) -> list[Path]:
    """The files given, and all audio files inside the folders given, sorted within each folder.

    Args:
        paths: Files and folders.
        suffixes: Of the files inside folders, in lower case.

    Raises:
        BadInputError: A path does not exist, or there is no file at all.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.suffix.lower() in suffixes)
            found += sorted(file for file in inside if file.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"{path}: no such file or folder")
    if not found:
        raise BadInputError("there is no audio file to measure")
    return list(dict.fromkeys(found))


def check_metrics(names: Sequence[str] | None, has_transcripts: bool) -> tuple[str, ...]:
    """The metrics that `rate_quality` measures.

    Args:
        names: Names of metrics and groups, see `choose_metrics`.
        has_transcripts: Whether there are transcripts; without, groups lose the metrics that need them.

    Raises:
        UsageError: As in `choose_metrics`; or a metric that was named needs transcripts.
    """
    chosen = choose_metrics(names)
    if has_transcripts:
        return chosen
    for name in names or ():
        if name in METRICS and METRICS[name].needs_transcript:
            raise UsageError(f"the metric {name!r} needs transcripts")
    return tuple(name for name in chosen if not METRICS[name].needs_transcript)


def sweep_points(rates: Sequence[float], effort: int) -> list[Point]:
    """The curves that show what this project's encoder can do.

    Args:
        rates: In kbps, of all curves but that of constant quality.
        effort: Of the curves of average rate and constant quality; for constant rates, there is a curve at
            every effort.
    """
    from ..encoder import EFFORTS, MAX_QUALITY

    constant = [
        Point.at_rate(rate, f"constant, effort {each}", effort=each, cbr=True)
        for each in EFFORTS
        for rate in rates
    ]
    average = [
        Point.at_rate(rate, f"average, effort {effort}", "average_kbps", effort=effort) for rate in rates
    ]
    qualities = [share * MAX_QUALITY for share in (0, 0.25, 0.5, 0.75, 1)]
    quality = [
        Point(f"quality, effort {effort}", f"Q {value:g}", {"quality": value, "effort": effort})
        for value in qualities
    ]
    return [*constant, *average, *quality]


def rate_quality(
    codec: EncoderDecoder,
    paths: Iterable[str | os.PathLike[str]],
    points: Sequence[float | Point],
    *,
    metrics: Sequence[str] | None = None,
    transcripts: Mapping[str, str] | None = None,
    channels: str = "auto",
    workers: int = 1,
    encode_options: Mapping[str, Any] | None = None,
    decode_options: Mapping[str, Any] | None = None,
    also: Sequence[DecodedFolder] = (),
    on_coded: Callable[[CodedFile], None] | None = None,
    on_row: Callable[[Row, int, int], None] | None = None,
) -> RateQuality:
    """Encode every file at every point, decode the bytes, and measure the result.

    A file that cannot be read or encoded is listed in `errors`; the others are measured all the same.

    Args:
        codec: Encodes and decodes; its bytes are counted, so they must be the whole file.
        paths: Files and folders. A file's kind is the name of the folder it is in.
        points: Rates in kbps, or other ways to encode.
        metrics: Names of metrics and groups, see `choose_metrics`; without transcripts, groups are taken
            without the metrics that need them.
        transcripts: What is said in recordings, by the names of their files without suffix.
        channels: "auto", "mono" or "stereo", as in encoding.
        workers: Processes that measure beside the codec; 1 measures in this one.
        encode_options, decode_options: Further keyword arguments for the codec, not for those of points.
        also: Folders with files that were decoded elsewhere, each a further curve.
        on_coded: Called with the audio of each row before it is measured.
        on_row: Called with each row, the number of rows so far, and the greatest number there can be.

    Raises:
        UsageError: A metric is unknown or not available, or needs transcripts; or there is no point.
        BadInputError: A path does not exist.
    """
    if not points:
        raise UsageError("there is no rate to measure at")
    distinct: dict[tuple[str, str], Point] = {}
    for each in points:
        point = each if isinstance(each, Point) else Point.at_rate(each)
        distinct.setdefault((point.curve, point.setting), point)
    files = find_audio_files(paths)
    result = RateQuality(
        check_metrics(metrics, bool(transcripts)), files=len(files), missing=missing_metrics(metrics)
    )
    own = _CodecOptions(codec, encode_options or {}, decode_options or {})
    coder = _Coder(own, list(distinct.values()), also, channels, on_coded or _ignore)
    score = _Scorer(result.metrics, transcripts or {})
    for row in _scored(coder.code_files(files, result), score, workers):
        result.rows.append(row)
        if on_row:
            on_row(row, len(result.rows), len(files) * (len(distinct) + len(also)))
    return result


@dataclass(frozen=True)
class CodedFile:
    """A row without scores, and its audio."""

    row: Row
    reference: NDArray[Any]  # (n, channels)
    decoded: NDArray[Any]  # (m, channels)
    sample_rate: int  # of both, in Hz
    data: bytes | None  # the encoded file; None if it was not encoded here


def _ignore(_: CodedFile) -> None:
    pass


@dataclass(frozen=True)
class _CodecOptions:
    """A codec and keyword arguments for it."""

    codec: EncoderDecoder
    encode: Mapping[str, Any] = field(default_factory=dict)
    decode: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Original:
    """A file to encode."""

    file: Path
    audio: NDArray[Any]  # (n, channels)
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.audio) / self.sample_rate


@dataclass(frozen=True)
class _Coder:
    """Encodes and decodes files at several points."""

    own: _CodecOptions
    points: Sequence[Point]
    also: Sequence[DecodedFolder]
    channels: str
    on_coded: Callable[[CodedFile], None]

    def code_files(self, files: Iterable[Path], result: RateQuality) -> Iterator[CodedFile]:
        """Code all files; errors of those that fail are put into `result`."""
        for file in files:
            try:
                for coded in self.code_file(self._read(file)):
                    self.on_coded(coded)
                    yield coded
            except SwcError as error:
                result.errors[str(file)] = str(error)
                result.exit_codes[str(file)] = error.exit_code

    def code_file(self, original: _Original) -> Iterator[CodedFile]:
        """Code one file at every point, and find it in every folder."""
        for point in self.points:
            codec = self.own if point.codec is None else _CodecOptions(point.codec)
            yield _code(codec, point, original)
        for folder in self.also:
            yield self._find(folder, original)

    def _read(self, file: Path) -> _Original:
        with AudioReader(file) as reader:
            count = choose_channels(reader.channels, self.channels, reader.name)
            original = _Original(file, mix(reader.read(), count), reader.sample_rate)
        if not len(original.audio):
            raise BadInputError(f"{file}: holds no audio to measure")
        return original

    def _find(self, folder: DecodedFolder, original: _Original) -> CodedFile:
        audio, sample_rate = original.audio, original.sample_rate
        decoded = folder.read(original.file, sample_rate, audio.shape[1])
        row = Row(
            file=str(original.file),
            kind=original.file.resolve().parent.name,
            curve=folder.name,
            setting=folder.setting,
            asked_kbps=folder.kbps,
            kbps=math.nan if folder.kbps is None else folder.kbps,
            size=None,
            seconds=original.seconds,
            encode_seconds=math.nan,
            decode_seconds=math.nan,
        )
        return CodedFile(row, audio, decoded, sample_rate, None)


def _code(codec: _CodecOptions, point: Point, original: _Original) -> CodedFile:
    audio, sample_rate = original.audio, original.sample_rate
    started = time.perf_counter()
    options = {**codec.encode, **point.options}
    data = codec.codec.encode(audio if audio.shape[1] > 1 else audio[:, 0], sample_rate, **options)
    encoded = time.perf_counter()
    decoded, decoded_rate = codec.codec.decode(data, **codec.decode)
    finished = time.perf_counter()
    if point.codec is not None:
        decoded = resample(decoded, decoded_rate, sample_rate)[: len(audio)]
    elif decoded_rate != sample_rate:
        raise SwcError(f"{original.file}: was decoded at {decoded_rate} Hz instead of {sample_rate} Hz")
    row = Row(
        file=str(original.file),
        kind=original.file.resolve().parent.name,
        curve=point.curve,
        setting=point.setting,
        asked_kbps=point.asked_kbps,
        kbps=8e-3 * len(data) / original.seconds,
        size=len(data),
        seconds=original.seconds,
        encode_seconds=encoded - started,
        decode_seconds=finished - encoded,
    )
    return CodedFile(row, audio, decoded[:, None] if decoded.ndim == 1 else decoded, sample_rate, data)


@dataclass(frozen=True)
class _Scorer:
    """Measures coded files."""

    metrics: Sequence[str]
    transcripts: Mapping[str, str]

    def __call__(self, file: CodedFile) -> dict[str, float]:
        transcript = self.transcripts.get(Path(file.row.file).stem)
        return measure(file.reference, file.decoded, file.sample_rate, self.metrics, transcript)


def _scored(coded: Iterable[CodedFile], score: _Scorer, workers: int) -> Iterator[Row]:
    """The rows with their scores, in order; measured in this process or in several others."""
    if workers == 1:
        for file in coded:
            yield replace(file.row, scores=score(file))
        return
    waiting: deque[tuple[Row, Future[dict[str, float]]]] = deque()
    # processes are spawned, because forked ones would inherit the codec's threads and locks in any state
    with ProcessPoolExecutor(workers, get_context("spawn"), _use_one_thread) as pool:
        for file in coded:
            future = pool.submit(score, file)
            waiting.append((file.row, future))
            if len(waiting) > 2 * workers:  # bounds the memory of the signals that wait
                row, future = waiting.popleft()
                yield replace(row, scores=future.result())
        for row, future in waiting:
            yield replace(row, scores=future.result())


def _use_one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch, which `measure` imports
