"""`swc verify`."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from ..batch.plan import STREAM_SUFFIXES, InputFile, find_inputs
from ..batch.run import SOME_FAILED
from ..batch.shard import Shard
from ..errors import BadInputError, UsageError, one_line
from .errors import Invocation, describe, exit_code_of, exit_code_of_files
from .formatting import format_duration, unlisted_text
from .options import Command, json_option, shard_option
from .progress import Progress

if TYPE_CHECKING:
    from ..bitstream import Report

EXAMPLES = (
    ("swc verify talk.swc", "Checks one file."),
    (
        "swc verify archive/ --manifest 'manifest-*.jsonl'",
        "Compares a folder tree with the manifests of the shards that wrote it.",
    ),
    ("swc verify archive/ --quiet", "Checks a folder tree and lists only damaged files."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Check .swc files for damage.")
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.Path(allow_dash=True, readable=False))
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="FILE|GLOB",
    help="Compare outputs with this manifest of encode, decode or tokens instead; can be repeated.",
)
@click.option(
    "--full", is_flag=True, help="With --manifest, read outputs as a whole, not only headers and trailers."
)
@shard_option
@json_option
@click.option("--quiet", "-q", is_flag=True, help="List only damaged files.")
@click.pass_obj
def verify(
    invocation: Invocation,
    /,
    files: tuple[str, ...],
    manifests: tuple[str, ...],
    full: bool,
    shard: Shard | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check .swc files for damage. Weights are not needed.

    All checksums, fields and counts are checked, and all damage is listed. FILE may be a folder, or - for
    standard input. The exit code is 3 if a file is damaged, truncated or unreadable; 1 if one of several is.

    With --manifest, the outputs that manifests list are compared with their rows: missing, changed and
    damaged ones are reported, and failed recordings. If FILEs are given, too, streams that no manifest lists
    are reported as unlisted. The exit code is 1 if anything is reported, 3 if a manifest cannot be read.
    """
    if full and not manifests:
        raise UsageError("--full goes with --manifest")
    if not files and not manifests:
        raise UsageError("no files are given")
    inputs = find_inputs(files, STREAM_SUFFIXES)
    progress = Progress("verifying", quiet=True, as_json=as_json, debug=invocation.debug)
    failures = []
    if manifests:
        for rejected in inputs.rejected:
            raise rejected.error
        return _audit(manifests, inputs.in_shard(shard), full, progress, as_json, quiet)
    progress.ignored_inputs(inputs.ignored)
    for rejected in inputs.rejected:
        progress.error(rejected.error, rejected.source)
        progress.record(_error_record(rejected.source, describe(rejected.error)))
        failures.append(exit_code_of(rejected.error))
    chosen = inputs.in_shard(shard)
    for file in chosen:
        code = _verify_file(file.path, progress, as_json, quiet)
        if code:
            failures.append(code)
    return exit_code_of_files(failures, len(chosen) + len(inputs.rejected))


def _audit(
    patterns: Sequence[str],
    found: Sequence[InputFile],
    full: bool,
    progress: Progress,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare outputs with manifests, and print what differs; returns the exit code."""
    from ..batch.audit import Audit

    audit = Audit(find_manifests(patterns))
    findings = 0
    for finding in chain(audit.findings(full), audit.unlisted([file.path for file in found])):
        findings += 1
        progress.record({"file": finding.path, "ok": False, "kind": finding.kind, "reason": finding.text})
        if not as_json:
            click.echo(one_line(f"{finding.path}: {finding.kind}: {finding.text}"))
    if not as_json and not quiet:
        click.echo(f"{audit.rows} recordings, {findings} findings")
    return SOME_FAILED if findings else 0


def find_manifests(patterns: Sequence[str]) -> list[str]:
    """The files that names or glob patterns stand for. Raises BadInputError."""
    paths: dict[str, None] = {}  # in order, each once
    for pattern in patterns:
        matches = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))
        if not matches:
            raise BadInputError(f"{pattern}: no such manifest")
        paths.update(dict.fromkeys(matches))
    return list(paths)


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
