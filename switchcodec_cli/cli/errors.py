"""The one place where errors become one line on standard error and an exit code."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass

import click

from ..atomic_io import reason
from ..errors import SwcError, UsageError

INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143


class Interrupted(BaseException):
    """Ctrl-C, or a signal that asks to end; what is half-written is cleaned up on the way out."""

    def __init__(self, exit_code: int = INTERRUPTED) -> None:
        super().__init__()
        self.exit_code = exit_code


class ClosedPipe(BaseException):
    """The reader of our output has gone; nothing is wrong."""


@dataclass
class Run:
    """What one call of `swc` keeps for all its commands."""

    debug: bool = False


def one_line(text: str) -> str:
    """Text as a single line in which nothing can steer a terminal."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in joined)


def describe(error: BaseException, source: str | None = None) -> str:
    """What went wrong, in one line that names the file `source` once."""
    if isinstance(error, OSError):
        text = reason(error)
        name = error.filename if isinstance(error.filename, str) else source
        return one_line(f"{name}: {text}" if name else text)
    if isinstance(error, SwcError):
        text = str(error)
    elif isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "swc"
        text = error.format_message().rstrip(".")
        text = f"{text[:1].lower()}{text[1:]} (see {command} --help)"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    else:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text = f"unexpected {what} (--debug shows where)"
    if source and source not in text:
        text = f"{source}: {text}"
    return one_line(text)


def exit_code_of(error: BaseException) -> int:
    """The documented exit code for an error."""
    if isinstance(error, (SwcError, Interrupted)):
        return error.exit_code
    if isinstance(error, click.UsageError):
        return UsageError.exit_code
    return 1


def report(error: BaseException, debug: bool = False, source: str | None = None) -> int:
    """Print an error's line, with `debug` after its traceback; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    print_error(describe(error, source))
    return exit_code_of(error)


def print_error(line: str) -> None:
    """One line on standard error, whatever characters its encoding knows."""
    click.echo(f"swc: error: {line}", err=True)


def check_usage(holds: object, message: str) -> None:
    """Raise UsageError with this message unless the first argument is true."""
    if not holds:
        raise UsageError(message)


def silence_streams() -> None:
    """Let the interpreter's last flush go nowhere, once the reader of a pipe has gone."""
    import os

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
            except (OSError, ValueError, AttributeError):
                pass
