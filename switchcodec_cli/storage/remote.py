"""Storage that is reached through fsspec: object stores, SFTP and HTTP."""

from __future__ import annotations

import glob
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ..errors import SwcError, UsageError
from .interface import FileStatus, Folder, Matches, PendingOutput
from .remote_errors import is_missing, read_errors, write_errors
from .upload import PendingUpload

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK_BYTES = 1 << 20  # of a request
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Scheme:
    """A kind of URL.

    Attributes:
        package: whose implementation fsspec uses.
        has_host: whether a URL begins with the name of a server, as the paths of fsspec do not.
        is_url: whether fsspec takes URLs, in which special characters are quoted, for paths.
        is_writable: whether files can be written.
        has_folders: whether folders must be created, and files can be renamed.
        upload_options: arguments of uploads, which limit the memory that they take.
    """

    package: str
    has_host: bool = False
    is_url: bool = False
    is_writable: bool = True
    has_folders: bool = False
    upload_options: dict[str, int] = field(default_factory=dict)


_PART_BYTES = 8 << 20
SCHEMES = {
    "s3": Scheme("s3fs", upload_options={"chunksize": _PART_BYTES, "max_concurrency": 4}),
    "gs": Scheme("gcsfs", upload_options={"chunksize": _PART_BYTES}),
    "az": Scheme("adlfs", upload_options={"max_concurrency": 4}),
    "sftp": Scheme("paramiko", has_host=True, has_folders=True),
    "https": Scheme("aiohttp", is_url=True, is_writable=False),
    "http": Scheme("aiohttp", is_url=True, is_writable=False),
}
_EXTRA_PACKAGES = ("s3fs", "paramiko", "aiohttp", "fsspec")  # of the extra `remote`


def remote_storage(url: str) -> RemoteStorage:
    """The storage of a URL. Raises UsageError."""
    name, _, rest = url.partition("://")
    scheme = SCHEMES.get(name.lower())
    if scheme is None:
        supported = ", ".join(f"{known}://" for known in SCHEMES if known != "http")
        raise UsageError(f"{url}: {name}:// is not supported, only {supported}")
    return _storage(name.lower(), rest.partition("/")[0] if scheme.has_host else "")


@lru_cache
def _storage(name: str, host: str) -> RemoteStorage:
    return RemoteStorage(name, host)


class RemoteStorage:
    """Files at URLs of one scheme and, for SFTP, one server; see `interface.Storage`.

    Names in URLs are taken literally, not as quoted characters, except for HTTP, where the URL is what a
    browser takes.

    Args:
        scheme: one of `SCHEMES`.
        host: of SFTP, as [USER@]HOST[:PORT]; else empty.
    """

    def __init__(self, scheme: str, host: str) -> None:
        self.scheme = SCHEMES[scheme]
        self._name, self._host = scheme, host
        self._prefix = "" if self.scheme.is_url else f"{scheme}://{host}"

    def filesystem(self, path: str) -> AbstractFileSystem:
        """The implementation of fsspec; `path` is for messages.

        Raises:
            UsageError: a package is missing.
            OSError: there is no connection; also other exceptions.
        """
        try:
            import fsspec

            if self._name == "sftp":
                from .sftp import connect

                return connect(self._host)
            # Listings are not kept, since other processes write to the same folders.
            return fsspec.filesystem(self._name, use_listings_cache=False)
        except ImportError:
            package = self.scheme.package
            wanted = "'switchcodec-cli[remote]'" if package in _EXTRA_PACKAGES else package
            raise UsageError(
                f"{path}: {self._name}:// needs the package {package}: pip install {wanted}"
            ) from None

    def inner_path(self, path: str) -> str:
        """The path that fsspec takes for a URL."""
        if self.scheme.is_url:
            return path
        inner = path.partition("://")[2]
        return inner[len(self._host) :] or "/" if self.scheme.has_host else inner.rstrip("/")

    def _url(self, inner_path: str) -> str:
        """The URL for a path of fsspec."""
        if self.scheme.is_url or self.scheme.has_host:
            return self._prefix + inner_path
        return self._prefix + inner_path.lstrip("/")

    def status(self, path: str) -> FileStatus | None:
        if self.scheme.is_url and urlsplit(path).path.endswith("/"):
            return _folder_status()
        with read_errors(path):
            try:
                info = self.filesystem(path).info(self.inner_path(path))
            except Exception as error:
                if is_missing(error):
                    return None
                raise
        if info["type"] == "directory":
            return _folder_status()
        modified = _modified(info)
        return FileStatus(False, True, info.get("size"), modified, modified, resolution=1.0)

    def exists(self, path: str) -> bool:
        return self.status(path) is not None

    def any_file_exists(self, paths: Sequence[str]) -> bool:
        if len(paths) == 1 or self.scheme.is_url:
            return any(status is not None and status.is_regular for status in map(self.status, paths))
        folders: dict[str, set[str]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, set()).add(name)
        return any(names.intersection(self._files_in(folder)) for folder, names in folders.items())

    def _files_in(self, folder: str) -> list[str]:
        """Names of the files in a folder, of which there are none if it does not exist."""
        with read_errors(folder, "list"):
            try:
                return self._list(folder).files
            except Exception as error:
                if is_missing(error):
                    return []
                raise

    def open(self, path: str) -> BinaryIO:
        with read_errors(path):
            filesystem = self.filesystem(path)
            inner = self.inner_path(path)
            file = filesystem.open(inner, "rb", block_size=_BLOCK_BYTES, **self._cache_options())
            if not _can_seek(file):
                return _copied(file)
            return io.BufferedReader(_RemoteFile(file, path))

    def _cache_options(self) -> dict[str, str]:
        return {} if self.scheme.has_host else {"cache_type": "readahead"}

    def pending_output(self, path: str, force: bool) -> PendingOutput:
        if not self.scheme.is_writable:
            raise UsageError(f"{path}: {self._name}:// is read only")
        return PendingUpload(self, path, force)

    def create_folder(self, path: str) -> None:
        if self.scheme.has_folders:
            with write_errors(path, "create this folder"):
                self.filesystem(path).makedirs(self.inner_path(path), exist_ok=True)

    def delete(self, path: str) -> None:
        with write_errors(path, "delete"):
            self.filesystem(path).rm_file(self.inner_path(path))

    def walk(self, folder: str, on_error: Callable[[SwcError], None]) -> Iterator[Folder]:
        try:
            with read_errors(folder, "list"):
                found = self._list(folder)
        except SwcError as error:
            on_error(error)
            return
        yield found
        for name in found.folders:
            yield from self.walk(f"{found.path}/{name}", on_error)

    def _list(self, folder: str) -> Folder:
        """The content of a folder. Raises any exception of the implementation."""
        filesystem = self.filesystem(folder)
        inner = self.inner_path(folder)
        found = Folder(folder.rstrip("/"), [], [], [])
        start = inner.rstrip("/") + "/"
        for entry in filesystem.ls(inner if not self.scheme.is_url else start, detail=True):
            name = entry["name"].removeprefix(start).rstrip("/")
            is_inside = entry["name"].startswith(start) and name and "/" not in name
            if not is_inside or (self.scheme.is_url and name.startswith("?")):
                continue  # the folder itself, or a link of a web page to elsewhere
            kind = entry["type"]
            if kind == "link":
                kind = _kind_behind_link(filesystem, entry["name"])
                names = found.links if kind == "directory" else found.files
            else:
                names = found.folders if kind == "directory" else found.files
            names.append(name)
        for names in (found.folders, found.files, found.links):
            names.sort()
        return found

    def has_magic(self, path: str) -> bool:
        if self.scheme.is_url:  # a question mark begins the query
            return any(character in urlsplit(path).path for character in "*[")
        return glob.has_magic(path)

    def glob(self, pattern: str) -> Matches:
        start, parts = _split_pattern(pattern, self.has_magic)
        with read_errors(pattern, "list"):
            found = self.filesystem(pattern).glob(self.inner_path(pattern), detail=True)
        matches = Matches(start, [], [])
        wants_hidden = any(part.startswith(".") for part in parts)
        for name, entry in sorted(found.items()):
            url = self._url(name)
            is_hidden = any(part.startswith(".") for part in url.removeprefix(start).split("/"))
            if wants_hidden or not is_hidden:
                (matches.folders if entry["type"] == "directory" else matches.files).append(url)
        return matches

    def unreadable_kind(self, path: str) -> str | None:
        return None

    def canonical(self, path: str) -> str:
        scheme, _, rest = path.partition("://")
        return f"{scheme.lower()}://{rest}"

    def relative_path(self, path: str, root: str) -> str:
        relative = path.removeprefix(root.rstrip("/") + "/")
        return unquote(urlsplit(relative).path) if self.scheme.is_url else relative


class _RemoteFile(io.RawIOBase):
    """A file of fsspec for reading, whose errors are those of this package."""

    def __init__(self, file: Any, path: str) -> None:
        self._file, self.name = file, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with read_errors(self.name):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with read_errors(self.name):
            self._file.seek(offset, whence)
            return int(self._file.tell())

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _can_seek(file: Any) -> bool:
    """Whether a server can send parts of a file."""
    return bool(file.seekable()) and type(file).__name__ != "HTTPStreamFile"


def _copied(file: Any) -> BinaryIO:
    """A temporary local file with the content of a file that can be read only once."""
    copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with file:
            shutil.copyfileobj(file, copy, _PIECE_BYTES)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _folder_status() -> FileStatus:
    return FileStatus(True, False, None, None, None)


def _modified(info: dict[str, Any]) -> float | None:
    """The modification time among what fsspec says of a file, in seconds since 1970."""
    for key in ("LastModified", "mtime", "updated", "last_modified"):
        value = info.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, datetime):
            return value.timestamp()
    return None


def _kind_behind_link(filesystem: AbstractFileSystem, inner_path: str) -> str:
    try:
        return str(filesystem.info(inner_path)["type"])
    except OSError:  # reported when it is read
        return "file"


def _split_pattern(pattern: str, has_magic: Callable[[str], bool]) -> tuple[str, list[str]]:
    """The folder before the first component with special characters, and this and the other components."""
    parts = pattern.split("/")
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    return "/".join(parts[:first]), parts[first:]
