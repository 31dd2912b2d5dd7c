"""Output of commands: progress bars and messages on standard error, JSON on standard output."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

from ..atomic_io import PIPE
from ..batch.plan import IgnoredInput, Job
from ..errors import one_line
from .errors import describe, exit_code_of
from .formatting import format_json, format_speed

if TYPE_CHECKING:
    from rich.progress import TaskID

_NAME_WIDTH = 40  # characters of a file name beside its bar

Result = TypeVar("Result")


class _Display(Protocol):
    """Shows progress and messages on standard error."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def start(self, name: str, seconds: float | None) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def finish(self) -> None: ...

    def print(self, text: str) -> None: ...


class _MessageDisplay:
    """Messages only."""

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def start(self, name: str, seconds: float | None) -> None:
        pass

    def advance(self, seconds: float) -> None:
        pass

    def finish(self) -> None:
        pass

    def print(self, text: str) -> None:
        click.echo(text, err=True)


class _BarDisplay:
    """Messages above a bar for the current file, and a second bar if there are several files."""

    def __init__(self, action: str, files: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._file: TaskID | None = None
        self._total: TaskID | None = None
        if files > 1:
            self._total = self._bars.add_task(f"{action} {files} files", total=files, speed="")
        self._seconds_before = 0.0  # of audio of the files that are finished
        self._seconds = 0.0  # of audio of the current file
        self._began = self._file_began = time.perf_counter()

    def open(self) -> None:
        self._bars.start()

    def close(self) -> None:
        self._bars.stop()

    def start(self, name: str, seconds: float | None) -> None:
        self._remove_file()
        self._seconds, self._file_began = 0.0, time.perf_counter()
        self._file = self._bars.add_task(one_line(name)[-_NAME_WIDTH:], total=seconds, speed="")

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
        now = time.perf_counter()
        if self._file is not None:
            speed = format_speed(self._seconds, now - self._file_began)
            self._bars.update(self._file, advance=seconds, speed=speed)
        if self._total is not None:
            speed = format_speed(self._seconds_before + self._seconds, now - self._began)
            self._bars.update(self._total, speed=speed)

    def finish(self) -> None:
        self._remove_file()
        self._seconds_before += self._seconds
        self._seconds = 0.0
        if self._total is not None:
            self._bars.update(self._total, advance=1)

    def _remove_file(self) -> None:
        if self._file is not None:
            self._bars.remove_task(self._file)
            self._file = None

    def print(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Progress:
    """Reports what a command does.

    Bars are shown if standard error is a terminal. Use as a context manager.

    Args:
        action: such as "encoding".
        files: number of files; a bar counts them if there are several.
        quiet: show neither bars nor messages, only warnings and errors.
        as_json: whether `record` prints.
        debug: whether errors are printed with their tracebacks.
    """

    def __init__(
        self, action: str, files: int = 1, quiet: bool = False, as_json: bool = False, debug: bool = False
    ) -> None:
        self._quiet, self._as_json, self._debug = quiet, as_json, debug
        has_bars = not quiet and sys.stderr.isatty()
        self._display: _Display = _BarDisplay(action, files) if has_bars else _MessageDisplay()

    def __enter__(self) -> Progress:
        self._display.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.close()

    def start(self, name: str, seconds: float | None) -> None:
        """Begin a file, or another pass over it; `seconds` is the length of its audio if known."""
        self._display.start(name, seconds)

    def advance(self, seconds: float) -> None:
        """Report that so many more seconds of audio are done."""
        self._display.advance(seconds)

    def finish(self) -> None:
        """End the current file."""
        self._display.finish()

    def message(self, text: str) -> None:
        """Print a message unless the command is quiet."""
        if not self._quiet:
            self._display.print(one_line(text))

    def warning(self, text: str) -> None:
        """Print a warning."""
        self._display.print(f"swc: {one_line(text)}")

    def ignored_inputs(self, inputs: Sequence[IgnoredInput]) -> None:
        """Print which files in folders are not processed."""
        for ignored in inputs:
            self.warning(f"{ignored.source}: ignored, it {ignored.reason}")

    def error(self, error: BaseException, source: str | None = None) -> str:
        """Print an error; returns its message. `source` is the file being processed."""
        if self._debug:
            traceback.print_exception(error)
        text = describe(error, source)
        self._display.print(f"swc: error: {text}")
        return text

    def record(self, values: dict[str, Any]) -> None:
        """Print a JSON object on a line of its own if the command prints JSON."""
        if self._as_json:
            click.echo(format_json(values))


@dataclass(frozen=True)
class JobReport:
    """A result of a job as text and as JSON."""

    line: str
    record: dict[str, Any]
    warnings: tuple[str, ...] = ()


class BatchProgress(Progress, Generic[Result]):
    """Reports the jobs of a plan; implements `batch.run.Reporter`.

    Args:
        action: such as "encoding".
        files: number of jobs.
        report: converts results.
        quiet: see `Progress`.
        as_json: see `Progress`.
        debug: see `Progress`.
        dry_run: print what would be done on standard output.
        verb: what is done, such as "encoded".
        receive: takes each result before it is reported.

    Attributes:
        verb: see above.
        done: number of jobs whose output is complete.
    """

    def __init__(
        self,
        action: str,
        files: int,
        report: Callable[[Result], JobReport],
        *,
        quiet: bool = False,
        as_json: bool = False,
        debug: bool = False,
        dry_run: bool = False,
        verb: str = "",
        receive: Callable[[Result], None] | None = None,
    ) -> None:
        super().__init__(action, files, quiet or dry_run, as_json, debug)
        self._quiet = quiet  # a dry run has no bars, but messages
        self._report, self._dry_run, self.verb = report, dry_run, verb
        self._receive = receive
        self.done = 0

    def succeeded(self, result: Result) -> None:
        """Print the result of a job."""
        if self._receive is not None:
            self._receive(result)
        self.done += 1
        report = self._report(result)
        for warning in report.warnings:
            self.warning(warning)
        self.message(report.line)
        self.record(report.record)
        self.finish()

    def skipped(self, job: Job) -> None:
        """Print that the output of a job is up to date."""
        self.done += 1
        self._plan_line(f"{job.source} -> {job.output}: up to date")
        self.record({"input": job.source, "output": job.output, "status": "skipped"})
        self.finish()

    def planned(self, job: Job) -> None:
        """Print what would be done for a job."""
        suffix = " again" if job.overwrite else ""
        self._plan_line(f"{job.source_name} -> {job.output_name}: would be {self.verb}{suffix}")
        self.record(
            {"input": job.source, "output": job.output, "status": "planned", "overwrite": job.overwrite}
        )
        self.finish()

    def ignored(self, ignored: IgnoredInput) -> None:
        """Print that a file in a folder is not processed."""
        self.ignored_inputs([ignored])
        self.record({"input": ignored.source, "status": "ignored", "reason": ignored.reason})

    def deleted(self, job: Job) -> None:
        """Print that the source of a job was deleted."""
        self.message(f"{job.source}: verified and deleted")

    def _plan_line(self, text: str) -> None:
        """Print what is or would be done; it is the result of a dry run."""
        if not self._dry_run:
            self.message(text)
        elif not self._as_json:
            click.echo(one_line(text))

    def failed(self, source: str, output: str | None, error: Exception) -> None:
        """Print the error of a job or a rejected input."""
        text = self.error(error, "standard input" if source == PIPE else source)
        self.record(
            {
                "input": source,
                "output": output,
                "status": "failed",
                "error": text,
                "exit_code": exit_code_of(error),
            }
        )
        if output is not None:
            self.finish()
