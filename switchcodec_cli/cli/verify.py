"""`swc verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import STREAM_SUFFIXES, find_inputs
from ..errors import BadInputError, one_line
from .errors import Invocation, describe, exit_code_of, exit_code_of_files
from .formatting import format_duration, unlisted_text
from .options import Command, json_option
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
@click.pass_obj
def verify(invocation: Invocation, /, files: tuple[str, ...], as_json: bool, quiet: bool) -> int:
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
    for file in inputs.files:
        code = _verify_file(file.path, progress, as_json, quiet)
        if code:
            failures.append(code)
    return exit_code_of_files(failures, len(inputs.files) + len(inputs.rejected))


def _verify_file(path: str, progress: Progress, as_json: bool, quiet: bool) -> int:
    """Check a file and print the result; returns the exit code for it."""
    from ..batch.files import open_input
    from ..bitstream import verify as verify_stream

    try:
        with open_input(path) as file:
            report = verify_stream(file)
    except (BadInputError, OSError) as error:
        progress.record(_error_record(path, progress.error(error, path)))
        return exit_code_of(error)
    progress.record(_record(path, report))
    if not as_json and not (report.ok and quiet):
        for line in _lines(path, report):
            click.echo(one_line(line))
    return 0 if report.ok else BadInputError.exit_code


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
