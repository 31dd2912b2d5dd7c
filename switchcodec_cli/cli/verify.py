"""`swc verify`."""

from __future__ import annotations

from typing import Any

import click

from ..batch.plan import STREAM_SUFFIXES, InputFile, expand
from ..batch.run import open_input
from ..errors import BadInputError
from .errors import describe, exit_code_of, one_line
from .options import Command, json_option, quiet_option
from .progress import Progress, duration

EXAMPLES = (
    ("swc verify talk.swc", "Says whether every byte is as it was written."),
    ("swc verify archive/ --quiet", "Checks a whole tree and names only what is damaged."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Check .swc files for damage.")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True, readable=False)
)
@json_option
@quiet_option
@click.pass_context
def verify(context: click.Context, files: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Check .swc files, folders of them or - for standard input, and list all damage.

    Every checksum, every field and every count is checked; no weights are needed. The exit code is 3 if
    anything is damaged, cut short or unreadable.
    """
    failures: list[tuple[str, Any]] = []
    found = list(expand(files, STREAM_SUFFIXES, failures))
    progress = Progress("checking", len(found), quiet=True, as_json=as_json)
    for source, error in failures:
        progress.error(describe(error, source))
        record = {"file": source, "ok": False, "problems": [{"reason": describe(error)}]}
        progress.record(record)
    damaged = [_verify(file, progress, quiet or as_json) for file in found]
    return BadInputError.exit_code if failures or any(damaged) else 0


def _verify(found: InputFile, progress: Progress, quiet: bool) -> bool:
    """Check one file and print what it is like; returns whether anything is wrong."""
    from ..bitstream import verify as verify_stream

    try:
        with open_input(found.path) as file:
            report = verify_stream(file)
    except (BadInputError, OSError) as error:
        text = describe(error, found.path)
        progress.error(text)
        progress.record({"file": found.path, "ok": False, "problems": [{"reason": text}]})
        return bool(exit_code_of(error))
    problems = [
        {"reason": problem.reason, "window": problem.window, "start": problem.start, "end": problem.end}
        for problem in report.problems
    ]
    seconds = None
    if report.header is not None and report.total_samples is not None:
        seconds = report.total_samples / report.header.original_rate
    progress.record(
        {
            "file": found.path,
            "ok": report.ok,
            "windows": report.windows,
            "damaged": report.damaged,
            "seconds": seconds,
            "problems": problems,
        }
    )
    if report.ok:
        if not quiet:
            length = "" if seconds is None else f", {duration(seconds)}"
            click.echo(one_line(f"{found.path}: fine ({report.windows} windows{length})"))
        return False
    if not progress.as_json:
        for problem in report.problems:
            click.echo(one_line(f"{found.path}: {problem}"))
    return True
