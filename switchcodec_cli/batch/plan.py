"""From what stands on the command line to files: folders, patterns, and where each output goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..atomic_io import same_file
from ..cli.errors import check_usage
from ..errors import BadInputError, SwcError, UsageError

PIPE = "-"
STREAM_SUFFIXES = frozenset({".swc"})


@dataclass(frozen=True)
class InputFile:
    """A file to work on, and where it lies in its tree."""

    path: str
    inside: str
    """Path below the folder that is mirrored; for a file named by itself, its name."""


@dataclass(frozen=True)
class Job:
    """One file to turn into another; either may be "-"."""

    source: str
    target: str
    make_folder: bool = False
    """Whether the folder of the target is to be made."""


@dataclass
class Plan:
    """All that a command has to do."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, SwcError]] = field(default_factory=list)
    """What cannot even be begun."""
    single: bool = False
    """Whether one plain file was asked for: its error is then the command's, and it is never skipped."""


def audio_suffixes() -> frozenset[str]:
    """Suffixes by which audio is found in folders; a file that is named itself may have any."""
    from ..audio import FORMATS

    return frozenset({*FORMATS, ".aifc", ".rf64", ".snd"} - {".raw", ".pcm"})


def expand(
    arguments: Sequence[str], suffixes: frozenset[str], failures: list[tuple[str, SwcError]]
) -> Iterator[InputFile]:
    """The files that arguments mean: files, folders with all below them, and patterns in quotes.

    Hidden files and folders are left out. What cannot be found or listed is added to `failures`.
    """
    for argument in arguments:
        if argument == PIPE or (os.path.lexists(argument) and not os.path.isdir(argument)):
            yield InputFile(argument, os.path.basename(argument))
        elif os.path.isdir(argument):
            # of several folders each keeps its name, so that their trees do not run into one another
            base = argument if len(arguments) == 1 else os.path.dirname(os.path.abspath(argument))
            yield from _below(argument, base, suffixes, failures)
        elif glob.has_magic(argument):
            yield from _matching(argument, suffixes, failures)
        else:
            failures.append((argument, BadInputError(f"{argument}: no such file or folder")))


def _below(
    folder: str, base: str, suffixes: frozenset[str], failures: list[tuple[str, SwcError]]
) -> Iterator[InputFile]:
    def failed(error: OSError) -> None:
        failures.append((folder, BadInputError(f"{error.filename}: cannot list: {error.strerror}")))

    count, failed_before = 0, len(failures)
    for root, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                path = os.path.join(root, name)
                count += 1
                yield InputFile(path, os.path.relpath(path, base))
    if not count and len(failures) == failed_before:
        known = "no .swc file" if suffixes == STREAM_SUFFIXES else "no audio file"
        failures.append((folder, BadInputError(f"{folder}: {known} in this folder")))


def _matching(
    pattern: str, suffixes: frozenset[str], failures: list[tuple[str, SwcError]]
) -> Iterator[InputFile]:
    parts = Path(pattern).parts
    plain = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    base = os.path.join(*parts[:plain]) if plain else "."
    matches = sorted(glob.glob(pattern, recursive=True))
    files = [path for path in matches if not os.path.isdir(path)]
    for path in files:
        yield InputFile(path, os.path.relpath(path, base))
    if not files:
        for folder in matches:
            yield from _below(folder, base, suffixes, failures)
    if not matches:
        failures.append((pattern, BadInputError(f"{pattern}: no file matches this pattern")))


def split_output(
    arguments: Sequence[str], output: str | None, is_output: Callable[[str], bool]
) -> tuple[list[str], str | None]:
    """Take `IN OUT` apart: the second of two arguments is the output where it looks like one."""
    arguments = list(arguments)
    if output is None and len(arguments) == 2 and (arguments[1] == PIPE or is_output(arguments[1])):
        return arguments[:1], arguments[1]
    return arguments, output


def plan_outputs(
    arguments: Sequence[str],
    output: str | None,
    *,
    suffix: str,
    inputs: frozenset[str],
    outputs: Iterable[str],
) -> Plan:
    """Where each input goes: to `output`, a file or a folder, or beside its source.

    suffix: of outputs that are named here. inputs: suffixes to look for in folders. outputs: suffixes by
    which an output is known to be a file.
    Raises UsageError where the request is contradictory.
    """
    plan = Plan()
    found = list(expand(arguments, inputs, plan.failures))
    only = arguments[0] if len(arguments) == 1 else None
    plan.single = only is not None and not os.path.isdir(only)
    if only is not None and glob.has_magic(only) and not os.path.lexists(only):
        plan.single = False
    if any(file.path == PIPE for file in found):
        check_usage(plan.single, "standard input cannot be one of several inputs")
        output = PIPE if output is None else output
    check_usage(output != "", "the name of the output is empty")
    folder = _output_folder(output, plan.single, frozenset(outputs))
    claimed: dict[str, str] = {}
    sources = {os.path.realpath(file.path) for file in found if file.path != PIPE}
    for file in found:
        if output is not None and folder is None:
            target = output
        elif folder is not None:
            check_usage(file.path != PIPE, "standard input has no name: give its output a file name")
            target = os.path.join(folder, os.path.splitext(file.inside)[0] + suffix)
        else:
            target = os.path.splitext(file.path)[0] + suffix
        real = os.path.realpath(target)
        other = claimed.setdefault(real, file.path)
        if target == PIPE:
            plan.jobs.append(Job(file.path, target))
        elif same_file(file.path, target) or (real in sources and os.path.isfile(real)):
            error = UsageError(f"{file.path}: its output {target} would replace an input")
            plan.failures.append((file.path, error))
        elif other != file.path:
            error = UsageError(f"{file.path}: its output {target} is that of {other}, too")
            plan.failures.append((file.path, error))
        else:
            plan.jobs.append(Job(file.path, target, make_folder=folder is not None))
    return plan


def _output_folder(output: str | None, single: bool, outputs: frozenset[str]) -> str | None:
    """The folder that outputs go to; None where there is none or `output` is a file."""
    if output is None:
        return None
    if os.path.isdir(output) or output.endswith(("/", os.sep)):
        return output
    if output == PIPE or os.path.lexists(output):
        check_usage(single, f"several inputs go to a folder, not to {output}")
        return None
    looks_like_file = os.path.splitext(output)[1].lower() in outputs
    if single:
        example = ".swc" if ".swc" in outputs else ".wav"
        check_usage(
            looks_like_file,
            f"{output}: an output file is called something like NAME{example}; for a folder write {output}/",
        )
        return None
    check_usage(not looks_like_file, f"several inputs go to a folder, not to {output}; or write {output}/")
    return output
