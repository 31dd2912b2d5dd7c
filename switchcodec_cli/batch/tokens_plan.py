"""From command-line arguments to jobs on files of tokens and data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic_io import PIPE
from ..errors import SwcError, UsageError
from ..storage import canonical, is_folder, is_same_file
from ..tokens.dataset import open_dataset
from .plan import (
    NPZ_SUFFIXES,
    STREAM_SUFFIXES,
    TOKENS_SUFFIXES,
    Conversion,
    InputFile,
    Job,
    Plan,
    RejectedInput,
    Selection,
    find_inputs,
    is_single,
    path_below,
)


@dataclass(frozen=True)
class RecordingJob(Job):
    """Conversion of a recording from or to a data set, which is the source or the output."""

    path: str = ""
    """Of the recording in the data set."""
    row: int = 0
    """Number of the recording in a data set that is the source."""
    name: str = ""
    """Path of a stream below the output folder."""


def plan_dataset(arguments: Sequence[str], output: str, conversion: Conversion, selection: Selection) -> Plan:
    """One job for each recording of a data set to be written.

    Args:
        arguments: files, folders or patterns.
        output: the data set.
        conversion: kinds of inputs.
        selection: inputs beside the arguments, the folder below which their paths are kept, and the shard.

    Raises:
        UsageError: the arguments contradict each other.
    """
    inputs = find_inputs(
        arguments,
        conversion.input_suffixes,
        selection.exclude,
        conversion.ignored_suffixes,
        selection.listed or (),
    )
    single = selection.listed is None and is_single(arguments)
    plan = Plan(rejected=inputs.rejected, ignored=inputs.ignored, is_single=single, resumes=False)
    owners: dict[str, str] = {}  # the source of each path without suffix
    for file in inputs.files:  # of other shards too, since their names may collide with those of this one
        path, rejected = file.relative_path, None
        try:
            path = _path_in_dataset(file, selection.relative_to)
            stem = os.path.splitext(path)[0]
            is_duplicate = stem in owners
            owner = owners.setdefault(stem, file.path)
            if owner != file.path and not is_same_file(owner, file.path):
                raise UsageError(
                    f"{file.path}: its name in the data set, {path}, is also that of {owner} "
                    "(--relative-to keeps folders)"
                )
            if is_same_file(file.path, output):
                raise UsageError(f"{file.path}: the data set would replace an input")
        except UsageError as error:
            rejected = RejectedInput(file.path, error)
        if selection.shard is not None and not selection.shard.contains(path):
            continue
        if rejected is not None:
            plan.rejected.append(rejected)
        elif not is_duplicate:
            plan.jobs.append(RecordingJob(file.path, output, path=path))
    return plan


def _path_in_dataset(file: InputFile, base: str | None) -> str:
    """The name of an input in a data set. Raises UsageError."""
    if file.path == PIPE:
        raise UsageError("standard input has no name for a data set; write it to a .npz file")
    path = Path(file.relative_path if base is None else path_below(base, file.path)).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{file.path}: a name in a data set must be Unicode text") from None
    return path


def plan_streams(arguments: Sequence[str], output: str, selection: Selection) -> Plan:
    """One job for each recording in files of tokens, from which streams are written.

    Streams of .npz files are named after these, those of data sets after the paths in them.

    Args:
        arguments: files of tokens, folders or patterns.
        output: a folder, or a .swc file for a single recording.
        selection: inputs beside the arguments, and the shard, which the paths of outputs decide.

    Raises:
        UsageError: the arguments contradict each other.
    """
    listed = selection.listed or ()
    inputs = find_inputs(arguments, TOKENS_SUFFIXES, selection.exclude, listed=listed)
    single = selection.listed is None and is_single(arguments)
    is_file = not output.endswith("/") and not is_folder(output)
    if is_file and os.path.splitext(output)[1].lower() not in STREAM_SUFFIXES:
        raise UsageError(f"{output}: a single output ends in .swc; for a folder write {output}/")
    plan = Plan(rejected=inputs.rejected, ignored=inputs.ignored, is_single=single, resumes=not is_file)
    owners: dict[str, tuple[str, int]] = {}  # the recording of each output
    for file in inputs.files:
        try:
            jobs = _stream_jobs(file, output, is_file, selection.relative_to)
        except SwcError as error:
            plan.rejected.append(RejectedInput(file.path, error))
            continue
        if is_file and (len(jobs) > 1 or len(inputs.files) > 1):
            raise UsageError(f"several recordings need an output folder: write {output}/")
        for job in jobs:
            resolved = canonical(job.output)
            owner = owners.setdefault(resolved, (job.source, job.row))
            if selection.shard is not None and not selection.shard.contains(job.name):
                continue
            if owner == (job.source, job.row):
                plan.jobs.append(job)
            else:
                message = f"{job.source}: {job.path}: its output {job.output} is also that of {owner[0]}"
                plan.rejected.append(RejectedInput(job.source, UsageError(message)))
    return plan


def _stream_jobs(file: InputFile, output: str, is_file: bool, base: str | None) -> list[RecordingJob]:
    """The jobs of a file of tokens. Raises SwcError."""
    reader = open_dataset(file.path)
    reader.close()
    names = reader.paths
    if os.path.splitext(file.path)[1].lower() in NPZ_SUFFIXES:
        names = [file.relative_path if base is None else path_below(base, file.path)]
    streams = [os.path.splitext(name)[0] + ".swc" for name in names]
    return [
        RecordingJob(
            file.path,
            output if is_file else os.path.join(output, stream),
            create_folder=not is_file,
            path=path,
            row=row,
            name=stream,
        )
        for row, (stream, path) in enumerate(zip(streams, reader.paths, strict=True))
    ]
