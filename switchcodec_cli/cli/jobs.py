"""What the commands `encode`, `decode`, `tokens` and `play` share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..atomic_io import PIPE
from ..batch.manifest import ManifestWriter, Outcome
from ..batch.plan import Job, Plan
from ..batch.processes import Cost, default_processes, may_use_gpu, usable_cores
from ..batch.run import BatchResult, Compare, Pool, Worker, run_plan
from ..errors import UsageError
from .batch_options import BatchOptions
from .errors import Interrupted, Invocation
from .formatting import format_duration, format_size, format_speed
from .progress import BatchProgress, JobReport

if TYPE_CHECKING:
    from ..api import Codec
    from ..bitstream import DamagedWindow


class _Result(Protocol):
    """The result of a job."""

    @property
    def seconds(self) -> float: ...

    @property
    def input_bytes(self) -> int | None: ...

    @property
    def output_bytes(self) -> int | None: ...


Result = TypeVar("Result", bound=_Result)


def damage_warnings(
    name: str, concealed: Sequence[DamagedWindow], truncated: str | None, verb: str
) -> list[str]:
    """What was concealed in a stream, a line each; `verb` is what was done with the rest."""
    warnings = [
        f"{name}: window {window.index} at {window.start:.3f} s is damaged ({window.reason}) "
        "and was replaced by silence"
        for window in concealed
    ]
    if truncated is not None:
        warnings.append(f"{name}: {truncated}; everything before was {verb}")
    return warnings


def create_pool(address: str | None, device: str = "cpu", actors: int | None = None) -> Pool | None:
    """The Ray cluster at an address; None for no address.

    Args:
        address, device, actors: see `RayPool`.

    Raises:
        SwcError: there is no such cluster, or Ray is not installed.
    """
    if address is None:
        return None
    from ..batch.ray_pool import RayPool

    return RayPool(address, device, actors)


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

    def fingerprint(self) -> bytes:
        """Of the weights, which are not loaded. Raises WeightsError."""
        from ..model.weights_info import read_weights
        from ..model.weights_registry import find_weights

        return read_weights(find_weights(self.weights)).info.fingerprint

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
    cost: Cost
    """Of a job."""
    settings: str
    """What is asked for, as JSON."""
    existing: Callable[[Job], Outcome]
    """What a manifest says of an output that exists."""
    compare: Compare | None = None
    """See `run_plan`."""
    delete_input: bool = False
    """See `RunOptions`."""
    loads_codec: bool = True
    """Whether the workers load the codec."""
    receive: Callable[[Result], None] | None = None
    """Takes each result in this process, in the order of the plan."""


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
        receive=task.receive,
    )
    with progress, _open_manifest(task, batch) as manifest:
        try:
            pool = create_pool(batch.ray_address, batch.device, batch.jobs)
            result = run_plan(
                plan,
                task.create_worker,
                progress,
                batch.run_options(task.delete_input),
                task.compare,
                1 if pool is not None else batch.jobs or _default_processes(plan, task),
                task.codec.preload if task.loads_codec else None,
                manifest,
                pool,
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


def _open_manifest(task: Task[Result], batch: BatchOptions) -> ManifestWriter | nullcontext[None]:
    """The manifest to write, if there is to be one. Raises SwcError."""
    path = batch.manifest_path()
    if path is None or batch.dry_run:
        return nullcontext()
    return ManifestWriter(path, task.settings, task.codec.fingerprint(), task.existing)


def _default_processes(plan: Plan, task: Task[Result]) -> int:
    if task.loads_codec and may_use_gpu(task.codec.device):
        return 1
    return default_processes(plan.jobs, task.cost, usable_cores())


def _check_plan(plan: Plan, batch: BatchOptions) -> None:
    """Detect errors before models are loaded. Raises SwcError."""
    if batch.manifest_path() and any(PIPE in (job.source, job.output) for job in plan.jobs):
        raise UsageError("--manifest needs files, not standard input or standard output")
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
        is_known = all(None not in (result.input_bytes, result.output_bytes) for result in batch.results)
        sizes = f"{before} -> {after}, " if is_known else ""
        text += f": {format_duration(seconds)} of audio, {sizes}{speed}"
    return text
