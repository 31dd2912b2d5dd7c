"""Parquet files of recordings, one in each row; requires pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from ..errors import BadInputError, UsageError
from .record import ARRAYS, REQUIRED_ARRAYS, from_record, path_of, to_record
from .tokens import Tokens

GROUP_ROWS = 256  # rows of a row group at most
GROUP_VALUES = 8_000_000  # indices of a row group, about


def import_pyarrow() -> ModuleType:
    """pyarrow. Raises UsageError if it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'switchcodec-cli[tokens]'") from None
    module: ModuleType = pyarrow
    return module


@lru_cache
def _schema() -> Any:
    """Columns of the files: those of `to_record`, with flat arrays, and the shape of `indices`."""
    arrow = import_pyarrow()
    whole, number, text = arrow.int64(), arrow.float64(), arrow.string()
    tag = arrow.struct([("key", text), ("value", text)])
    types = {
        "path": text,
        "seconds": number,
        "samples": whole,
        "sample_rate": whole,
        "channels": whole,
        "channel_coding": text,
        "windows": whole,
        "signals": whole,
        "experts": whole,
        "codebooks": whole,
        "frames": whole,
        "frames_per_window": whole,
        "frame_rate": number,
        "vocabulary_size": whole,
        "rate_mode": text,
        "nominal_bits_per_second": whole,
        "fingerprint": text,
        "tags": arrow.list_(tag),
        "header": arrow.binary(),
        "additions": arrow.binary(),
        "kinds": arrow.list_(arrow.uint8()),
        "masks": arrow.list_(arrow.bool_()),
        "indices": arrow.list_(arrow.int32()),
        "levels": arrow.list_(arrow.int8()),
        "layer_sizes": arrow.list_(arrow.uint16()),
        "layers": arrow.binary(),
        "indices_shape": arrow.list_(arrow.int32()),
    }
    return arrow.schema(list(types.items()))


class ParquetWriter:
    """Writes rows to a file, in groups.

    Args:
        file: Takes the bytes.

    Raises:
        UsageError: pyarrow is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._arrow = import_pyarrow()
        self._writer = self._arrow.parquet.ParquetWriter(file, _schema(), compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._values = 0

    def write(self, tokens: Tokens, path: str) -> None:
        """Add a recording."""
        record = to_record(tokens, path)
        shape = np.array(tokens.indices.shape, np.int32)
        flat = {name: record[name].ravel() for name in ARRAYS}
        self._rows.append(record | flat | {"indices_shape": shape})
        self._values += tokens.indices.size
        if len(self._rows) >= GROUP_ROWS or self._values >= GROUP_VALUES:
            self._write_group()

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, _schema()))
            self._rows, self._values = [], 0


class ParquetReader:
    """Reads rows of a file; memory holds one group of rows.

    Args:
        file: Gives the bytes; `close` closes it.

    Attributes:
        paths: Of the recordings.

    Raises:
        BadInputError: The file is not one of tokens, or is damaged.
        UsageError: pyarrow is not installed.
    """

    def __init__(self, file: BinaryIO) -> None:
        arrow = import_pyarrow()
        self._bytes = file
        with _readable(arrow):
            self._arrow, self._file = arrow, arrow.parquet.ParquetFile(file)
            self._first_rows = np.cumsum(
                [0] + [self._file.metadata.row_group(g).num_rows for g in range(self._file.num_row_groups)]
            )
            names = set(self._file.schema_arrow.names)
            if not {"path", *REQUIRED_ARRAYS} <= names:
                raise BadInputError("this Parquet file has no columns of tokens")
            rows = self._file.read(columns=["path"]).to_pylist()
        self.paths = [path_of(row) for row in rows]
        self._group: tuple[int, Any] | None = None

    def read(self, row: int) -> Tokens:
        """The tokens of a recording. Raises BadInputError."""
        number = int(np.searchsorted(self._first_rows, row, "right")) - 1
        with _readable(self._arrow):
            if self._group is None or self._group[0] != number:
                self._group = (number, self._file.read_row_group(number))
            table = self._group[1].slice(row - int(self._first_rows[number]), 1)
            record = {
                name: table.column(name)[0].as_py() for name in table.column_names if name not in ARRAYS
            }
            for name in set(ARRAYS) & set(table.column_names):
                values = table.column(name)[0].values
                record[name] = [] if values is None else values.to_numpy(zero_copy_only=False)
        return from_record(record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._bytes.close()


@contextmanager
def _readable(arrow: ModuleType) -> Iterator[None]:
    """Turns what pyarrow raises into BadInputError."""
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise BadInputError(f"cannot read the Parquet file: {error}") from None
