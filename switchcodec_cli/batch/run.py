"""Working through a plan: every file on its own, so that a bad one does not stop the others."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..atomic_io import atomic_output, reason
from ..cli.errors import check_usage, describe, exit_code_of
from ..cli.progress import Progress, duration, size, speed
from ..errors import BadInputError, SwcError, UsageError
from .plan import PIPE, Job, Plan

SOME_FAILED = 1


@dataclass
class Outcome:
    """What became of one file."""

    line: str
    """For people."""
    record: dict[str, Any]
    """For JSON."""
    seconds: float = 0.0
    """Of audio."""
    bytes_in: int = 0
    bytes_out: int = 0
    skipped: bool = False
    warnings: list[str] = field(default_factory=list)


def check_plan(plan: Plan, as_json: bool, force: bool, binary: bool = True) -> None:
    """Refuse early, before anything slow is loaded, what cannot go well. Raises SwcError."""
    if plan.single and plan.failures:
        raise plan.failures[0][1]
    for job in plan.jobs:
        if job.target == PIPE:
            check_usage(not as_json, "--json and audio or streams do not both go to standard output")
            tty = sys.stdout is not None and sys.stdout.isatty()
            check_usage(not (binary and tty), "standard output is a terminal: write to a file or a pipe")
        elif plan.single and not force and Path(job.target).is_file():
            raise UsageError(f"{job.target}: exists already (use --force to overwrite it)")
        if plan.single and job.source != PIPE and not Path(job.source).exists():
            raise BadInputError(f"{job.source}: no such file")


def run_plan(
    plan: Plan, work: Callable[[Job, Progress], Outcome], progress: Progress, verb: str, debug: bool
) -> int:
    """Do every job, print a line and a record for each; returns the exit code.

    verb: what happened to files, such as "encoded".
    """
    began = time.perf_counter()
    done: list[Outcome] = []
    codes = []

    def failed(source: str, target: str | None, error: Exception) -> None:
        codes.append(exit_code_of(error))
        if debug:
            traceback.print_exception(error)
        text = describe(error, source if source != PIPE else "standard input")
        progress.error(text)
        progress.record(
            {"input": source, "output": target, "status": "failed", "error": text, "exit_code": codes[-1]}
        )

    for source, error in plan.failures:
        failed(source, None, error)
    for job in plan.jobs:
        try:
            outcome = work(job, progress)
        except BrokenPipeError:
            raise
        except Exception as error:
            failed(job.source, job.target, error)
        else:
            done.append(outcome)
            for warning in outcome.warnings:
                progress.warn(warning)
            progress.say(outcome.line)
            progress.record(outcome.record)
        finally:
            progress.finish()
    if not plan.single:
        progress.say(_total(done, len(codes), time.perf_counter() - began, verb))
    if not codes:
        return 0
    return codes[0] if plan.single else SOME_FAILED


def _total(done: list[Outcome], failed: int, elapsed: float, verb: str) -> str:
    written = [outcome for outcome in done if not outcome.skipped]
    parts = [f"{len(written)} {verb}"]
    if skipped := len(done) - len(written):
        parts.append(f"{skipped} done before")
    if failed:
        parts.append(f"{failed} failed")
    text = ", ".join(parts)
    if written:
        seconds = sum(outcome.seconds for outcome in written)
        before = size(sum(outcome.bytes_in for outcome in written))
        after = size(sum(outcome.bytes_out for outcome in written))
        text += f": {duration(seconds)} of audio, {before} -> {after}, {speed(seconds, elapsed)}"
    return text


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """A binary file to read, or standard input for "-". Raises BadInputError."""
    if path == PIPE:
        if sys.stdin is None or sys.stdin.closed:
            raise BadInputError("standard input is closed")
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        text = reason(error) if isinstance(error, OSError) else str(error)
        raise BadInputError(f"{path}: cannot read: {text}") from None
    with file:
        yield file


@contextmanager
def open_output(path: str, force: bool) -> Iterator[BinaryIO]:
    """A binary file that appears when all went well, or standard output for "-"."""
    if path != PIPE:
        with atomic_output(path, force) as file:
            yield file
        return
    if sys.stdout is None or sys.stdout.closed:
        raise SwcError("standard output is closed")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SwcError(f"standard output: cannot write: {reason(error)}") from None


def make_folder_for(job: Job) -> None:
    """Make the folder that an output goes to, where outputs go to a folder. Raises SwcError."""
    folder = Path(job.target).parent
    try:
        if job.make_folder:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwcError(f"{folder}: cannot make this folder: {reason(error)}") from None


def size_of(path: str) -> int | None:
    """Size of a file in bytes, None for what has none."""
    try:
        return Path(path).stat().st_size if Path(path).is_file() else None
    except OSError:
        return None
