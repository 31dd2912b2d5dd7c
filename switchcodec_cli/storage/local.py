"""The local file system."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ..atomic_io import PendingFile
from ..errors import BadInputError, SwcError, system_message
from .interface import FileStatus, Folder, Matches


class LocalStorage:
    """The local file system, see `interface.Storage`."""

    def status(self, path: str) -> FileStatus | None:
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # a null character in the name
            return None
        return FileStatus(
            is_folder=stat.S_ISDIR(found.st_mode),
            is_regular=stat.S_ISREG(found.st_mode),
            size=found.st_size,
            modified=found.st_mtime,
            changed=max(found.st_mtime, found.st_ctime),
        )

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def any_file_exists(self, paths: Sequence[str]) -> bool:
        return any(os.path.isfile(path) for path in paths)

    def open(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def pending_output(self, path: str, force: bool) -> PendingFile:
        return PendingFile(path, force)

    def create_folder(self, path: str) -> None:
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SwcError(f"{path}: cannot create this folder: {system_message(error)}") from None

    def delete(self, path: str) -> None:
        try:
            os.unlink(path)
        except OSError as error:
            raise SwcError(f"{path}: cannot delete: {system_message(error)}") from None

    def walk(self, folder: str, on_error: Callable[[SwcError], None]) -> Iterator[Folder]:
        def report(error: OSError) -> None:
            on_error(BadInputError(f"{error.filename}: cannot list: {error.strerror}"))

        for parent, folders, files in os.walk(folder, onerror=report):
            links = {name for name in folders if os.path.islink(os.path.join(parent, name))}
            kept = sorted(name for name in folders if name not in links)
            found = Folder(parent, kept, sorted(files), sorted(links))
            yield found
            folders[:] = found.folders

    def has_magic(self, path: str) -> bool:
        return glob.has_magic(path)

    def glob(self, pattern: str) -> Matches:
        parts = Path(pattern).parts
        first_magic = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        root = os.path.join(*parts[:first_magic]) if first_magic else "."
        matches = sorted(glob.glob(pattern, recursive=True))
        return Matches(
            root,
            files=[path for path in matches if not os.path.isdir(path)],
            folders=[path for path in matches if os.path.isdir(path)],
        )

    def unreadable_kind(self, path: str) -> str | None:
        try:
            mode = os.stat(path).st_mode
        except OSError:  # reported when it is read
            return None
        if stat.S_ISREG(mode):
            return None
        return "a named pipe" if stat.S_ISFIFO(mode) else "not a regular file"

    def canonical(self, path: str) -> str:
        return os.path.realpath(path)

    def relative_path(self, path: str, root: str) -> str:
        return os.path.relpath(path, root)
