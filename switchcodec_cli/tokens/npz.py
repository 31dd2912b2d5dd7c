"""Files of NumPy arrays (.npz), one for each recording."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ..errors import BadInputError
from .record import BINARY, from_record, path_of, to_record
from .tokens import Tokens


def npz_bytes(tokens: Tokens, path: str) -> bytes:
    """The bytes of a file; see `to_record`. Tags are pairs of key and value. # (n, 2)"""
    record = to_record(tokens, path)
    for name in BINARY:
        record[name] = np.frombuffer(record[name], np.uint8)
    record["tags"] = np.array(tokens.tags, np.str_).reshape(-1, 2)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **record)
    return file.getvalue()


def read_npz(file: BinaryIO) -> tuple[str, Tokens]:
    """The path and the tokens of a recording. Raises BadInputError."""
    with _arrays(file) as arrays:
        return path_of(arrays), from_record(arrays)


def read_npz_path(file: BinaryIO) -> str:
    """The path of a recording. Raises BadInputError."""
    with _arrays(file) as arrays:
        return path_of(arrays)


@contextmanager
def _arrays(file: BinaryIO) -> Iterator[Mapping[str, Any]]:
    """The arrays in a file, read when they are used. Raises BadInputError."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (ValueError, OSError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"not a file of tokens: {error}") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise BadInputError(f"the file of tokens is damaged: {error}") from None
