"""What the commands `encode` and `decode` share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..atomic_io import PIPE
from ..batch.plan import Plan
from ..batch.run import BatchResult, Compare, Worker, run_plan
from ..errors import UsageError
from .batch_options import BatchOptions
from .errors import Interrupted, Invocation
from .formatting import format_duration, format_size, format_speed
from .progress import BatchProgress, JobReport

if TYPE_CHECKING:
    from ..api import Codec


class _Result(Protocol):
    """The result of a job."""

    @property
    def seconds(self) -> float: ...

    @property
    def input_bytes(self) -> int | None: ...

    @property
    def output_bytes(self) -> int | None: ...


Result = TypeVar("Result", bound=_Result)


@dataclass
class CodecSource:
    """Loads a codec, once for all worker processes that are forked from one; they get a copy of it.

    Args:
        weights: name or path, None for the default weights.
        device: see `Codec.load`.
    """

    weights: str | None
    device: str
    _codec: Codec | None = field(default=None, init=False)  # on the CPU: a GPU cannot be used after a fork

    def preload(self) -> None:
        """Load the weights before processes are forked, which then share them. Raises SwcError."""
        from ..api import Codec

        self._codec = Codec.load(self.weights, "cpu")

    def load(self) -> Codec:
        """The codec on its device. Raises SwcError."""
        from ..api import Codec

        return Codec.load(self.weights, self.device) if self._codec is None else self._codec.to(self.device)


@dataclass(frozen=True)
class Task(Generic[Result]):
    """What a command does with the jobs of a plan."""

    action: str
    """Such as "encoding"."""
    verb: str
    """What is done, such as "encoded"."""
    create_worker: Callable[[], Worker[Result]]
    """Uses the codec of `codec`."""
    codec: CodecSource
    report: Callable[[Result], JobReport]
    compare: Compare | None = None
    """See `run_plan`."""
    delete_input: bool = False
    """See `RunOptions`."""


def run_jobs(plan: Plan, task: Task[Result], batch: BatchOptions, invocation: Invocation) -> int:
    """Execute a plan and return the exit code.

    Raises:
        SwcError: before any job is executed, or since the model cannot be loaded.
        Interrupted: by a signal; it says how far the plan was executed if it has several jobs.
    """
    _check_plan(plan, batch)
    progress = BatchProgress(
        task.action,
        len(plan.jobs),
        task.report,
        quiet=batch.quiet,
        as_json=batch.as_json,
        debug=invocation.debug,
        dry_run=batch.dry_run,
        verb=task.verb,
    )
    with progress:
        try:
            result = run_plan(
                plan,
                task.create_worker,
                progress,
                batch.run_options(task.delete_input),
                task.compare,
                batch.jobs or 1,
                task.codec.preload,
            )
        except (KeyboardInterrupt, Interrupted) as error:
            interrupted = error if isinstance(error, Interrupted) else Interrupted()
            if not plan.is_single:
                interrupted.progress = (
                    f"{progress.done} of {len(plan.jobs)} files are done; "
                    "run the same command again to continue"
                )
            raise interrupted from None
        if not plan.is_single:
            progress.message(_summary(result, progress.verb))
    return result.exit_code


def _check_plan(plan: Plan, batch: BatchOptions) -> None:
    """Detect errors before models are loaded. Raises SwcError."""
    if any(job.output == PIPE for job in plan.jobs):
        if batch.as_json:
            raise UsageError("--json and an output of - cannot both use standard output")
        if sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("standard output is a terminal: use a file or a pipe")
    plan.check(batch.force or batch.update)


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
        text += f": {format_duration(seconds)} of audio, {before} -> {after}, {speed}"
    return text
