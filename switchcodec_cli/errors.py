"""Exceptions with exit codes, and their description in one line."""

from __future__ import annotations


class SwcError(Exception):
    """Base class of all errors that carry a one-line message for the user."""

    exit_code = 1


class UsageError(SwcError):
    """Invalid arguments: an impossible rate, contradicting options, an output that exists already."""

    exit_code = 2


class BadInputError(SwcError):
    """An input file is unreadable, malformed, damaged or truncated."""

    exit_code = 3


class WeightsError(SwcError):
    """Weights are missing, malformed, or not the ones a stream was made with."""

    exit_code = 4


class DeviceError(SwcError):
    """The requested compute device is not available."""

    exit_code = 5


def exit_code_of(error: BaseException) -> int:
    """The documented exit code for an error."""
    return error.exit_code if isinstance(error, SwcError) else SwcError.exit_code


def system_message(error: OSError) -> str:
    """The operating system's message, starting in lower case: "no space left on device"."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def describe(error: BaseException, source: str | None = None) -> str:
    """The message of an error in one line.

    Args:
        error: any exception.
        source: name of the file being processed; it is put in front unless the message contains it.
    """
    if isinstance(error, OSError):
        name = error.filename if isinstance(error.filename, str) else source
        return one_line(f"{name}: {system_message(error)}" if name else system_message(error))
    if isinstance(error, SwcError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "out of memory"
    else:
        details = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text = f"unexpected error: {details}"
    return one_line(f"{source}: {text}" if source and source not in text else text)


def one_line(text: str) -> str:
    """Replace line breaks by spaces, and escape unprintable characters such as terminal control codes."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in joined)
