"""What the commands `encode`, `decode` and `tokens` share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

from ..atomic_io import PIPE
from ..batch.plan import Plan
from ..batch.run import BatchResult, Compare, RunOptions, Worker, run_plan
from ..errors import UsageError
from .errors import Interrupted
from .formatting import format_duration, format_size, format_speed
from .progress import BatchProgress


class _Result(Protocol):
    """The result of a job."""

    @property
    def seconds(self) -> float: ...

    @property
    def input_bytes(self) -> int | None: ...

    @property
    def output_bytes(self) -> int | None: ...


Result = TypeVar("Result", bound=_Result)


def check_plan(plan: Plan, force: bool, as_json: bool) -> None:
    """Detect errors before models are loaded. Raises SwcError."""
    if any(job.output == PIPE for job in plan.jobs):
        if as_json:
            raise UsageError("--json and an output of - cannot both use standard output")
        if sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("standard output is a terminal: use a file or a pipe")
    plan.check(force)


def run_jobs(
    plan: Plan,
    create_worker: Callable[[], Worker[Result]],
    progress: BatchProgress[Result],
    *,
    options: RunOptions,
    processes: int,
    compare: Compare | None = None,
) -> int:
    """Execute a plan and return the exit code.

    Args:
        plan, create_worker, progress, options, processes, compare: see `run_plan`.

    Raises:
        Interrupted: by a signal; it says how far the plan was executed if it has several jobs.
    """
    with progress:
        try:
            batch = run_plan(plan, create_worker, progress, options, compare, processes)
        except (KeyboardInterrupt, Interrupted) as error:
            interrupted = error if isinstance(error, Interrupted) else Interrupted()
            if not plan.is_single:
                interrupted.progress = (
                    f"{progress.done} of {len(plan.jobs)} files are done; "
                    "run the same command again to continue"
                )
            raise interrupted from None
        if not plan.is_single:
            progress.message(_summary(batch, progress.verb))
    return batch.exit_code


def _summary(batch: BatchResult[Result], verb: str) -> str:
    parts = [f"{batch.planned} would be {verb}" if batch.planned else f"{len(batch.results)} {verb}"]
    if batch.skipped:
        parts.append(f"{batch.skipped} up to date")
    if batch.failed:
        parts.append(f"{batch.failed} failed")
    if batch.ignored:
        parts.append(f"{batch.ignored} ignored")
    text = ", ".join(parts)
    if batch.results:
        seconds = sum(result.seconds for result in batch.results)
        before = format_size(sum(result.input_bytes or 0 for result in batch.results))
        after = format_size(sum(result.output_bytes or 0 for result in batch.results))
        speed = format_speed(seconds, batch.elapsed)
        is_known = all(None not in (result.input_bytes, result.output_bytes) for result in batch.results)
        sizes = f"{before} -> {after}, " if is_known else ""
        text += f": {format_duration(seconds)} of audio, {sizes}{speed}"
    return text
