"""`swc verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..atomic_io import PIPE
from ..batch.plan import STREAM_SUFFIXES, find_inputs
from ..batch.run import Pool
from ..errors import BadInputError, SwcError, one_line
from .errors import Invocation, describe, exit_code_of, exit_code_of_files
from .formatting import format_duration, unlisted_text
from .jobs import create_pool
from .options import Command, json_option, ray_option
from .progress import Progress

if TYPE_CHECKING:
    from ..bitstream import Report

EXAMPLES = (
    ("swc verify talk.swc", "Checks one file."),
    ("swc verify archive/ --quiet", "Checks a folder tree and lists only damaged files."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Check .swc files for damage.")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True, readable=False)
)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="List only damaged files.")
@ray_option
@click.pass_obj
def verify(
    invocation: Invocation, /, files: tuple[str, ...], as_json: bool, quiet: bool, ray_address: str | None
) -> int:
    """Check .swc files for damage. Weights are not needed.

    All checksums, fields and counts are checked, and all damage is listed. FILE may be a folder, a URL,
    or - for standard input. The exit code is 3 if a file is damaged, truncated or unreadable; 1 if one of
    several is.
    """
    inputs = find_inputs(files, STREAM_SUFFIXES)
    progress = Progress("verifying", quiet=True, as_json=as_json, debug=invocation.debug)
    failures = []
    progress.ignored_inputs(inputs.ignored)
    for rejected in inputs.rejected:
        progress.error(rejected.error, rejected.source)
        progress.record(_error_record(rejected.source, describe(rejected.error)))
        failures.append(exit_code_of(rejected.error))
    paths = [file.path for file in inputs.files]
    for path, outcome in zip(paths, _outcomes(paths, create_pool(ray_address)), strict=True):
        code = _print_outcome(path, outcome, progress, as_json, quiet)
        if code:
            failures.append(code)
    return exit_code_of_files(failures, len(inputs.files) + len(inputs.rejected))


def _outcomes(paths: Sequence[str], pool: Pool | None) -> Iterator[Report | Exception]:
    """Check files, here or on a cluster; yields a report or an error for each."""
    if pool is None or PIPE in paths:
        return map(_verify_file, paths)
    return pool.results(_get_verify_file, paths)


def _get_verify_file() -> Callable[[str], Report | Exception]:
    return _verify_file


def _verify_file(path: str) -> Report | Exception:
    """Check a file; returns an error if it cannot be read."""
    from ..batch.files import open_input
    from ..bitstream import verify as verify_stream

    try:
        with open_input(path) as file:
            return verify_stream(file)
    except (SwcError, OSError) as error:
        return error


def _print_outcome(
    path: str, outcome: Report | Exception, progress: Progress, as_json: bool, quiet: bool
) -> int:
    """Print the result of a check; returns the exit code for it."""
    if isinstance(outcome, Exception):
        progress.record(_error_record(path, progress.error(outcome, path)))
        return exit_code_of(outcome)
    progress.record(_record(path, outcome))
    if not as_json and not (outcome.ok and quiet):
        for line in _lines(path, outcome):
            click.echo(one_line(line))
    return 0 if outcome.ok else BadInputError.exit_code


def _seconds(report: Report) -> float | None:
    if report.header is None or report.total_samples is None:
        return None
    return report.total_samples / report.header.original_rate


def _lines(path: str, report: Report) -> list[str]:
    if not report.ok:
        lines = [f"{path}: {problem}" for problem in report.problems]
        return [*lines, f"{path}: {unlisted_text(report.unlisted)}"] if report.unlisted else lines
    seconds = _seconds(report)
    length = "" if seconds is None else f", {format_duration(seconds)}"
    return [f"{path}: OK ({report.windows} windows{length})"]


def _record(path: str, report: Report) -> dict[str, Any]:
    return {
        "file": path,
        "ok": report.ok,
        "windows": report.windows,
        "damaged": report.damaged,
        "seconds": _seconds(report),
        "problems": [
            {"reason": problem.reason, "window": problem.window, "start": problem.start, "end": problem.end}
            for problem in report.problems
        ],
        "unlisted_problems": report.unlisted,
    }


def _error_record(path: str, error: str) -> dict[str, Any]:
    return {"file": path, "ok": False, "problems": [{"reason": error}]}
