"""Outputs on other machines: written to a local temporary file, and uploaded when they are complete."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic_io import create_temporary, is_write_error, remove_temporary, temporary_name, write_error
from ..errors import SwcError, UsageError
from .remote_errors import write_errors

if TYPE_CHECKING:
    from .remote import RemoteStorage

_CLEANUP_SECONDS = 5


class _ExistsError(SwcError):
    """The output was created in the meantime."""


class PendingUpload:
    """An output that is uploaded on `commit`, see `interface.PendingOutput`.

    Object stores show an object when it is complete. On servers with folders, the file is uploaded as
    ".NAME.xxxx.part" beside the output, and renamed.

    Args:
        storage: where to write.
        path: the output.
        force: whether an existing output may be replaced.

    Raises:
        UsageError: the output exists and `force` is false, or is a folder.
        SwcError: the server does not answer, or there is no space for temporary files.
    """

    def __init__(self, storage: RemoteStorage, path: str, force: bool) -> None:
        self._storage, self._path, self._force = storage, path, force
        folder, _, name = path.rpartition("/")
        if not name or folder.endswith("/"):
            raise UsageError(f"{path}: is a folder, not a file")
        with write_errors(path):
            existing = storage.status(path)
        if existing is not None and existing.is_folder and storage.scheme.has_folders:
            raise UsageError(f"{path}: is a folder, not a file")
        if existing is not None and existing.is_regular and not force:
            raise UsageError(f"{path}: exists already (use --force to overwrite it)")
        self.temporary = Path(tempfile.gettempdir()) / temporary_name(f"swc-{name}")
        try:
            create_temporary(self.temporary)
        except OSError as error:
            raise write_error(self.temporary, error) from None

    def commit(self) -> None:
        """Upload the file.

        Raises:
            UsageError: another process has created the output in the meantime and `force` is false.
            SwcError: the upload failed; nothing is at the path, or what was there before.
        """
        try:
            with write_errors(self._path):
                if self._storage.scheme.has_folders:
                    self._upload_and_rename()
                else:
                    self._upload()
        except _ExistsError:
            message = f"{self._path}: was created by another process meanwhile (use --force to overwrite it)"
            raise UsageError(message) from None

    def _upload(self) -> None:
        filesystem = self._storage.filesystem(self._path)
        mode = "overwrite" if self._force else "create"
        try:
            filesystem.put_file(
                str(self.temporary),
                self._storage.inner_path(self._path),
                mode=mode,
                **self._storage.scheme.upload_options,
            )
        except FileExistsError:
            raise _ExistsError from None

    def _upload_and_rename(self) -> None:
        filesystem: Any = self._storage.filesystem(self._path)
        final = self._storage.inner_path(self._path)
        folder, _, name = final.rpartition("/")
        partial = f"{folder}/{temporary_name(name)}"
        try:
            filesystem.ftp.put(str(self.temporary), partial)
            if self._force:
                filesystem.ftp.posix_rename(partial, final)
                return
            try:
                filesystem.ftp.rename(partial, final)
            except OSError:  # the server has one error for all reasons
                if filesystem.exists(final):
                    raise _ExistsError from None
                raise
        except BaseException:
            with suppress(Exception):  # the connection may be lost
                filesystem.set_timeout(_CLEANUP_SECONDS)
                filesystem.ftp.remove(partial)
            raise

    def discard(self) -> None:
        """Remove the local file."""
        remove_temporary(self.temporary)

    def is_write_error(self, error: OSError) -> bool:
        """Whether an exception was raised by writing to the local file."""
        return is_write_error(error, self.temporary)
