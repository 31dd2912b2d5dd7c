"""Inputs and outputs of jobs: files and URLs, or the standard streams for "-"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..atomic_io import PIPE, standard_input, standard_output, write_error
from ..errors import BadInputError, SwcError, UsageError, system_message
from ..storage import atomic_output, is_remote, storage_of
from .plan import Job


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """Open a file or a URL for reading, or standard input for "-". Raises BadInputError."""
    if path == PIPE:
        yield standard_input()
        return
    try:
        file = storage_of(path).open(path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    except ValueError as error:  # a null character in the name
        raise BadInputError(f"{path}: cannot read: {error}") from None
    with file:
        yield file


@contextmanager
def open_output(path: str, force: bool) -> Iterator[BinaryIO]:
    """Open an atomic file or upload for writing, or standard output for "-". Raises SwcError."""
    if path != PIPE:
        with atomic_output(path, force) as file:
            yield file
        return
    file = standard_output()
    try:
        yield file
        file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error("standard output", error) from None


def create_output_folder(job: Job) -> None:
    """Create the folder of an output if the job requires it. Raises SwcError."""
    if not job.create_folder:
        return
    folder = os.path.dirname(job.output)
    if folder:
        storage_of(folder).create_folder(folder)


def check_times(job: Job) -> None:
    """Check that the modification time of an input can be given to its output. Raises UsageError."""
    if is_remote(job.source) or is_remote(job.output):
        raise UsageError(f"{job.source}: modification times are preserved between local files only")


def copy_time(job: Job) -> None:
    """Give an output the modification time of the input, where both are regular files. Raises SwcError."""
    if not (os.path.isfile(job.source) and os.path.isfile(job.output)):
        return
    try:
        status = os.stat(job.source)
        os.utime(job.output, ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError as error:
        raise SwcError(f"{job.output}: cannot set the time: {system_message(error)}") from None


def file_size(path: str) -> int | None:
    """Size of a file in bytes, None if it is unknown, and for anything but a regular file."""
    try:
        status = storage_of(path).status(path)
    except SwcError:
        return None
    return status.size if status is not None and status.is_regular else None
