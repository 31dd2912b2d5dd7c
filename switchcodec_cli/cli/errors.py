"""Errors of the command line: one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

from .. import errors
from ..batch.run import SOME_FAILED
from ..errors import SwcError, UsageError

INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143  # 128 + SIGINT, SIGPIPE and SIGTERM


class Interrupted(BaseException):
    """SIGINT or another signal to terminate; partial output is removed while the stack unwinds."""

    def __init__(self, exit_code: int = INTERRUPTED, progress: str | None = None) -> None:
        super().__init__()
        self.exit_code = exit_code
        self.progress = progress
        """What was done before, in one line."""

    @property
    def message(self) -> str:
        """The line for the user."""
        word = "terminated" if self.exit_code == TERMINATED else "interrupted"
        return f"swc: {word}" if self.progress is None else f"swc: {word}: {self.progress}"


class ClosedPipe(BaseException):
    """The reader of standard output closed it."""


@dataclass
class Invocation:
    """State of one call of `swc`, shared by the group and its command."""

    debug: bool = False


def describe(error: BaseException, source: str | None = None) -> str:
    """The message of an error in one line; see `errors.describe`."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "swc"
        text = error.format_message().rstrip(".")
        return errors.one_line(f"{text[:1].lower()}{text[1:]} (see {command} --help)")
    if isinstance(error, click.ClickException):
        return errors.one_line(error.format_message())
    text = errors.describe(error, source)
    is_expected = isinstance(error, (SwcError, OSError, MemoryError))
    return text if is_expected else f"{text} (--debug shows the traceback)"


def exit_code_of(error: BaseException) -> int:
    """The documented exit code for an error."""
    if isinstance(error, click.UsageError):
        return UsageError.exit_code
    return errors.exit_code_of(error)


def exit_code_of_files(failures: Sequence[int], files: int) -> int:
    """The exit code of a command that reads files one by one.

    Args:
        failures: exit codes of those that failed.
        files: number of all files.
    """
    if not failures:
        return 0
    return failures[0] if files == 1 else SOME_FAILED


def report(error: BaseException, debug: bool = False) -> int:
    """Print an error, with its traceback if `debug` is set, and return its exit code."""
    if debug:
        traceback.print_exception(error)
    click.echo(f"swc: error: {describe(error)}", err=True)
    return exit_code_of(error)


def silence_streams() -> None:
    """Redirect streams that cannot be flushed to the null device, so that exiting raises no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            try:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
            except (OSError, ValueError, AttributeError):
                pass
