"""From command-line arguments to jobs: inputs in folders and patterns, and the output of each input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..atomic_io import PIPE, same_file
from ..errors import BadInputError, SwcError, UsageError

STREAM_SUFFIXES = frozenset({".swc"})


@dataclass(frozen=True)
class InputFile:
    """An input file, or "-" for standard input."""

    path: str
    relative_path: str
    """Path below the folder whose tree is mirrored; the name of a file that was given directly."""


@dataclass(frozen=True)
class RejectedInput:
    """An argument or a file that cannot be processed."""

    source: str
    error: SwcError


@dataclass(frozen=True)
class Inputs:
    """The files that were found for the arguments of a command."""

    files: list[InputFile]
    rejected: list[RejectedInput]


@dataclass(frozen=True)
class Conversion:
    """Kinds of files that a command converts from and to."""

    input_suffixes: frozenset[str]
    """Suffixes of the files that are picked up in folders."""
    output_suffixes: frozenset[str]
    """Suffixes that identify an output path as a file, not a folder."""
    output_suffix: str
    """Suffix of outputs that are named after their inputs."""


@dataclass(frozen=True)
class Job:
    """Conversion of one file; the source and the output may be "-"."""

    source: str
    output: str
    create_folder: bool = False
    """Whether to create the folder of the output."""

    @property
    def source_name(self) -> str:
        """Name of the source in messages."""
        return "standard input" if self.source == PIPE else self.source

    @property
    def output_name(self) -> str:
        """Name of the output in messages."""
        return "standard output" if self.output == PIPE else self.output


@dataclass
class Plan:
    """The jobs of a command."""

    jobs: list[Job] = field(default_factory=list)
    rejected: list[RejectedInput] = field(default_factory=list)
    is_single: bool = False
    """Whether a single file was given: its error is that of the command, and it is never skipped."""

    def check(self, force: bool) -> None:
        """Detect errors of a single file before models are loaded. Raises SwcError."""
        if not self.is_single:
            return
        for rejected in self.rejected:
            raise rejected.error
        for job in self.jobs:
            if job.output != PIPE and not force and os.path.isfile(job.output):
                raise UsageError(f"{job.output}: exists already (use --force to overwrite it)")
            if job.source != PIPE and not os.path.exists(job.source):
                raise BadInputError(f"{job.source}: no such file")


def find_inputs(arguments: Sequence[str], suffixes: frozenset[str]) -> Inputs:
    """Find the files for arguments, each a file, a folder, a glob pattern or "-".

    Folders are searched recursively for files with the given suffixes. Hidden files and folders are skipped.
    """
    found: list[InputFile | RejectedInput] = []
    for argument in arguments:
        if argument == PIPE or (os.path.lexists(argument) and not os.path.isdir(argument)):
            found.append(InputFile(argument, os.path.basename(argument)))
        elif os.path.isdir(argument):
            # Several folders keep their names, so that their trees do not collide.
            root = argument if len(arguments) == 1 else os.path.dirname(os.path.abspath(argument))
            found += _files_below(argument, root, suffixes)
        elif glob.has_magic(argument):
            found += _matching_files(argument, suffixes)
        else:
            found.append(RejectedInput(argument, BadInputError(f"{argument}: no such file or folder")))
    return Inputs(
        files=[each for each in found if isinstance(each, InputFile)],
        rejected=[each for each in found if isinstance(each, RejectedInput)],
    )


def _files_below(folder: str, root: str, suffixes: frozenset[str]) -> Iterator[InputFile | RejectedInput]:
    """Files in a folder and its subfolders, with paths relative to `root`."""
    errors: list[OSError] = []
    is_empty = True
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and _suffix(name) in suffixes:
                is_empty = False
                path = os.path.join(parent, name)
                yield InputFile(path, os.path.relpath(path, root))
    for error in errors:
        yield RejectedInput(folder, BadInputError(f"{error.filename}: cannot list: {error.strerror}"))
    if is_empty and not errors:
        kind = ".swc files" if suffixes == STREAM_SUFFIXES else "audio files"
        yield RejectedInput(folder, BadInputError(f"{folder}: no {kind} in this folder"))


def _matching_files(pattern: str, suffixes: frozenset[str]) -> Iterator[InputFile | RejectedInput]:
    """Files that match a glob pattern, or if only folders match, the files below them."""
    parts = Path(pattern).parts
    first_magic = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root = os.path.join(*parts[:first_magic]) if first_magic else "."
    matches = sorted(glob.glob(pattern, recursive=True))
    files = [path for path in matches if not os.path.isdir(path)]
    if not matches:
        yield RejectedInput(pattern, BadInputError(f"{pattern}: no file matches this pattern"))
    elif files:
        for path in files:
            yield InputFile(path, os.path.relpath(path, root))
    else:
        for folder in matches:
            yield from _files_below(folder, root, suffixes)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def split_output(
    arguments: Sequence[str], output: str | None, suffixes: frozenset[str]
) -> tuple[list[str], str | None]:
    """Separate the arguments `IN OUT` into inputs and output.

    The second of two arguments is the output if it is "-" or has one of the suffixes, unless an output was
    given as an option.
    """
    inputs = list(arguments)
    if output is None and len(inputs) == 2 and (inputs[1] == PIPE or _suffix(inputs[1]) in suffixes):
        return inputs[:1], inputs[1]
    return inputs, output


def plan_jobs(arguments: Sequence[str], output: str | None, conversion: Conversion) -> Plan:
    """Determine the output of every input.

    Args:
        arguments: files, folders, patterns, or "-" for standard input.
        output: a file, a folder or "-"; None writes outputs beside their inputs.
        conversion: kinds of inputs and outputs.

    Raises:
        UsageError: the arguments contradict each other.
    """
    arguments, output = split_output(arguments, output, conversion.output_suffixes)
    inputs = find_inputs(arguments, conversion.input_suffixes)
    plan = Plan(rejected=inputs.rejected, is_single=_is_single(arguments))
    if output == "":
        raise UsageError("the name of the output is empty")
    if any(file.path == PIPE for file in inputs.files):
        if not plan.is_single:
            raise UsageError("standard input cannot be one of several inputs")
        output = PIPE if output is None else output
    folder = _output_folder(output, plan.is_single, conversion.output_suffixes)

    sources = {os.path.realpath(file.path) for file in inputs.files if file.path != PIPE}
    owners: dict[str, str] = {}  # the input of every output
    for file in inputs.files:
        job = _job(file, output, folder, conversion.output_suffix)
        resolved = os.path.realpath(job.output)
        owner = owners.setdefault(resolved, file.path)
        if job.output == PIPE:
            plan.jobs.append(job)
        elif same_file(file.path, job.output) or (resolved in sources and os.path.isfile(resolved)):
            error = UsageError(f"{file.path}: its output {job.output} would replace an input")
            plan.rejected.append(RejectedInput(file.path, error))
        elif owner != file.path:
            error = UsageError(f"{file.path}: its output {job.output} is also that of {owner}")
            plan.rejected.append(RejectedInput(file.path, error))
        else:
            plan.jobs.append(job)
    return plan


def _is_single(arguments: Sequence[str]) -> bool:
    """Whether the arguments are one file, not a folder or a pattern."""
    if len(arguments) != 1 or os.path.isdir(arguments[0]):
        return False
    return os.path.lexists(arguments[0]) or not glob.has_magic(arguments[0])


def _job(file: InputFile, output: str | None, folder: str | None, suffix: str) -> Job:
    """The job for an input; `folder` is given if `output` is a folder."""
    if folder is not None:
        if file.path == PIPE:
            raise UsageError("standard input needs the name of an output file, not of a folder")
        path = os.path.join(folder, os.path.splitext(file.relative_path)[0] + suffix)
        return Job(file.path, path, create_folder=True)
    if output is not None:
        return Job(file.path, output)
    return Job(file.path, os.path.splitext(file.path)[0] + suffix)


def _output_folder(output: str | None, is_single: bool, suffixes: frozenset[str]) -> str | None:
    """The output if it is a folder; None if there is no output or it is a file."""
    if output is None:
        return None
    if os.path.isdir(output) or output.endswith(("/", os.sep)):
        return output
    exists = output == PIPE or os.path.lexists(output)
    is_file = exists or _suffix(output) in suffixes
    if not is_single and is_file:
        hint = "" if exists else f"; for a folder of this name write {output}/"
        raise UsageError(f"several inputs need an output folder, but {output} is a file{hint}")
    if is_single and not is_file:
        example = ".swc" if suffixes == STREAM_SUFFIXES else ".wav"
        raise UsageError(
            f"{output}: the suffix of an output file, such as {example}, is missing; "
            f"for a folder write {output}/"
        )
    return None if is_file else output
