"""From command-line arguments to jobs: inputs in folders and patterns, and the output of each input."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..atomic_io import PIPE
from ..errors import BadInputError, SwcError, UsageError
from ..storage import any_file_exists, canonical, is_file, is_folder, is_remote, is_same_file, storage_of
from .shard import Shard

STREAM_SUFFIXES = frozenset({".swc"})
NPZ_SUFFIXES = frozenset({".npz"})
DATASET_SUFFIXES = frozenset({".parquet", ".tar"})
TOKENS_SUFFIXES = NPZ_SUFFIXES | DATASET_SUFFIXES
_KINDS_OF_FILES = {STREAM_SUFFIXES: ".swc files", TOKENS_SUFFIXES: "files of tokens"}  # in messages


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
class IgnoredInput:
    """A file in a folder that looks like an input, but is not processed."""

    source: str
    reason: str
    """Continues the sentence "the file ..."."""


@dataclass(frozen=True)
class Inputs:
    """The files that were found for the arguments of a command."""

    files: list[InputFile]
    rejected: list[RejectedInput]
    ignored: list[IgnoredInput] = field(default_factory=list)

    def in_shard(self, shard: Shard | None) -> list[InputFile]:
        """The files that belong to a shard; all of them if there is none."""
        return [file for file in self.files if shard is None or shard.contains(file.relative_path)]


@dataclass(frozen=True)
class Conversion:
    """Kinds of files that a command converts from and to."""

    input_suffixes: frozenset[str]
    """Suffixes of the files that are picked up in folders."""
    output_suffixes: frozenset[str]
    """Suffixes that identify an output path as a file, not a folder."""
    output_suffix: str
    """Suffix of outputs that are named after their inputs."""
    ignored_suffixes: Mapping[str, str] = field(default_factory=dict)
    """Why files with other suffixes, which look like inputs, are not picked up in folders."""
    unwritable_suffixes: frozenset[str] = frozenset()
    """Suffixes of outputs that one might ask for in vain."""


@dataclass(frozen=True)
class Selection:
    """Which inputs are taken beside the arguments, and where their outputs are written."""

    exclude: tuple[str, ...] = ()
    """Glob patterns of files and folders to leave out."""
    listed: tuple[str, ...] | None = None
    """Files and folders from a list, taken literally."""
    relative_to: str | None = None
    """Folder below which the paths of inputs are kept below the output folder."""
    shard: Shard | None = None
    """The part of the inputs to process, None for all."""


@dataclass(frozen=True)
class Job:
    """Conversion of one file; the source and the output may be "-"."""

    source: str
    output: str
    create_folder: bool = False
    """Whether to create the folder of the output."""
    overwrite: bool = False
    """Whether the output exists and is to be replaced."""

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
    ignored: list[IgnoredInput] = field(default_factory=list)
    is_single: bool = False
    """Whether a single file was given, whose error is that of the command."""
    resumes: bool = True
    """Whether jobs with an up-to-date output are skipped: not for a single file, unless its output is in a
    folder that was given."""

    @property
    def has_existing_outputs(self) -> bool:
        """Whether an output of a job exists."""
        return any_file_exists(job.output for job in self.jobs if job.output != PIPE)

    def check(self, force: bool) -> None:
        """Detect errors of a single file before models are loaded. Raises SwcError."""
        if not self.is_single:
            return
        for rejected in self.rejected:
            raise rejected.error
        for job in self.jobs:
            if self.has_existing_outputs and not self.resumes and not force:
                raise UsageError(f"{job.output}: exists already (use --force to overwrite it)")
            if job.source != PIPE and storage_of(job.source).status(job.source) is None:
                raise BadInputError(f"{job.source}: no such file")


def find_inputs(
    arguments: Sequence[str],
    suffixes: frozenset[str],
    exclude: Sequence[str] = (),
    ignored_suffixes: Mapping[str, str] | None = None,
    listed: Sequence[str] = (),
) -> Inputs:
    """Find the files for arguments, each a file, a folder, a glob pattern or "-".

    Folders are searched recursively for files with the given suffixes. Hidden files and folders are skipped.

    Args:
        arguments: as above.
        suffixes: of the files that are picked up in folders.
        exclude: glob patterns of files and folders to leave out, see `_Search._excludes`.
        ignored_suffixes: see `Conversion`.
        listed: further files and folders, whose names are taken literally.
    """
    search = _Search(suffixes, exclude, ignored_suffixes or {})
    is_only = len(arguments) + len(listed) == 1
    for argument in arguments:
        if argument == PIPE:
            search.found.append(InputFile(PIPE, PIPE))
        elif _is_pattern(argument):
            search.try_to(search.add_matches, argument)
        else:
            search.try_to(search.add, argument, is_only)
    for name in listed:
        search.try_to(search.add, name, is_only)
    return Inputs(
        files=[each for each in search.found if isinstance(each, InputFile)],
        rejected=[each for each in search.found if isinstance(each, RejectedInput)],
        ignored=[each for each in search.found if isinstance(each, IgnoredInput)],
    )


class _Search:
    """A search for input files; `found` has what was found so far."""

    def __init__(
        self, suffixes: frozenset[str], exclude: Sequence[str], ignored_suffixes: Mapping[str, str]
    ) -> None:
        self._suffixes, self._exclude, self._ignored_suffixes = suffixes, exclude, ignored_suffixes
        self.found: list[InputFile | RejectedInput | IgnoredInput] = []

    def try_to(self, add: Callable[..., None], path: str, *arguments: bool) -> None:
        """Call one of the following methods, and add an input as rejected if its storage cannot be read."""
        try:
            add(path, *arguments)
        except SwcError as error:
            self.found.append(RejectedInput(path, error))

    def add(self, path: str, is_only: bool) -> None:
        """Add a file, or the files in a folder; `is_only` if nothing else was given."""
        storage = storage_of(path)
        if is_folder(path):
            # Several folders keep their names, so that their trees do not collide.
            root = path if is_only else _parent(path)
            self._add_folder(path, root)
        elif not storage.exists(path):
            error = BadInputError(f"{path}: no such file or folder")
            self.found.append(RejectedInput(path, error))
        elif not self._excludes(path):
            self.found.append(InputFile(path, storage.relative_path(path, _parent(path))))

    def add_matches(self, pattern: str) -> None:
        """Add the files that match a glob pattern, or if only folders match, the files below them."""
        matches = storage_of(pattern).glob(pattern)
        if not (matches.files or matches.folders):
            error = BadInputError(f"{pattern}: no file matches this pattern")
            self.found.append(RejectedInput(pattern, error))
        for path in matches.files:
            if not self._excludes(path):
                self._add_regular(path, matches.root)
        if not matches.files:
            for folder in matches.folders:
                self._add_folder(folder, matches.root)

    def _excludes(self, path: str) -> bool:
        """Whether a pattern matches the name or, if the pattern contains a slash, the whole path."""
        path = path.removeprefix("./")
        return any(
            fnmatch.fnmatchcase(path if "/" in pattern else os.path.basename(path), pattern)
            for pattern in self._exclude
        )

    def _add_folder(self, folder: str, root: str) -> None:
        """Add the files in a folder and its subfolders, with paths relative to `root`."""
        errors: list[SwcError] = []
        is_empty = True
        for found in storage_of(folder).walk(folder, errors.append):
            parent, inner = found.path, os.path.relpath(found.path, folder)

            def is_left_out(name: str, inner: str = inner) -> bool:
                return name.startswith(".") or self._excludes(os.path.join(inner, name))

            for name in found.links:
                if not is_left_out(name):
                    path = os.path.join(parent, name)
                    self.found.append(IgnoredInput(path, "is a link to a folder, which is not followed"))
            found.folders[:] = [name for name in found.folders if not is_left_out(name)]
            for name in found.files:
                suffix = _suffix(name)
                if is_left_out(name):
                    is_empty &= suffix not in self._suffixes
                elif suffix in self._suffixes:
                    is_empty = False
                    self._add_regular(os.path.join(parent, name), root)
                elif suffix in self._ignored_suffixes:
                    path = os.path.join(parent, name)
                    self.found.append(IgnoredInput(path, self._ignored_suffixes[suffix]))
        self.found += [RejectedInput(folder, error) for error in errors]
        if is_empty and not errors:
            kind = _KINDS_OF_FILES.get(self._suffixes, "audio files")
            self.found.append(RejectedInput(folder, BadInputError(f"{folder}: no {kind} in this folder")))

    def _add_regular(self, path: str, root: str) -> None:
        """Add a file that was found; named pipes and devices, which might block, are ignored."""
        storage = storage_of(path)
        kind = storage.unreadable_kind(path)
        if kind is None:
            self.found.append(InputFile(path, storage.relative_path(path, root)))
        else:
            self.found.append(IgnoredInput(path, f"is {kind}"))


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _parent(path: str) -> str:
    """The folder that a file or folder is in."""
    return os.path.dirname(path.rstrip("/") if is_remote(path) else os.path.abspath(path))


def _is_pattern(argument: str) -> bool:
    """Whether an argument is a glob pattern, not a file whose name looks like one. Raises SwcError."""
    storage = storage_of(argument)
    return storage.has_magic(argument) and not storage.exists(argument)


def split_output(
    arguments: Sequence[str], output: str | None, conversion: Conversion
) -> tuple[list[str], str | None]:
    """Separate the arguments `IN... OUT` into inputs and output, as `cp` does.

    The last of several arguments is the output if it is a folder. The second of two is also the output if it
    is "-" or has the suffix of an output. An output that was given as an option takes precedence.

    Raises:
        UsageError: the last argument can be neither an output nor an input.
    """
    inputs = list(arguments)
    if output is not None or len(inputs) < 2:
        return inputs, output
    last, are_two = inputs[-1], len(inputs) == 2
    has_output_suffix = _suffix(last) in conversion.output_suffixes
    if (last != PIPE and is_folder(last)) or (are_two and (last == PIPE or has_output_suffix)):
        return inputs[:-1], last
    if has_output_suffix:
        raise UsageError(
            f"{last}: several inputs need an output folder, which must exist or be given with -o"
        )
    if _suffix(last) in conversion.unwritable_suffixes:
        raise UsageError(f"{last}: {_output_hint(last, conversion)}")
    is_pattern = storage_of(last).has_magic(last)
    looks_like_input = _suffix(last) in conversion.input_suffixes and not are_two
    if last != PIPE and not (storage_of(last).exists(last) or is_pattern or looks_like_input):
        hint = _output_hint(last, conversion)
        raise UsageError(
            f"{last}: no such file or folder; {hint}; for a new folder use -o {last.rstrip('/')}/"
        )
    return inputs, output


def _output_hint(output: str, conversion: Conversion) -> str:
    """Says which outputs are possible."""
    suffixes = sorted(conversion.output_suffixes)
    return f"the name of an output ends in {suffixes[0] if len(suffixes) == 1 else ' '.join(suffixes)}"


def plan_jobs(
    arguments: Sequence[str],
    output: str | None,
    conversion: Conversion,
    selection: Selection = Selection(),  # is immutable
) -> Plan:
    """Determine the output of every input.

    Args:
        arguments: files, folders, patterns, or "-" for standard input.
        output: a file, a folder or "-"; None writes outputs beside their inputs.
        conversion: kinds of inputs and outputs.
        selection: inputs beside the arguments, and where outputs are written.

    Raises:
        UsageError: the arguments contradict each other.
    """
    if selection.listed is None:
        arguments, output = split_output(arguments, output, conversion)
    if output == "":
        raise UsageError("the name of the output is empty")
    listed, base = selection.listed or (), selection.relative_to
    inputs = find_inputs(
        arguments, conversion.input_suffixes, selection.exclude, conversion.ignored_suffixes, listed
    )
    single = selection.listed is None and is_single(arguments)
    plan = Plan(rejected=inputs.rejected, ignored=inputs.ignored, is_single=single)
    if any(file.path == PIPE for file in inputs.files):
        if not plan.is_single:
            raise UsageError("standard input cannot be one of several inputs")
        output = PIPE if output is None else output
    if base is None:
        folder = _output_folder(output, plan.is_single, conversion)
    else:
        folder = _relative_output_folder(base, output)
    plan.resumes = not single or folder is not None

    sources = {canonical(file.path) for file in inputs.files if file.path != PIPE}
    owners: dict[str, str] = {}  # the input of every output
    for file in inputs.files:  # of other shards too, since their outputs may collide with those of this one
        relative = file
        try:
            if base is not None:
                relative = InputFile(file.path, path_below(base, file.path))
            job = _job(relative, output, folder, conversion.output_suffix)
            is_duplicate = _is_duplicate(job, owners, sources)
            rejected = None
        except _Rejection as rejection:
            rejected = RejectedInput(file.path, rejection)
        if selection.shard is not None and not selection.shard.contains(relative.relative_path):
            continue
        if rejected is not None:
            plan.rejected.append(rejected)
        elif not is_duplicate:
            plan.jobs.append(job)
    return plan


class _Rejection(UsageError):
    """An input that cannot be processed, unlike the others."""


def _is_duplicate(job: Job, owners: dict[str, str], sources: set[str]) -> bool:
    """Whether the same file was given before.

    Args:
        job: the job.
        owners: the source of every output so far; that of this job is added.
        sources: all inputs.

    Raises:
        _Rejection: the output is an input, or the output of another job.
    """
    if job.output == PIPE:
        return False
    resolved = canonical(job.output)
    is_new = resolved not in owners
    owner = owners.setdefault(resolved, job.source)
    if is_same_file(job.source, job.output) or (resolved in sources and is_file(resolved)):
        raise _Rejection(f"{job.source}: its output {job.output} would replace an input")
    if owner != job.source and not is_same_file(owner, job.source):
        raise _Rejection(f"{job.source}: its output {job.output} is also that of {owner}")
    return not is_new


def _relative_output_folder(base: str, output: str | None) -> str:
    """The output folder if paths below `base` are kept. Raises UsageError if that is impossible."""
    if not is_folder(base):
        raise UsageError(f"--relative-to {base}: no such folder")
    if output is None:
        raise UsageError("--relative-to needs an output folder, given with -o")
    if output == PIPE or (storage_of(output).exists(output) and not is_folder(output)):
        raise UsageError(f"--relative-to needs an output folder, but {output} is a file")
    return output


def path_below(base: str, path: str) -> str:
    """Path relative to a folder. Raises UsageError if it is outside."""
    if path == PIPE:
        raise UsageError("standard input has no path for --relative-to")
    if is_remote(path) or is_remote(base):
        if not path.startswith(base.rstrip("/") + "/"):
            raise _Rejection(f"{path}: is not below {base} (--relative-to)")
        return storage_of(path).relative_path(path, base)
    candidates = (
        os.path.relpath(path, base),
        os.path.relpath(os.path.realpath(os.path.dirname(path) or "."), os.path.realpath(base)),
    )
    if not _is_outside(candidates[0]):
        return candidates[0]
    if not _is_outside(candidates[1]):  # by another name, through a link
        return os.path.normpath(os.path.join(candidates[1], os.path.basename(path)))
    raise _Rejection(f"{path}: is not below {base} (--relative-to)")


def _is_outside(relative: str) -> bool:
    return relative == os.pardir or relative.startswith(os.pardir + os.sep)


def is_single(arguments: Sequence[str]) -> bool:
    """Whether arguments are one file, not a folder or a pattern."""
    if len(arguments) != 1:
        return False
    return arguments[0] == PIPE or not (is_folder(arguments[0]) or _is_pattern(arguments[0]))


def _job(file: InputFile, output: str | None, folder: str | None, suffix: str) -> Job:
    """The job for an input; `folder` is given if `output` is a folder."""
    if folder is not None:
        if file.path == PIPE:
            raise UsageError("standard input needs the name of an output file, not of a folder")
        if is_remote(file.path) and not _is_inside(file.relative_path):
            raise _Rejection(f"{file.path}: this name cannot be kept in an output folder")
        path = os.path.join(folder, os.path.splitext(file.relative_path)[0] + suffix)
        return Job(file.path, path, create_folder=True)
    if output is not None:
        return Job(file.path, output)
    return Job(file.path, os.path.splitext(file.path)[0] + suffix)


def _is_inside(relative_path: str) -> bool:
    """Whether a path of another system names a file below the folder that it is joined to."""
    return not {"", ".", ".."}.intersection(relative_path.split("/")) and "\0" not in relative_path


def _output_folder(output: str | None, is_single: bool, conversion: Conversion) -> str | None:
    """The output if it is a folder; None if there is no output or it is a file."""
    if output is None:
        return None
    if (output != PIPE and is_folder(output)) or output.endswith(("/", os.sep)):
        return output
    exists = output == PIPE or storage_of(output).exists(output)
    is_file = exists or _suffix(output) in conversion.output_suffixes
    if not is_single and is_file:
        hint = "" if exists else f"; for a folder of this name write {output}/"
        raise UsageError(f"several inputs need an output folder, but {output} is a file{hint}")
    if is_single and not is_file:
        raise UsageError(
            f"{output}: the suffix of an output file, such as {conversion.output_suffix}, is missing; "
            f"for a folder write {output}/"
        )
    return None if is_file else output
