"""What the package needs of a file system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ..errors import SwcError


@dataclass(frozen=True)
class FileStatus:
    """What is known of a file or folder that exists."""

    is_folder: bool
    is_regular: bool
    """Whether it is a file, not a folder, a device or a named pipe."""
    size: int | None
    """In bytes, None if unknown."""
    modified: float | None
    """Time of the last change of the content, in seconds since 1970; None if unknown."""
    changed: float | None
    """Time of the last change, also of the modification time itself."""
    resolution: float = 0.0
    """Of these times, in seconds."""


@dataclass
class Folder:
    """The content of a folder, by names. Folders that are removed from `folders` are not searched."""

    path: str
    folders: list[str]
    files: list[str]
    links: list[str]
    """Links to folders, which are not followed."""


@dataclass(frozen=True)
class Matches:
    """What matches a glob pattern."""

    root: str
    """The folder before the first component with special characters."""
    files: list[str]
    folders: list[str]


class PendingOutput(Protocol):
    """An output that appears under its name on `commit`, and not at all without it.

    Attributes:
        temporary: local file to write to before `commit`.
    """

    temporary: Path

    def commit(self) -> None:
        """Give the output its name. Raises SwcError."""

    def discard(self) -> None:
        """Remove what was written; does nothing after `commit`."""

    def is_write_error(self, error: OSError) -> bool:
        """Whether an exception was raised by writing to `temporary`."""


class Storage(Protocol):
    """A file system. Paths are those of the user, such as "a/b.wav" or "s3://bucket/b.wav"."""

    def status(self, path: str) -> FileStatus | None:
        """What is at a path, links followed; None if there is nothing. Raises BadInputError."""

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path, even a link to nowhere. Raises BadInputError."""

    def any_file_exists(self, paths: Sequence[str]) -> bool:
        """Whether one of several paths is that of a file. Raises BadInputError."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading at any position.

        Raises:
            BadInputError: the file cannot be opened; also raised by reading from a file that is not local.
            OSError: a local file cannot be opened.
            ValueError: there is a null character in the name of a local file.
        """

    def pending_output(self, path: str, force: bool) -> PendingOutput:
        """Start an output.

        Raises:
            UsageError: it exists and `force` is false, or the storage is read only.
            SwcError: it cannot be written.
        """

    def create_folder(self, path: str) -> None:
        """Create a folder with its parents, where the file system has folders. Raises SwcError."""

    def delete(self, path: str) -> None:
        """Delete a file. Raises SwcError."""

    def walk(self, folder: str, on_error: Callable[[SwcError], None]) -> Iterator[Folder]:
        """List a folder and the folders below it, a parent before its children."""

    def has_magic(self, path: str) -> bool:
        """Whether a path is a glob pattern if there is no such file."""

    def glob(self, pattern: str) -> Matches:
        """The files and folders that match a glob pattern. Raises BadInputError."""

    def unreadable_kind(self, path: str) -> str | None:
        """Why a listed file is not an input, such as "a named pipe"; None if it is one."""

    def canonical(self, path: str) -> str:
        """The same string for all paths of a file."""

    def relative_path(self, path: str, root: str) -> str:
        """The path of a file below a folder, as a path of the local file system."""
