"""Execution of a plan in this process. Each file is processed on its own, so that errors affect no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from ..errors import SwcError, UsageError, exit_code_of, system_message
from .plan import IgnoredInput, Job, Plan

SOME_FAILED = 1  # exit code if several files were given and some failed

Result = TypeVar("Result")
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
) -> BatchResult[Result]:
    """Execute all jobs of a plan.

    Unless a single file was given or `force` is set, jobs with an up-to-date output are skipped. Errors of
    jobs are passed to the reporter; the exit code is that of the error if a single file was given, else
    `SOME_FAILED`.

    Args:
        plan: the jobs.
        create_worker: creates the worker; called only if it is needed, since it may load a model.
        reporter: receives progress and outcomes.
        options: what is done about existing outputs.
        compare: replaces `Worker.difference` where that needs no worker.

    Raises:
        SwcError: the worker cannot be created.
        BrokenPipeError: the reader of standard output closed it.
    """
    return _Batch(create_worker, reporter, options, compare).run(plan)


class _WorkerError(Exception):
    """The worker cannot be created, which ends the batch."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Batch(Generic[Result]):
    """Executes the jobs of a plan."""

    def __init__(
        self,
        create_worker: Callable[[], Worker[Result]],
        reporter: Reporter[Result],
        options: RunOptions,
        compare: Compare | None,
    ) -> None:
        self._create_worker, self._reporter, self._options = create_worker, reporter, options
        self._compare = compare
        self._existing_worker: Worker[Result] | None = None
        self._began = 0.0
        self._result: BatchResult[Result] = BatchResult()

    def run(self, plan: Plan) -> BatchResult[Result]:
        """Execute all jobs."""
        result = self._result
        errors: list[Exception] = []
        for ignored in plan.ignored:
            result.ignored += 1
            self._reporter.ignored(ignored)
        for rejected in plan.rejected:
            errors.append(rejected.error)
            self._reporter.failed(rejected.source, None, rejected.error)
        for job in plan.jobs:
            try:
                self._process(job, resume=plan.resumes or self._options.update)
            except BrokenPipeError:
                raise
            except _WorkerError as error:
                raise error.error from None
            except Exception as error:
                errors.append(error)
                self._reporter.failed(job.source, job.output, error)
        if self._existing_worker is not None:
            result.elapsed = time.perf_counter() - self._began
        result.failed = len(errors)
        if errors:
            result.exit_code = exit_code_of(errors[0]) if plan.is_single else SOME_FAILED
        return result

    def _process(self, job: Job, resume: bool) -> None:
        """Execute a job, or with `resume` skip it if its output is up to date."""
        if os.path.isfile(job.output):
            if resume and not self._options.force and self._is_up_to_date(job):
                self._result.skipped += 1
                self._reporter.skipped(job)
                if self._options.delete_input and not self._options.dry_run:
                    self._delete_source(job)
                return
            if resume or self._options.force:
                job = replace(job, overwrite=True)
        if self._options.dry_run:
            self._result.planned += 1
            self._reporter.planned(job)
            return
        result = self._worker().run(job, self._reporter)
        self._result.results.append(result)
        self._reporter.succeeded(result)
        if self._options.delete_input:
            difference = self._difference(job)
            if difference is not None:
                raise SwcError(f"{job.source}: not deleted, since {job.output} {difference.text}")
            self._delete_source(job)

    def _worker(self) -> Worker[Result]:
        if self._existing_worker is None:
            try:
                self._existing_worker = self._create_worker()
            except Exception as error:
                raise _WorkerError(error) from None
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

    def _delete_source(self, job: Job) -> None:
        """Delete a source whose output was compared with it, when the output is on the disk."""
        try:
            _flush_to_disk(job.output)
            os.unlink(job.source)
        except OSError as error:
            raise SwcError(f"{job.source}: cannot delete: {system_message(error)}") from None
        self._reporter.deleted(job)


def is_stale(job: Job) -> bool:
    """Whether the output of a job is older than its source."""
    return os.path.getmtime(job.output) < os.path.getmtime(job.source)


def was_edited(job: Job) -> bool:
    """Whether the source of a job was changed after its output was written.

    The modification time of the output may be that of another source, but when that was set is known, too.
    """
    output = os.stat(job.output)
    return max(output.st_mtime, output.st_ctime) < os.path.getmtime(job.source)


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
