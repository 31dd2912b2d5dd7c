"""Files on this machine and elsewhere: local paths, and URLs such as "s3://bucket/name" through fsspec.

Everything that concerns URLs is imported when the first one is met.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..atomic_io import completing, open_for_writing, same_file
from .interface import FileStatus, Folder, Matches, PendingOutput, Storage
from .local import LocalStorage

__all__ = [
    "FileStatus",
    "Folder",
    "Matches",
    "PendingOutput",
    "Storage",
    "any_file_exists",
    "atomic_output",
    "canonical",
    "is_file",
    "is_folder",
    "is_remote",
    "is_same_file",
    "storage_of",
]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = LocalStorage()


def is_remote(path: str) -> bool:
    """Whether a path is a URL."""
    return _URL.match(path) is not None


def storage_of(path: str) -> Storage:
    """The storage that a path belongs to.

    Raises:
        UsageError: URLs of this kind are not supported, or need a package that is not installed.
    """
    if not is_remote(path):
        return _LOCAL
    from .remote import remote_storage

    return remote_storage(path)


def is_file(path: str) -> bool:
    """Whether a path is that of a regular file. Raises SwcError."""
    status = storage_of(path).status(path)
    return status is not None and status.is_regular


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder. Raises SwcError."""
    status = storage_of(path).status(path)
    return status is not None and status.is_folder


def any_file_exists(paths: Iterable[str]) -> bool:
    """Whether one of several paths is that of a file. Raises SwcError."""
    groups: dict[int, tuple[Storage, list[str]]] = {}
    for path in paths:
        storage = storage_of(path)
        groups.setdefault(id(storage), (storage, []))[1].append(path)
    return any(storage.any_file_exists(group) for storage, group in groups.values())


def canonical(path: str) -> str:
    """The same string for all paths of a file. Raises UsageError."""
    return storage_of(path).canonical(path)


def is_same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether both paths exist and refer to the same file; for URLs, whether they are the same."""
    first, second = os.fspath(first), os.fspath(second)
    if is_remote(first) or is_remote(second):
        return canonical(first) == canonical(second)
    return same_file(first, second)


@contextmanager
def atomic_output(path: str, force: bool = False) -> Iterator[BinaryIO]:
    """Yield a seekable binary file that becomes `path` if the block succeeds.

    If the block raises an exception, nothing appears at `path`, and an existing file is left unchanged.

    Raises:
        UsageError: the file exists and `force` is false.
        SwcError: the output cannot be written.
    """
    pending = storage_of(path).pending_output(path, force)
    with completing(pending, path) as temporary, open_for_writing(temporary, path) as file:
        yield file
