"""Scores of recordings whose originals are gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from rich.table import Table

from ..audio import READABLE_SUFFIXES, AudioReader
from ..batch.files import open_input
from ..batch.plan import STREAM_SUFFIXES
from ..errors import BadInputError, SwcError
from .metrics import METRICS, choose_metrics, measure_alone, missing_metrics
from .rate_quality import find_audio_files
from .signals import mean_of_known
from .table import missing_caption, score_cell, table_parts, values_for_json

Decode = Callable[[bytes], tuple[NDArray[Any], int]]
"""Decodes the bytes of a stream to samples (n,) or (n, channels) and a sample rate in Hz."""

DEFAULT_METRICS = ("no-reference",)


@dataclass(frozen=True)
class Score:
    """One recording."""

    file: str
    seconds: float
    scores: dict[str, float]  # by name of the metric


@dataclass
class NoReference:
    """Result of a run: recordings in order, and those that failed."""

    metrics: tuple[str, ...]
    rows: list[Score] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)  # by file, one line each
    exit_codes: dict[str, int] = field(default_factory=dict)  # of these errors
    files: int = 0  # all that were found
    missing: tuple[str, ...] = ()  # metrics that were asked for as part of a group, and are not installed

    def means(self) -> dict[str, float]:
        """Mean scores over the recordings that have one, by name of the metric."""
        return {name: mean_of_known([row.scores[name] for row in self.rows]) for name in self.metrics}

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values for JSON; scores that do not exist are None."""
        return {
            "metrics": list(self.metrics),
            "missing": list(self.missing),
            "means": values_for_json(self.means()),
            "files": [values_for_json(asdict(row)) for row in self.rows],
            "errors": self.errors,
        }

    def tables(self) -> list[Table]:
        """One line per recording, and the means; many metrics need several tables."""
        return [self._table(part) for part in table_parts(self.metrics)]

    def _table(self, metrics: Sequence[str]) -> Table:
        table = Table(title="Quality without reference", caption=missing_caption(self.missing))
        table.add_column("file", overflow="fold")
        table.add_column("seconds", justify="right")
        for metric in map(METRICS.__getitem__, metrics):
            table.add_column(f"{metric.title} {metric.arrow}", justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(row.file, f"{row.seconds:.1f}", *_cells(row.scores, metrics))
        if len(self.rows) > 1:
            table.add_section()
            seconds = sum(row.seconds for row in self.rows)
            table.add_row("mean", f"{seconds / len(self.rows):.1f}", *_cells(self.means(), metrics))
        return table


def no_reference(
    paths: Iterable[str | os.PathLike[str]],
    decode: Decode,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    on_row: Callable[[Score, int, int], None] | None = None,
) -> NoReference:
    """Measure recordings by themselves.

    A file that cannot be read is listed in `errors`; the others are measured all the same.

    Args:
        paths: Audio files and streams, and folders of them.
        decode: Decodes streams.
        metrics: Names of metrics that need no reference, and of groups of such.
        on_row: Called with each row, the number of rows so far, and the number of files.

    Raises:
        UsageError: A metric is unknown, not available, or needs a reference.
        BadInputError: A path does not exist.
    """
    files = find_audio_files(paths, READABLE_SUFFIXES | STREAM_SUFFIXES)
    result = NoReference(choose_metrics(metrics), files=len(files), missing=missing_metrics(metrics))
    for file in files:
        try:
            audio, sample_rate = _read(file, decode)
        except SwcError as error:
            result.errors[str(file)] = str(error)
            result.exit_codes[str(file)] = error.exit_code
            continue
        scores = measure_alone(audio, sample_rate, result.metrics)
        result.rows.append(Score(str(file), len(audio) / sample_rate, scores))
        if on_row:
            on_row(result.rows[-1], len(result.rows), len(files))
    return result


def _cells(scores: Mapping[str, float], metrics: Sequence[str]) -> list[str]:
    return [score_cell(scores[name], METRICS[name].decimals) for name in metrics]


def _read(file: Path, decode: Decode) -> tuple[NDArray[Any], int]:
    """Samples (n,) or (n, channels) and sample rate of an audio file or a stream."""
    if file.suffix.lower() in STREAM_SUFFIXES:
        with open_input(str(file)) as stream:
            try:
                audio, sample_rate = decode(stream.read())
            except BadInputError as error:
                raise BadInputError(f"{file}: {error}") from None
    else:
        with AudioReader(file) as reader:
            audio, sample_rate = reader.read(), reader.sample_rate
    if not len(audio):
        raise BadInputError(f"{file}: holds no audio to measure")
    return audio, sample_rate
