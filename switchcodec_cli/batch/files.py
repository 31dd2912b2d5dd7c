"""Inputs and outputs of jobs: files, or the standard streams for "-"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..atomic_io import PIPE, atomic_output, standard_input, standard_output, write_error
from ..errors import BadInputError, SwcError, system_message
from .plan import Job


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """Open a file for reading, or standard input for "-". Raises BadInputError."""
    if path == PIPE:
        yield standard_input()
        return
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    except ValueError as error:  # a null character in the name
        raise BadInputError(f"{path}: cannot read: {error}") from None
    with file:
        yield file


@contextmanager
def open_output(path: str, force: bool) -> Iterator[BinaryIO]:
    """Open an atomic file for writing, or standard output for "-". Raises SwcError."""
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
    folder = Path(job.output).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwcError(f"{folder}: cannot create this folder: {system_message(error)}") from None


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
    """Size of a file in bytes, None for anything but a regular file."""
    try:
        return Path(path).stat().st_size if Path(path).is_file() else None
    except OSError:
        return None
