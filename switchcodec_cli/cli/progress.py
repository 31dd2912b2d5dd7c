"""What a command tells while it works: bars, lines, and JSON."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Any

import click

from .errors import one_line, print_error


def duration(seconds: float) -> str:
    """A length of time for people: 0.52 s, 12.3 s, 3 min 05 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """A number of bytes for people: 812 B, 3.29 kB, 1.76 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5 or unit == "GB":
            break
    decimals = 2 if count < 10 else 1 if count < 100 else 0
    return f"{count:.{decimals}f} {unit}"


def share_of_pcm(ratio: float) -> str:
    """How small a stream is, `ratio` times smaller than samples of 16 bits: 1/264 of 16-bit PCM."""
    if ratio < 1:
        return f"{1 / ratio:.0f} × 16-bit PCM" if ratio else "no audio"
    return f"1/{ratio:.0f} of 16-bit PCM"


def speed(seconds: float, elapsed: float) -> str:
    """Seconds of audio in so many seconds of work: 62 × real time."""
    rate = seconds / elapsed if elapsed > 0 else 0.0
    return f"{rate:.0f} × real time" if rate >= 10 else f"{rate:.1f} × real time"


class Progress:
    """Bars on standard error where that is a terminal, lines there always, JSON on standard output.

    Args:
        action: what is done, such as "encoding".
        files: how many files there are; from two on, a bar counts them.
        quiet: neither bars nor ordinary lines; warnings and errors stay.
        as_json: whether `record` prints.
    """

    def __init__(self, action: str, files: int = 1, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json, self.files = quiet, as_json, files
        self.bars: Any = None
        self._file: Any = None
        self._total: Any = None
        self._done = 0.0  # seconds of audio of finished files
        self._current = 0.0  # and of the file in hand
        self._began = self._file_began = time.perf_counter()
        if quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        if files > 1:
            self._total = self.bars.add_task(f"{action} {files} files", total=files, speed="")

    def __enter__(self) -> Progress:
        if self.bars is not None:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars is not None:
            self.bars.stop()

    def start(self, name: str, seconds: float | None) -> None:
        """Begin a file of so many seconds, None if that is not known."""
        self._current, self._file_began = 0.0, time.perf_counter()
        if self.bars is not None:
            if self._file is not None:
                self.bars.remove_task(self._file)
            self._file = self.bars.add_task(one_line(name)[-40:], total=seconds, speed="")

    def advance(self, seconds: float) -> None:
        """So many more seconds of audio are done."""
        self._current += seconds
        if self.bars is not None and self._file is not None:
            now = time.perf_counter()
            text = speed(self._current, now - self._file_began)
            self.bars.update(self._file, advance=seconds, speed=text)
            if self._total is not None:
                text = speed(self._done + self._current, now - self._began)
                self.bars.update(self._total, speed=text)

    def finish(self) -> None:
        """The file in hand is done, well or not."""
        self._done += self._current
        self._current = 0.0
        if self.bars is not None:
            if self._file is not None:
                self.bars.remove_task(self._file)
                self._file = None
            if self._total is not None:
                self.bars.update(self._total, advance=1)

    def say(self, text: str) -> None:
        """A line that --quiet silences."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """A line that stays."""
        self._print(f"swc: {text}")

    def error(self, text: str) -> None:
        """The line of an error."""
        if self.bars is None:
            print_error(text)
        else:
            self._print(f"swc: error: {text}")

    def record(self, values: dict[str, Any]) -> None:
        """A JSON object on a line of its own, if that is asked for."""
        if self.as_json:
            click.echo(json.dumps(values, allow_nan=False))

    def _print(self, text: str) -> None:
        if self.bars is None:
            click.echo(one_line(text), err=True)
        else:
            self.bars.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)
