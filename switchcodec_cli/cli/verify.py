"""`swc verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from ..atomic_io import PIPE
from ..batch.plan import STREAM_SUFFIXES, InputFile, find_inputs
from ..batch.run import SOME_FAILED, Pool
from ..batch.shard import Shard
from ..errors import BadInputError, SwcError, UsageError, one_line
from ..storage import storage_of
from .errors import Invocation, describe, exit_code_of, exit_code_of_files
from .formatting import format_duration, unlisted_text
from .jobs import create_pool
from .options import Command, json_option, ray_option, shard_option
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
@ray_option
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
    ray_address: str | None,
) -> int:
    """Check .swc files for damage. Weights are not needed.

    All checksums, fields and counts are checked, and all damage is listed. FILE may be a folder, a URL,
    or - for standard input. The exit code is 3 if a file is damaged, truncated or unreadable; 1 if one of
    several is.

    With --manifest, the outputs that manifests list are compared with their rows: missing, changed and
    damaged ones are reported, and failed recordings. If FILEs are given, too, streams that no manifest lists
    are reported as unlisted. The exit code is 1 if anything is reported, 3 if a manifest cannot be read.
    """
    if full and not manifests:
        raise UsageError("--full goes with --manifest")
    if ray_address is not None and manifests:
        raise UsageError("--ray does not go with --manifest")
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
    paths = [file.path for file in chosen]
    for path, outcome in zip(paths, _outcomes(paths, create_pool(ray_address)), strict=True):
        code = _print_outcome(path, outcome, progress, as_json, quiet)
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
    """The files that names, URLs or glob patterns stand for. Raises SwcError."""
    paths: dict[str, None] = {}  # in order, each once
    for pattern in patterns:
        storage = storage_of(pattern)
        matches = [pattern]
        if not storage.exists(pattern):
            matches = storage.glob(pattern).files if storage.has_magic(pattern) else []
        if not matches:
            raise BadInputError(f"{pattern}: no such manifest")
        paths.update(dict.fromkeys(matches))
    return list(paths)


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
