"""Errors of the libraries that reach other machines, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BadInputError, SwcError

# What the classes of exceptions mean, by name, since the libraries are imported only where they are used.
# The classes of boto, aiohttp, paramiko and the clients of Google and Azure.
_REASONS = {
    "NoCredentialsError": "no credentials were found",
    "PartialCredentialsError": "no credentials were found",
    "ProfileNotFound": "the profile of the credentials does not exist",
    "DefaultCredentialsError": "no credentials were found",
    "ClientAuthenticationError": "access denied",
    "PermissionError": "access denied",
    "PasswordRequiredException": "the key of the user is encrypted; add it to the SSH agent",
    "BadHostKeyException": "the key of the server is not the one in known_hosts",
    "AuthenticationException": "the server refuses the keys of the user",
    "EndpointConnectionError": "cannot connect to the server",
    "ConnectTimeoutError": "cannot connect to the server",
    "ClientConnectorError": "cannot connect to the server",
    "NoValidConnectionsError": "cannot connect to the server",
    "gaierror": "cannot find the server",
    "FileNotFoundError": "no such file",
    "TimeoutError": "the server does not answer",
    "FSTimeoutError": "the server does not answer",
    "ReadTimeoutError": "the server does not answer",
}
_NO_BUCKET = ("NoSuchBucket", "bucket does not exist", "No such container")
_NOT_FOUND_STATUS = (404, 410)


@contextmanager
def read_errors(path: str, action: str = "read") -> Iterator[None]:
    """Raise BadInputError instead of the exceptions of other libraries."""
    try:
        yield
    except SwcError:
        raise
    except Exception as error:
        raise BadInputError(f"{path}: cannot {action}: {reason(error)}") from error


@contextmanager
def write_errors(path: str, action: str = "write") -> Iterator[None]:
    """Raise SwcError instead of the exceptions of other libraries."""
    try:
        yield
    except SwcError:
        raise
    except Exception as error:
        raise SwcError(f"{path}: cannot {action}: {reason(error)}") from error


def is_missing(error: BaseException) -> bool:
    """Whether an exception says that there is no such file or folder, in a bucket that exists."""
    chain = list(_chain(error))
    if not isinstance(error, FileNotFoundError) or any(_says_no_bucket(each) for each in chain):
        return False
    # For HTTP, fsspec raises FileNotFoundError whatever the reason is.
    statuses = [each.status for each in chain if hasattr(each, "status")]
    causes = [each for each in chain[1:] if type(each).__name__ in _REASONS]
    return all(status in _NOT_FOUND_STATUS for status in statuses) and not causes


def reason(error: BaseException) -> str:
    """Why an operation failed."""
    chain = list(_chain(error))
    if any(_says_no_bucket(each) for each in chain):
        return "no such bucket"
    for each in reversed(chain):  # the cause says more than its consequences
        status = getattr(each, "status", None)
        if isinstance(status, int):
            return f"the server answers with status {status}"
        for base in type(each).__mro__:
            if base.__name__ in _REASONS:
                text = _REASONS[base.__name__]
                detail = _detail(each) if isinstance(each, PermissionError) else ""
                return f"{text} ({detail})" if detail else text
    return _detail(error) or type(error).__name__


def _detail(error: BaseException) -> str:
    """The first line of a message, starting in lower case."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = text.strip().partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__


def _says_no_bucket(error: BaseException) -> bool:
    return any(text in str(error) for text in _NO_BUCKET)
