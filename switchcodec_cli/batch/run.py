"""Execution of a plan, in this process or in several. Each file is on its own: errors affect no other."""

from __future__ import annotations

import os
import pickle
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field, replace
from operator import methodcaller
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..atomic_io import PIPE
from ..errors import SwcError, UsageError, describe, exit_code_of, system_message
from ..storage import is_file, is_remote, storage_of
from .files import file_size
from .manifest import ManifestWriter
from .plan import IgnoredInput, Job, Plan

if TYPE_CHECKING:
    from .parallel import ProcessError

SOME_FAILED = 1  # exit code if several files were given and some failed

Result = TypeVar("Result")
Item = TypeVar("Item")
Value = TypeVar("Value")
Result_co = TypeVar("Result_co", covariant=True)
Result_contra = TypeVar("Result_contra", contravariant=True)


@dataclass(frozen=True)
class Difference:
    """How an existing output differs from what a job would write."""

    text: str
    """Continues the sentence "the output exists already and ..."."""
    is_replaceable: bool = True
    """Whether the output is of this source, so that nothing is lost if it is made again."""


class FileProgress(Protocol):
    """Receives the progress of one file."""

    def start(self, name: str, seconds: float | None) -> None:
        """A file, or another pass over it, begins; `seconds` is the length of its audio if known."""

    def advance(self, seconds: float) -> None:
        """So many more seconds of audio are done."""


class Reporter(FileProgress, Protocol[Result_contra]):
    """Receives the progress and the outcome of every job."""

    def succeeded(self, result: Result_contra) -> None:
        """A job is done."""

    def skipped(self, job: Job) -> None:
        """The output of a job exists already and is up to date."""

    def failed(self, source: str, output: str | None, error: Exception) -> None:
        """A job failed, or an input was rejected (`output` is None)."""

    def ignored(self, ignored: IgnoredInput) -> None:
        """A file in a folder is not processed."""

    def planned(self, job: Job) -> None:
        """A job would be executed, in a dry run."""

    def deleted(self, job: Job) -> None:
        """The source of a job was deleted."""


class Worker(Protocol[Result_co]):
    """Executes jobs of one kind."""

    def run(self, job: Job, progress: FileProgress) -> Result_co:
        """Write the output of a job. Raises SwcError."""

    def difference(self, job: Job) -> Difference | None:
        """How the existing output of a job differs from what `run` would write; None if it does not."""


class Pool(Protocol):
    """Executes calls elsewhere, such as `ray_pool.RayPool`."""

    def results(
        self, create: Callable[[], Callable[[Item], Value]], items: Sequence[Item]
    ) -> Generator[Value | ProcessError, None, None]:
        """Call a function for every item, and yield the results in the order of the items.

        Close the iterator to stop the calls.

        Args:
            create: makes the function, where it is called; can be pickled, as can items and results.
            items: arguments of the calls.

        Yields:
            The result of each call, or an error if the function raised an exception, or its process ended.
        """


Compare = Callable[[Job], Difference | None]


@dataclass(frozen=True)
class RunOptions:
    """What is done about outputs that exist, and beside the execution of jobs."""

    force: bool = False
    """Execute jobs whose output exists."""
    update: bool = False
    """Execute jobs whose output exists, but is older than its source, damaged or made otherwise."""
    dry_run: bool = False
    """Execute nothing; say what would be done."""
    delete_input: bool = False
    """Delete the source of each job when its output has been compared with it."""


@dataclass
class BatchResult(Generic[Result]):
    """The outcome of a plan."""

    results: list[Result] = field(default_factory=list)
    """Of the jobs that were executed."""
    planned: int = 0
    """Number of jobs that would be executed, in a dry run."""
    skipped: int = 0
    """Number of jobs whose output was up to date."""
    ignored: int = 0
    """Number of files in folders that were not processed."""
    failed: int = 0
    """Number of jobs and inputs with errors."""
    exit_code: int = 0
    elapsed: float = 0.0
    """In seconds."""


def run_plan(
    plan: Plan,
    create_worker: Callable[[], Worker[Result]],
    reporter: Reporter[Result],
    options: RunOptions = RunOptions(),  # is immutable
    compare: Compare | None = None,
    processes: int = 1,
    preload: Callable[[], None] | None = None,
    manifest: ManifestWriter | None = None,
    pool: Pool | None = None,
) -> BatchResult[Result]:
    """Execute all jobs of a plan.

    Unless a single file was given or `force` is set, jobs with an up-to-date output are skipped. Errors of
    jobs are passed to the reporter, in the order of the plan; the exit code is that of the error if a single
    file was given, else `SOME_FAILED`.

    With several processes, jobs are executed in worker processes with one thread each, and their outputs are
    the same. A process that ends unexpectedly is an error of its job alone. Jobs with standard streams, and a
    job that is the only one, are executed in this process.

    Args:
        plan: the jobs.
        create_worker: creates the worker; called only if it is needed, since it may load a model. With
            several processes, it is called in each of them; this function, `compare` and the results of jobs
            can then be pickled.
        reporter: receives progress and outcomes; no progress within a job that another process executes.
        options: what is done about existing outputs.
        compare: replaces `Worker.difference` where that needs no worker.
        processes: number of jobs that are executed at the same time.
        preload: loads what `create_worker` then finds, for several processes at once.
        manifest: receives the outcomes of jobs, whose results are `Recorded`; jobs that it says are done are
            skipped, unless they are forced or their inputs are to be deleted.
        pool: executes jobs instead of processes of this machine, unless they are with standard streams.

    Raises:
        SwcError: the worker cannot be created.
        BrokenPipeError: the reader of standard output closed it.
        Exception: any error of the reporter.
    """
    executor = _Executor(create_worker, options, compare, resume=plan.resumes or options.update)
    try:
        return _Batch(reporter, manifest).run(plan, executor, processes, preload, pool)
    except _BatchError as error:
        raise error.error from None


class _BatchError(Exception):
    """An error that is not one of a job and ends the batch: of creating the worker or of the reporter."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Batch(Generic[Result]):
    """Executes the jobs of a plan; counts their outcomes and passes them on to the reporter."""

    def __init__(self, reporter: Reporter[Result], manifest: ManifestWriter | None) -> None:
        self._reporter, self._manifest = reporter, manifest
        self._result: BatchResult[Result] = BatchResult()
        self._errors: list[Exception] = []

    def run(
        self,
        plan: Plan,
        executor: _Executor[Result],
        processes: int,
        preload: Callable[[], None] | None,
        pool: Pool | None,
    ) -> BatchResult[Result]:
        """Execute all jobs."""
        result = self._result
        for ignored in plan.ignored:
            self.ignored(ignored)
        for rejected in plan.rejected:
            self.failed(rejected.source, None, rejected.error)
        jobs = self._without_done(plan.jobs, executor)
        if (pool is not None and jobs) or (processes > 1 and len(jobs) > 1):
            self._run_in_processes(jobs, executor, processes, preload, pool)
        else:
            for job in jobs:
                self._run_here(job, executor)
            result.elapsed = executor.elapsed
        result.failed = len(self._errors)
        if self._errors:
            result.exit_code = exit_code_of(self._errors[0]) if plan.is_single else SOME_FAILED
        return result

    def _without_done(self, jobs: Sequence[Job], executor: _Executor[Result]) -> list[Job]:
        """The jobs that are not done according to the manifest; those that are count as skipped."""
        if self._manifest is None or not executor.trusts_manifest:
            return list(jobs)
        remaining = []
        for job in jobs:
            if self._manifest.is_done(job):
                self._result.skipped += 1
                self._report(self._reporter.skipped, job)
            else:
                remaining.append(job)
        return remaining

    def _run_here(self, job: Job, executor: _Executor[Result]) -> None:
        """Execute a job in this process."""
        try:
            executor.execute(job, self)
        except (BrokenPipeError, _BatchError):
            raise
        except Exception as error:
            self.failed(job.source, job.output, error)

    def _run_in_processes(
        self,
        jobs: Sequence[Job],
        executor: _Executor[Result],
        processes: int,
        preload: Callable[[], None] | None,
        pool: Pool | None,
    ) -> None:
        """Execute jobs in worker processes, and report their events in order."""
        from .parallel import Calls, ProcessError, ordered_results

        began = time.perf_counter()
        elsewhere = [job for job in jobs if PIPE not in (job.source, job.output)]
        create = copy(executor).recorded  # the worker of this process cannot be pickled
        if pool is None:
            lengths = [file_size(job.source) or 0 for job in elsewhere]
            calls = Calls(create, elsewhere, lengths, preload if executor.needs_worker(elsewhere) else None)
            results = ordered_results(calls, processes)
        else:
            results = pool.results(create, elsewhere)
        with closing(results) as outcomes:
            for job in jobs:
                if PIPE in (job.source, job.output):
                    self._run_here(job, executor)
                    continue
                events = next(outcomes)
                if isinstance(events, ProcessError):
                    self.failed(job.source, job.output, SwcError(f"{job.source}: {events}"))
                    continue
                for event in events:
                    event(self)
        self._result.elapsed = time.perf_counter() - began

    def start(self, name: str, seconds: float | None) -> None:
        self._report(self._reporter.start, name, seconds)

    def advance(self, seconds: float) -> None:
        self._report(self._reporter.advance, seconds)

    def succeeded(self, result: Result) -> None:
        self._result.results.append(result)
        if self._manifest is not None:
            self._report(self._manifest.add_result, result)
        self._report(self._reporter.succeeded, result)

    def skipped(self, job: Job) -> None:
        self._result.skipped += 1
        if self._manifest is not None:
            self._report(self._manifest.add_existing, job)
        self._report(self._reporter.skipped, job)

    def failed(self, source: str, output: str | None, error: Exception) -> None:
        self._errors.append(error)
        if self._manifest is not None:
            self._report(self._manifest.add_error, source, output, describe(error, source))
        self._report(self._reporter.failed, source, output, error)

    def ignored(self, ignored: IgnoredInput) -> None:
        self._result.ignored += 1
        self._report(self._reporter.ignored, ignored)

    def planned(self, job: Job) -> None:
        self._result.planned += 1
        self._report(self._reporter.planned, job)

    def deleted(self, job: Job) -> None:
        self._report(self._reporter.deleted, job)

    def abort(self, error: Exception) -> None:
        """End the batch, since a process cannot create its worker."""
        raise error

    def _report(self, call: Callable[..., None], *arguments: object) -> None:
        """Call the reporter or the manifest, whose errors, such as those of writing, are not of the job."""
        try:
            call(*arguments)
        except BrokenPipeError:
            raise
        except Exception as error:
            raise _BatchError(error) from None


class _Recorder:
    """A reporter that records its calls, to be made in another process."""

    def __init__(self) -> None:
        self.events: list[methodcaller] = []
        self._seconds = 0.0  # of audio in the last pass over the file

    def start(self, name: str, seconds: float | None) -> None:
        self._seconds = 0.0

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def succeeded(self, result: object) -> None:
        self._record("advance", self._seconds)
        self._record("succeeded", result)

    def skipped(self, job: Job) -> None:
        self._record("skipped", job)

    def failed(self, source: str, output: str | None, error: Exception) -> None:
        self._record("failed", source, output, _portable(error))

    def ignored(self, ignored: IgnoredInput) -> None:
        self._record("ignored", ignored)

    def planned(self, job: Job) -> None:
        self._record("planned", job)

    def deleted(self, job: Job) -> None:
        self._record("deleted", job)

    def abort(self, error: Exception) -> None:
        self._record("abort", _portable(error))

    def _record(self, name: str, *arguments: object) -> None:
        self.events.append(methodcaller(name, *arguments))


class _PortableError(Exception):
    """Stands for an error until it has come from another process, since that takes no traceback along."""

    def __init__(self, error: Exception, traceback: str) -> None:
        super().__init__(error, traceback)

    def __reduce__(self) -> tuple[Callable[[Exception, str], Exception], tuple[object, ...]]:
        return _with_traceback, self.args


class _Traceback(Exception):
    """The traceback of an error in another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _with_traceback(error: Exception, text: str) -> Exception:
    error.__cause__ = _Traceback(text)
    return error


def _portable(error: Exception) -> Exception:
    """An error that can be pickled, and becomes the original one in another process."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        replacement = SwcError(describe(error))
        replacement.exit_code = exit_code_of(error)
        error = replacement
    return _PortableError(error, text)


class _Executor(Generic[Result]):
    """Executes single jobs; can be pickled before the first one.

    Args:
        create_worker, options, compare: see `run_plan`.
        resume: skip jobs whose output is up to date.
    """

    def __init__(
        self,
        create_worker: Callable[[], Worker[Result]],
        options: RunOptions,
        compare: Compare | None,
        resume: bool,
    ) -> None:
        self._create_worker, self._options, self._compare = create_worker, options, compare
        self._resume = resume
        self._existing_worker: Worker[Result] | None = None
        self._began = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the worker was created; 0 if there is none."""
        return 0.0 if self._existing_worker is None else time.perf_counter() - self._began

    @property
    def trusts_manifest(self) -> bool:
        """Whether jobs may be skipped without another look at their sources."""
        return self._resume and not (self._options.force or self._options.delete_input)

    def needs_worker(self, jobs: Sequence[Job]) -> bool:
        """Whether the worker is certain to be needed for one of the jobs."""
        return not self._options.dry_run and (
            self._options.force or not all(is_file(job.output) for job in jobs)
        )

    def recorded(self) -> Callable[[Job], list[methodcaller]]:
        """A function that executes a job and returns its events."""
        return self._execute_recorded

    def _execute_recorded(self, job: Job) -> list[methodcaller]:
        recorder = _Recorder()
        try:
            self.execute(job, recorder)
        except _BatchError as error:
            recorder.abort(error.error)
        except Exception as error:
            recorder.failed(job.source, job.output, error)
        return recorder.events

    def execute(self, job: Job, reporter: Reporter[Result]) -> None:
        """Execute a job, or skip it if its output is up to date."""
        if job.output != PIPE and is_file(job.output):
            if self._resume and not self._options.force and self._is_up_to_date(job):
                reporter.skipped(job)
                if self._options.delete_input and not self._options.dry_run:
                    self._delete_source(job, reporter)
                return
            if self._resume or self._options.force:
                job = replace(job, overwrite=True)
        if self._options.dry_run:
            reporter.planned(job)
            return
        reporter.succeeded(self._worker().run(job, reporter))
        if self._options.delete_input:
            difference = self._difference(job)
            if difference is not None:
                raise SwcError(f"{job.source}: not deleted, since {job.output} {difference.text}")
            self._delete_source(job, reporter)

    def _worker(self) -> Worker[Result]:
        if self._existing_worker is None:
            try:
                self._existing_worker = self._create_worker()
            except Exception as error:
                raise _BatchError(error) from None
            self._began = time.perf_counter()
        return self._existing_worker

    def _difference(self, job: Job) -> Difference | None:
        return self._worker().difference(job) if self._compare is None else self._compare(job)

    def _is_up_to_date(self, job: Job) -> bool:
        """Whether the existing output of a job is what the job would write; False if it is to be replaced.

        Raises:
            UsageError: the output is something else, and is not to be replaced.
        """
        difference = self._difference(job)
        if difference is None and is_stale(job):
            difference = Difference(f"is older than {job.source}")
        if difference is None:
            return True
        if self._options.update and difference.is_replaceable:
            return False
        hint = (
            "use --update to make it again"
            if difference.is_replaceable
            else "use another output or --relative-to, or --force to overwrite it"
        )
        raise UsageError(f"{job.output}: exists already and {difference.text} ({hint})")

    def _delete_source(self, job: Job, reporter: Reporter[Result]) -> None:
        """Delete a source whose output was compared with it, when the output is on the disk."""
        try:
            if not is_remote(job.output):
                _flush_to_disk(job.output)
        except OSError as error:
            raise SwcError(f"{job.source}: cannot delete: {system_message(error)}") from None
        storage_of(job.source).delete(job.source)
        reporter.deleted(job)


def is_stale(job: Job) -> bool:
    """Whether the output of a job is older than its source."""
    output, source = storage_of(job.output).status(job.output), storage_of(job.source).status(job.source)
    if output is None or source is None or output.modified is None or source.modified is None:
        return False
    return output.modified + output.resolution < source.modified


def was_edited(job: Job) -> bool:
    """Whether the source of a job was changed after its output was written.

    The modification time of the output may be that of another source, but when that was set is known, too.
    """
    output, source = storage_of(job.output).status(job.output), storage_of(job.source).status(job.source)
    if output is None or source is None or output.changed is None or source.modified is None:
        return False
    return output.changed + output.resolution < source.modified


def _flush_to_disk(path: str) -> None:
    """Wait until a file and its entry in the folder are stored."""
    for name, flags in ((path, os.O_RDONLY), (os.path.dirname(path) or ".", os.O_RDONLY)):
        try:
            descriptor = os.open(name, flags)
        except PermissionError:  # folders cannot be opened on every system
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
