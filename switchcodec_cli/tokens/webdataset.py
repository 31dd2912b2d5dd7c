"""Tar files in the form of WebDataset: KEY.npz and KEY.json of each recording.

The key is the path without its suffix. Dots in the name of a file, which end a key, become "%2E".
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

from ..errors import BadInputError
from .npz import npz_bytes, read_npz, read_npz_path
from .record import ARRAYS, BINARY, to_record
from .tokens import Tokens


def sample_key(path: str) -> str:
    """The key of a recording."""
    whole = PurePosixPath(path)
    name = whole.stem.replace("%", "%25").replace(".", "%2E")
    return str(whole.with_name(name))


class TarWriter:
    """Writes samples to a file.

    Args:
        file: Takes the bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w")  # noqa: SIM115

    def write(self, tokens: Tokens, path: str) -> None:
        """Add a recording."""
        record = to_record(tokens, path)
        values = {name: value for name, value in record.items() if name not in (*ARRAYS, *BINARY)}
        self._add(path, ".json", json.dumps(values, ensure_ascii=False).encode())
        self._add(path, ".npz", npz_bytes(tokens, path))

    def close(self) -> None:
        """Write the end; the file stays open."""
        self._tar.close()

    def _add(self, path: str, suffix: str, data: bytes) -> None:
        member = tarfile.TarInfo(sample_key(path) + suffix)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


class TarReader:
    """Reads samples of a file.

    Args:
        file: Gives the bytes; `close` closes it.

    Attributes:
        paths: Of the recordings.

    Raises:
        BadInputError: The file is not one of tokens, or is damaged.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        with _readable():
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            self._members = [
                member for member in self._tar if member.isreg() and member.name.endswith(".npz")
            ]
        if not self._members:
            raise BadInputError("this tar file has no tokens")
        self.paths = [read_npz_path(self._member(member)) for member in self._members]

    def read(self, row: int) -> Tokens:
        """The tokens of a recording. Raises BadInputError."""
        return read_npz(self._member(self._members[row]))[1]

    def close(self) -> None:
        """Close the file."""
        self._tar.close()
        self._file.close()

    def _member(self, member: tarfile.TarInfo) -> BinaryIO:
        with _readable():
            file = self._tar.extractfile(member)
            return io.BytesIO(file.read() if file is not None else b"")


@contextmanager
def _readable() -> Iterator[None]:
    """Turns what tarfile raises into BadInputError."""
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadInputError(f"cannot read the tar file: {error}") from None
