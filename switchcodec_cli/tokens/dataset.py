"""Data sets of tokens: many recordings in a file, or in several shards."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from ..atomic_io import PendingFile, open_for_writing, write_error
from ..errors import BadInputError, SwcError, UsageError, system_message
from ..storage import storage_of
from .npz import read_npz
from .parquet import ParquetReader, ParquetWriter, import_pyarrow
from .tokens import Tokens
from .webdataset import TarReader, TarWriter


class _Writer(Protocol):
    def write(self, tokens: Tokens, path: str) -> None:
        """Add a recording."""

    def close(self) -> None:
        """Write what is left."""


class DatasetReader(Protocol):
    """Reads recordings from a file of tokens."""

    paths: list[str]
    """Of the recordings."""

    def read(self, row: int) -> Tokens:
        """The tokens of a recording. Raises BadInputError."""

    def close(self) -> None:
        """Close the file."""


class _NpzReader:
    """A file of one recording."""

    def __init__(self, file: BinaryIO) -> None:
        with file:
            name, self._tokens = read_npz(file)
        self.paths = [name]

    def read(self, row: int) -> Tokens:
        return self._tokens

    def close(self) -> None:
        pass


def open_dataset(path: str | os.PathLike[str]) -> DatasetReader:
    """Open a file or a URL of tokens, whose suffix says its format.

    Raises:
        BadInputError: The file cannot be read, or is not one of tokens.
        UsageError: It needs a package that is not installed.
    """
    readers: dict[str, Callable[[BinaryIO], DatasetReader]]
    readers = {".npz": _NpzReader, ".parquet": ParquetReader, ".tar": TarReader}
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise BadInputError(f"{path}: files of tokens end in {', '.join(readers)}")
    try:
        file = storage_of(path).open(path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    try:
        return readers[suffix](file)
    except BadInputError as error:
        file.close()
        raise BadInputError(f"{path}: {error}") from None


class DatasetWriter:
    """Writes recordings to a Parquet file (.parquet) or a tar file in the form of WebDataset (.tar).

    With a size of shards, NAME.tar becomes NAME-000000.tar, NAME-000001.tar and so on. All files appear
    together when the block of the context manager ends without an exception, else none does.

    Args:
        output: Path of the file.
        shard_size: Recordings in a shard; None for a single file.
        force: Replace existing files, and remove shards of these names that are not written again.

    Attributes:
        files: Paths of the files.
        recordings: Number of recordings written.

    Raises:
        UsageError: The file or a shard exists and `force` is false, or a package is not installed.
        SwcError: The folder does not exist.
    """

    def __init__(
        self, output: str | os.PathLike[str], shard_size: int | None = None, force: bool = False
    ) -> None:
        self._output, self._shard_size, self._force = Path(output), shard_size, force
        self._pending: list[PendingFile] = []
        self._current: tuple[BinaryIO, _Writer] | None = None
        self.files: list[Path] = []
        self.recordings = 0
        if self._output.suffix.lower() == ".parquet":
            import_pyarrow()
        if not self._output.parent.is_dir():
            raise SwcError(f"{output}: cannot write: there is no folder {self._output.parent}")
        existing = self._existing()
        if existing and not force:
            raise UsageError(f"{existing[0]}: exists already (use --force to overwrite it)")

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._finish_file(kind is None)
            if kind is None and self._pending:
                for pending in self._pending:
                    pending.commit()
                for path in set(self._existing()) - set(self.files):
                    path.unlink()
        finally:
            for pending in self._pending:
                pending.discard()

    def write(self, tokens: Tokens, path: str) -> None:
        """Add a recording.

        Args:
            tokens: Of the recording.
            path: Its name in the data set, a relative path with slashes.

        Raises:
            SwcError: The file cannot be written.
        """
        if self._shard_size is not None and self.recordings and self.recordings % self._shard_size == 0:
            self._finish_file(True)
        if self._current is None:
            self._current = self._next_file()
        try:
            self._current[1].write(tokens, path)
        except OSError as error:
            raise write_error(self.files[-1], error) from None
        self.recordings += 1

    def _next_file(self) -> tuple[BinaryIO, _Writer]:
        path = self._output
        if self._shard_size is not None:
            path = path.with_name(f"{path.stem}-{len(self.files):06d}{path.suffix}")
        self._pending.append(PendingFile(path, self._force))
        self.files.append(path)
        file = open_for_writing(self._pending[-1].temporary, path)
        is_parquet = path.suffix.lower() == ".parquet"
        return file, ParquetWriter(file) if is_parquet else TarWriter(file)

    def _finish_file(self, is_complete: bool) -> None:
        """Close the current file, if there is one."""
        if self._current is None:
            return
        (file, writer), self._current = self._current, None
        try:
            with file:
                if is_complete:
                    writer.close()
        except OSError as error:
            raise write_error(self.files[-1], error) from None

    def _existing(self) -> list[Path]:
        """The files of this name that exist: the file itself, or all shards."""
        if self._shard_size is None:
            return [self._output] if os.path.lexists(self._output) else []
        name = re.compile(rf"{re.escape(self._output.stem)}-\d{{6,}}{re.escape(self._output.suffix)}")
        folder = self._output.parent
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in found if name.fullmatch(path.name))
