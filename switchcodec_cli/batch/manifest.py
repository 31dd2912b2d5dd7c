"""Manifests: one row for each recording of a batch, with what became of it. Does not import torch.

A manifest is a file of JSON lines or of Parquet; the latter needs pyarrow. JSON lines are appended and
flushed to the disk one by one; a last line that is not complete, as an interruption leaves it, is ignored. A
Parquet file is replaced as a whole, from time to time and at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from ..atomic_io import atomic_output, write_error
from ..errors import BadInputError, SwcError, UsageError, one_line, system_message
from ..storage import is_remote, storage_of
from .files import file_size, open_input
from .plan import Job
from .shard import Shard, path_of_shard

if TYPE_CHECKING:
    import pyarrow

FAILED = "failed"  # status of a recording that could not be processed
_DIGEST_BYTES = 16
_BLOCK_BYTES = 1 << 20
_PARQUET_SECONDS = 60.0  # between two versions of a Parquet file, at least
_PARQUET_SHARE = 0.02  # of the time, at most, is spent on writing Parquet files


@dataclass(frozen=True)
class Row:
    """What became of one recording. Fields that do not apply are None."""

    source: str
    """Path as it was given or found."""
    output: str | None
    status: str
    """"encoded", "decoded", "tokens" or "failed"."""
    error: str | None = None
    """Message of the error if it failed."""
    source_bytes: int | None = None
    source_time_ns: int | None = None
    """Modification time of the source, in nanoseconds since 1970."""
    source_digest: str | None = None
    """Encoding: as the stream stores it, "samples:HEX" or "file:HEX". Decoding: of the stream, "file:HEX"."""
    output_bytes: int | None = None
    output_digest: str | None = None
    """BLAKE2b of 16 bytes over the file, in hexadecimal."""
    samples: int | None = None
    """Per channel, at `sample_rate`."""
    sample_rate: int | None = None
    """In Hz."""
    channels: int | None = None
    kbps: float | None = None
    """Real rate of the whole stream."""
    elapsed: float | None = None
    """Seconds that the job took."""
    fingerprint: str | None = None
    """Of the weights, in hexadecimal."""
    settings: str | None = None
    """What was asked for, as JSON; a recording is processed again if it differs."""


_COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class Outcome:
    """The fields of `Row` that only a job knows."""

    status: str
    source_digest: str | None
    samples: int
    sample_rate: int
    channels: int
    kbps: float | None
    fingerprint: str
    elapsed: float | None = None
    """None if the output existed."""


class Recorded(Protocol):
    """The result of a job, as far as a manifest holds it."""

    @property
    def job(self) -> Job: ...

    @property
    def outcome(self) -> Outcome: ...


def file_digest(path: str) -> str:
    """BLAKE2b of 16 bytes over a file, in hexadecimal. Raises BadInputError."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    try:
        with open_input(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    return digest.hexdigest()


def manifest_path(pattern: str, shard: Shard | None) -> str:
    """The path of the manifest of a shard.

    Raises:
        UsageError: the format is unknown, it is a URL, or all shards would write the same file.
    """
    _format(pattern)
    if is_remote(pattern):
        raise UsageError(f"{pattern}: manifests are written to local files only")
    return path_of_shard(pattern, shard, "manifest")


def read_manifest(path: str) -> list[Row]:
    """The rows of a manifest, the last one of each recording.

    Raises:
        BadInputError: the file is unreadable or not a manifest.
        SwcError: pyarrow is not installed.
    """
    records = _read_parquet(path) if _format(path) == "parquet" else _read_json_lines(path)
    rows: dict[str, Row] = {}
    for record in records:
        row = _row(path, record)
        rows.pop(row.source, None)
        rows[row.source] = row
    return list(rows.values())


class ManifestWriter:
    """Writes the manifest of a batch.

    Rows of an existing manifest stay until the recording is processed again, so that the manifest holds one
    row for each recording at the end, however often the batch was interrupted. Use as a context manager.

    Args:
        path: of the manifest.
        settings: what was asked for, as JSON.
        fingerprint: of the weights.
        existing: describes the output of a job that is up to date. Raises SwcError.

    Raises:
        BadInputError: the existing file is not a manifest.
        SwcError: the file cannot be written, or pyarrow is not installed.
    """

    def __init__(
        self, path: str, settings: str, fingerprint: bytes, existing: Callable[[Job], Outcome]
    ) -> None:
        self._settings, self._fingerprint, self._existing = settings, fingerprint.hex(), existing
        self._rows = {row.source: row for row in read_manifest(path)} if os.path.exists(path) else {}
        self._file: _JsonLines | _Parquet = _Parquet(path) if _format(path) == "parquet" else _JsonLines(path)
        self._file.write_all(self._rows.values())

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write_all(self._rows.values())

    def is_done(self, job: Job) -> bool:
        """Whether a row says that a job is done with the present settings, and its output is unchanged.

        The source is compared by size and modification time, the output by its digest.
        """
        row = self._rows.get(job.source)
        if row is None or row.status == FAILED or row.source_time_ns is None:
            return False
        source = _identity(job.source)
        expected = (job.output, self._settings, self._fingerprint, row.source_bytes, row.source_time_ns)
        if (row.output, row.settings, row.fingerprint, *source) != expected:
            return False
        return file_size(job.output) == row.output_bytes and file_digest(job.output) == row.output_digest

    def add_result(self, result: Recorded) -> None:
        """Add the row of a job that was executed. Raises SwcError."""
        self._add_outcome(result.job, result.outcome)

    def add_existing(self, job: Job) -> None:
        """Add the row of a job whose output was found to be up to date. Raises SwcError."""
        self._add_outcome(job, self._existing(job))

    def _add_outcome(self, job: Job, outcome: Outcome) -> None:
        size, modified = _identity(job.source)
        self._add(
            Row(
                job.source,
                job.output,
                source_bytes=size,
                source_time_ns=modified,
                output_bytes=file_size(job.output),
                output_digest=file_digest(job.output),
                settings=self._settings,
                **asdict(outcome),
            )
        )

    def add_error(self, source: str, output: str | None, error: str) -> None:
        """Add the row of a recording that could not be processed. Raises SwcError."""
        size, modified = _identity(source)
        self._add(
            Row(
                source,
                output,
                FAILED,
                one_line(error),
                source_bytes=size,
                source_time_ns=modified,
                settings=self._settings,
            )
        )

    def _add(self, row: Row) -> None:
        self._rows.pop(row.source, None)
        self._rows[row.source] = row
        self._file.add(row, self._rows.values())


def _identity(path: str) -> tuple[int | None, int | None]:
    """Size and modification time of a file or a URL; None for what has none."""
    if is_remote(path):
        return _remote_identity(path)
    try:
        status = os.stat(path)
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


def _remote_identity(url: str) -> tuple[int | None, int | None]:
    try:
        status = storage_of(url).status(url)
    except SwcError:  # reported when it is read
        return None, None
    if status is None:
        return None, None
    return status.size, None if status.modified is None else round(status.modified * 1e9)


class _JsonLines:
    """A manifest of JSON lines."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write_all(self, rows: Iterable[Row]) -> None:
        """Replace the file."""
        with atomic_output(self._path, force=True) as file:
            file.writelines(_line(row) for row in rows)

    def add(self, row: Row, _: Iterable[Row]) -> None:
        """Append a row, and wait until it is stored."""
        try:
            with open(self._path, "ab") as file:
                file.write(_line(row))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from None


def _line(row: Row) -> bytes:
    # Bytes of names that are not UTF-8 are kept as escaped surrogates, which json.loads reads back.
    return json.dumps(asdict(row), allow_nan=False).encode() + b"\n"


def _read_json_lines(path: str) -> list[Any]:
    try:
        with open_input(path) as file:
            *lines, _torn = file.read().split(b"\n")
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError:
            raise BadInputError(f"{path}: line {number} is not JSON") from None
    return records


class _Parquet:
    """A manifest of Parquet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next = time.monotonic() + _PARQUET_SECONDS

    def write_all(self, rows: Iterable[Row]) -> None:
        """Replace the file."""
        began = time.monotonic()
        parquet = _import_parquet()
        try:
            table = _arrow().Table.from_pylist([asdict(row) for row in rows], schema=_schema())
        except UnicodeEncodeError:
            raise SwcError(
                f"{self._path}: Parquet cannot hold names that are not UTF-8; write a manifest of JSON lines"
            ) from None
        with atomic_output(self._path, force=True) as file:
            parquet.write_table(table, file)
        now = time.monotonic()
        self._next = now + max(_PARQUET_SECONDS, (now - began) / _PARQUET_SHARE)

    def add(self, _: Row, rows: Iterable[Row]) -> None:
        """Replace the file if it is time to."""
        if time.monotonic() >= self._next:
            self.write_all(rows)


def _schema() -> pyarrow.Schema:
    """Columns of a Parquet file."""
    arrow = _arrow()
    types = {"int": arrow.int64(), "float": arrow.float64(), "str": arrow.string()}
    return arrow.schema(
        [
            arrow.field(
                field.name, types[str(field.type).split(" | ")[0]], nullable="None" in str(field.type)
            )
            for field in fields(Row)
        ]
    )


def _read_parquet(path: str) -> list[Any]:
    parquet = _import_parquet()
    try:
        with open_input(path) as file:
            records: list[Any] = parquet.read_table(file).to_pylist()
    except (OSError, _arrow().ArrowException) as error:
        raise BadInputError(f"{path}: not a readable Parquet file ({one_line(str(error))})") from None
    return records


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise SwcError(
            "Parquet manifests need pyarrow (pip install 'switchcodec-cli[manifest]'), or write .jsonl"
        ) from None
    return pyarrow


def _import_parquet() -> Any:
    _arrow()
    import pyarrow.parquet

    return pyarrow.parquet


def _row(path: str, record: Any) -> Row:
    """A row from a record of a file. Raises BadInputError."""
    if not isinstance(record, dict) or not {"source", "output", "status"} <= record.keys():
        raise BadInputError(f"{path}: not a manifest of swc")
    return Row(**{name: record[name] for name in _COLUMNS if name in record})


def _format(path: str) -> str:
    """ "parquet" or "jsonl", by the suffix. Raises UsageError."""
    suffix = os.path.splitext(path)[1].lower().lstrip(".")
    if suffix not in ("parquet", "jsonl"):
        raise UsageError(f"{path}: the name of a manifest ends in .parquet or .jsonl")
    return suffix
