"""Execution of a plan in this process. Each file is processed on its own, so that errors affect no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ..errors import UsageError, exit_code_of
from .plan import Job, Plan

SOME_FAILED = 1  # exit code if several files were given and some failed

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
Result_contra = TypeVar("Result_contra", contravariant=True)


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


class Worker(Protocol[Result_co]):
    """Executes jobs of one kind."""

    def run(self, job: Job, progress: FileProgress) -> Result_co:
        """Write the output of a job. Raises SwcError."""

    def difference(self, job: Job) -> str | None:
        """How the existing output of a job differs from what `run` would write; None if it does not.

        The text continues the sentence "the output exists already and ...".
        """


@dataclass
class BatchResult(Generic[Result]):
    """The outcome of a plan."""

    results: list[Result] = field(default_factory=list)
    """Of the jobs that were executed."""
    skipped: int = 0
    """Number of jobs whose output was up to date."""
    failed: int = 0
    """Number of jobs and inputs with errors."""
    exit_code: int = 0
    elapsed: float = 0.0
    """In seconds."""


def run_plan(
    plan: Plan,
    create_worker: Callable[[], Worker[Result]],
    reporter: Reporter[Result],
    force: bool = False,
) -> BatchResult[Result]:
    """Execute all jobs of a plan.

    Unless a single file was given or `force` is true, jobs with an up-to-date output are skipped. Errors of
    jobs are passed to the reporter; the exit code is that of the error if a single file was given, else
    `SOME_FAILED`.

    Args:
        plan: the jobs.
        create_worker: creates the worker; called only if there are jobs, since it may load a model.
        reporter: receives progress and outcomes.
        force: execute jobs whose output exists.

    Raises:
        SwcError: the worker cannot be created.
        BrokenPipeError: the reader of standard output closed it.
    """
    batch: BatchResult[Result] = BatchResult()
    errors: list[Exception] = []
    for rejected in plan.rejected:
        errors.append(rejected.error)
        reporter.failed(rejected.source, None, rejected.error)
    if plan.jobs:
        worker = create_worker()
        began = time.perf_counter()
        for job in plan.jobs:
            try:
                _run_job(job, worker, reporter, batch, resume=not plan.is_single and not force)
            except BrokenPipeError:
                raise
            except Exception as error:
                errors.append(error)
                reporter.failed(job.source, job.output, error)
        batch.elapsed = time.perf_counter() - began
    batch.failed = len(errors)
    if errors:
        batch.exit_code = exit_code_of(errors[0]) if plan.is_single else SOME_FAILED
    return batch


def _run_job(
    job: Job,
    worker: Worker[Result],
    reporter: Reporter[Result],
    batch: BatchResult[Result],
    resume: bool,
) -> None:
    """Execute a job, or with `resume` skip it if its output is up to date."""
    if resume and _is_up_to_date(job, worker):
        batch.skipped += 1
        reporter.skipped(job)
        return
    result = worker.run(job, reporter)
    batch.results.append(result)
    reporter.succeeded(result)


def _is_up_to_date(job: Job, worker: Worker[Result]) -> bool:
    """Whether the output of a job exists and is what the job would write.

    Raises:
        UsageError: the output exists and is something else.
    """
    if not os.path.exists(job.output):
        return False
    difference = worker.difference(job)
    if difference is None and os.path.getmtime(job.output) < os.path.getmtime(job.source):
        difference = f"is older than {job.source}"
    if difference is not None:
        raise UsageError(f"{job.output}: exists already and {difference} (use --force to overwrite it)")
    return True
