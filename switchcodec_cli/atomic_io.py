"""Atomic output files, written under a temporary name and renamed when complete; standard streams."""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from .errors import BadInputError, SwcError, UsageError, system_message

PIPE = "-"  # the path that stands for standard input or standard output

# Error numbers that only writing can raise, whatever file the exception names.
_WRITE_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}

# Temporary files of this process that exist. An interruption may come just when one was created, before the
# block that removes it is entered; those are removed when the process ends.
_temporaries: dict[Path, int] = {}  # with the identifier of the process

_observers: list[Callable[[Path], None]] = []

_LONGEST_NAME = 100  # bytes of the name of the output in that of the temporary file


def write_error(name: object, error: OSError) -> SwcError:
    """The error to raise when the output called `name` cannot be written."""
    return SwcError(f"{name}: cannot write: {system_message(error)}")


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether both paths exist and refer to the same file, links followed."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def observe_temporaries(observer: Callable[[Path], None]) -> None:
    """Call a function with the path of each temporary file just before it is created."""
    _observers.append(observer)


class PendingFile:
    """A temporary file that replaces `path` on `commit`.

    The temporary file is hidden, lies in the same folder and is named after the output: ".NAME.xxxx.part".
    Symbolic links are followed.
    Devices and named pipes such as `/dev/null` are never replaced: for them `temporary` is the path itself.

    Args:
        path: the file to write.
        force: whether an existing file may be replaced.

    Attributes:
        temporary: the file to write to before `commit`.

    Raises:
        UsageError: the file exists and `force` is false, or `path` is a folder or empty.
        SwcError: the folder is missing or not writable, or the disk is full.
    """

    def __init__(self, path: str | os.PathLike[str], force: bool = False) -> None:
        if not os.fspath(path):
            raise UsageError("the name of the output is empty")
        self._path, self._force = path, force
        self._output = Path(os.path.realpath(path))
        existing = self._existing()
        self._mode = None if existing is None else stat.S_IMODE(existing.st_mode)
        self._is_regular = existing is None or stat.S_ISREG(existing.st_mode)
        if existing is not None and stat.S_ISDIR(existing.st_mode):
            raise UsageError(f"{path}: is a folder, not a file")
        if not self._is_regular:
            self.temporary = self._output
            return
        if existing is not None and not force:
            raise UsageError(f"{path}: exists already (use --force to overwrite it)")
        self.temporary = self._output.with_name(temporary_name(self._output.name))
        try:
            create_temporary(self.temporary)
        except OSError as error:
            raise write_error(path, error) from None

    def _existing(self) -> os.stat_result | None:
        try:
            return self._output.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise write_error(self._path, error) from None

    def commit(self) -> None:
        """Move the temporary file to its final path.

        Raises:
            UsageError: another process has created the file in the meantime and `force` is false.
            SwcError: the file cannot be moved.
        """
        if not self._is_regular:
            return
        try:
            if self._mode is None and not self._force:
                self._create()
            else:
                if self._mode is not None:
                    self.temporary.chmod(self._mode)
                os.replace(self.temporary, self._output)
        except OSError as error:
            raise write_error(self._path, error) from None

    def _create(self) -> None:
        """Give the temporary file its final name unless that exists; in one step, where possible."""
        try:
            os.link(self.temporary, self._output)
        except FileExistsError:
            raise self._created_meanwhile() from None
        except OSError:  # no links on this file system
            if self._output.exists():
                raise self._created_meanwhile() from None
            os.replace(self.temporary, self._output)
        else:
            self.temporary.unlink()

    def _created_meanwhile(self) -> UsageError:
        message = f"{self._path}: was created by another process meanwhile (use --force to overwrite it)"
        return UsageError(message)

    def discard(self) -> None:
        """Remove the temporary file; does nothing after `commit`."""
        if self._is_regular:
            remove_temporary(self.temporary)

    def is_write_error(self, error: OSError) -> bool:
        """Whether an exception was raised by writing to this file."""
        return is_write_error(error, self.temporary)


class Pending(Protocol):
    """An output that is not complete, such as a `PendingFile`."""

    temporary: Path

    def commit(self) -> None: ...

    def discard(self) -> None: ...

    def is_write_error(self, error: OSError) -> bool: ...


def create_temporary(path: Path) -> None:
    """Create an empty temporary file; it is removed when the process ends, if not before. Raises OSError."""
    _temporaries[path] = os.getpid()
    for observer in _observers:
        observer(path)
    try:
        # Unlike the files of the tempfile module (mode 0600), this one gets the usual permissions.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError:
        del _temporaries[path]
        raise


def remove_temporary(path: Path) -> None:
    """Remove a temporary file if it still exists."""
    with suppress(OSError):
        path.unlink()
    _temporaries.pop(path, None)


def is_write_error(error: OSError, temporary: Path) -> bool:
    """Whether an exception was raised by writing to a temporary file."""
    return error.errno in _WRITE_ERRORS or error.filename == str(temporary)


@atexit.register
def remove_temporaries() -> None:
    """Remove the temporary files of this process that are left."""
    for path, process in list(_temporaries.items()):
        if process == os.getpid():  # not a child, which has copies of the entries
            with suppress(OSError):
                path.unlink()


def temporary_name(name: str) -> str:
    """A hidden name that belongs to `name`, which is shortened if a file system might not allow the whole."""
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return f".{name}.{secrets.token_hex(4)}.part"


@contextmanager
def atomic_path(path: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Yield the path of an empty temporary file that becomes `path` if the block succeeds.

    If the block raises an exception, including KeyboardInterrupt, the temporary file is removed and an
    existing file at `path` is left unchanged. See `PendingFile` for arguments and errors.
    """
    with completing(PendingFile(path, force), path) as temporary:
        yield temporary


@contextmanager
def completing(pending: Pending, path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the temporary file of an output; commit if the block succeeds, and discard in any case.

    Raises:
        SwcError: the output called `path` cannot be written.
    """
    try:
        yield pending.temporary
        pending.commit()
    except OSError as error:
        if pending.is_write_error(error):
            raise write_error(path, error) from None
        raise
    finally:
        pending.discard()


@contextmanager
def atomic_output(path: str | os.PathLike[str], force: bool = False) -> Iterator[BinaryIO]:
    """Yield a seekable binary file that becomes `path` if the block succeeds; see `atomic_path`."""
    with atomic_path(path, force) as temporary, open_for_writing(temporary, path) as file:
        yield file


def open_for_writing(path: Path, name: object) -> BinaryIO:
    """Open a temporary file, device or named pipe for binary writing.

    Args:
        path: the path to open; an existing regular file is not truncated.
        name: name of the output in error messages.

    Raises:
        SwcError: the file cannot be opened.
    """
    try:
        return open(path, "r+b" if path.is_file() else "wb")
    except OSError as error:
        raise write_error(name, error) from None


def standard_input() -> BinaryIO:
    """Standard input in binary mode. Raises BadInputError if it is closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise BadInputError("standard input is closed")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Standard output in binary mode. Raises SwcError if it is closed."""
    if sys.stdout is None or sys.stdout.closed:
        raise SwcError("standard output is closed")
    return sys.stdout.buffer
