"""Output files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import SwcError, UsageError

# Errors that only writing can raise, so they may be blamed on the output without knowing who raised them.
_WRITE_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}


def reason(error: OSError) -> str:
    """What went wrong, in the system's words and lower case: "no space left on device"."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def write_error(name: object, error: OSError) -> SwcError:
    """The error to raise when writing the output called `name` failed."""
    return SwcError(f"{name}: cannot write: {reason(error)}")


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether both paths exist and lead to one file, through links and whatever their spelling."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


@contextmanager
def atomic_path(path: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Give the path of an empty temporary file that becomes `path` when the block ends well.

    The temporary file lies beside the target, under a hidden name that ends in ".part". If the block raises
    anything, an interrupt included, it is removed and an existing target stays as it was. Symbolic links are
    followed; devices and named pipes (`/dev/null`) are handed out as they are, never replaced.

    Raises:
        UsageError: the target exists and `force` is false, or it is a folder, or `path` is empty.
        SwcError: the folder is missing or not writable, or the disk is full.
    """
    if not os.fspath(path):
        raise UsageError("the name of the output is empty")
    target = Path(os.path.realpath(path))
    try:
        existing = target.stat()
    except (FileNotFoundError, NotADirectoryError):
        existing = None
    except OSError as error:
        raise write_error(path, error) from None
    if existing is not None and stat.S_ISDIR(existing.st_mode):
        raise UsageError(f"{path}: is a folder, not a file to write to")
    if existing is not None and not stat.S_ISREG(existing.st_mode):
        yield target
        return
    if existing is not None and not force:
        raise UsageError(f"{path}: exists already (use --force to overwrite it)")

    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        # Not tempfile: the result must get the permissions of an ordinary new file, not 0600.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise write_error(path, error) from None
    try:
        yield temporary
        if existing is None and target.exists() and not force:
            raise UsageError(f"{path}: somebody else made it meanwhile (use --force to overwrite it)")
        if existing is not None:
            temporary.chmod(stat.S_IMODE(existing.st_mode))
        os.replace(temporary, target)
    except OSError as error:
        if error.errno in _WRITE_ERRORS or error.filename == str(temporary):
            raise write_error(path, error) from None
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_output(path: str | os.PathLike[str], force: bool = False) -> Iterator[BinaryIO]:
    """`atomic_path`, opened: a binary file to write to (and seek in) that becomes `path` if all goes well."""
    with atomic_path(path, force) as temporary:
        try:
            file = open(temporary, "r+b" if temporary.is_file() else "wb")  # noqa: SIM115
        except OSError as error:
            raise write_error(path, error) from None
        with file:
            yield file
