"""`swc tokens`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..batch.plan import (
    DATASET_SUFFIXES,
    NPZ_SUFFIXES,
    STREAM_SUFFIXES,
    Conversion,
    Plan,
    Selection,
    plan_jobs,
)
from ..batch.run import RunOptions, Worker
from ..errors import UsageError
from .encode import audio_conversion
from .encode_options import ENCODE_OPTION_NAMES, encode_options, encode_request
from .errors import Invocation
from .formatting import format_duration, format_size
from .jobs import check_plan, run_jobs
from .options import (
    Command,
    device_option,
    dry_run_option,
    force_option,
    jobs_option,
    json_option,
    parse_selection,
    quiet_option,
    selection_options,
    update_option,
    weights_option,
)
from .progress import BatchProgress, JobReport

if TYPE_CHECKING:
    from ..batch.encode_job import EncodeRequest
    from ..batch.tokens_job import StreamMaker, Tokenizer, TokensResult
    from ..tokens.dataset import DatasetWriter

EXAMPLES = (
    ("swc tokens talk.swc -o talk.npz", "Writes the tokens of a stream as NumPy arrays."),
    ("swc tokens voice/ -o voice.parquet", "Encodes a folder of audio; one row for each recording."),
    (
        "swc tokens archive/ -o train.tar --shard-size 1000",
        "Writes train-000000.tar, train-000001.tar, ... for WebDataset.",
    ),
    ("swc tokens --to-swc voice.parquet -o voice/", "Writes a .swc file for each row."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Convert audio or .swc files to arrays of tokens.")
@click.argument("inputs", metavar="IN...", nargs=-1, type=click.Path(allow_dash=True, readable=False))
@click.option(
    "-o",
    "--output",
    metavar="OUT|DIR",
    required=True,
    type=click.Path(allow_dash=True, readable=False),
    help="OUT.npz, OUT.parquet or OUT.tar, or a folder for .npz files; with --to-swc OUT.swc or a folder.",
)
@click.option("--to-swc", is_flag=True, help="Inputs are files of tokens; write .swc files.")
@click.option(
    "--shard-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Divide a data set into files of N recordings: OUT-000000.tar, OUT-000001.tar, ...",
)
@encode_options
@selection_options
@weights_option
@device_option
@jobs_option
@update_option
@force_option
@dry_run_option
@json_option
@quiet_option
@click.pass_obj
def tokens(
    invocation: Invocation,
    /,
    inputs: tuple[str, ...],
    output: str,
    to_swc: bool,
    shard_size: int | None,
    weights: str | None,
    device: str,
    jobs: int,
    force: bool,
    update: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    relative_to: str | None,
    exclude: tuple[str, ...],
    files_from: str | None,
    null: bool,
    **options: Any,
) -> int:
    """Convert audio files or .swc files to arrays of tokens, or these to .swc files.

    IN is a .swc file, an audio file, which is encoded as by swc encode, a folder, a quoted glob pattern, or -
    for standard input. Weights are loaded only for audio.

    The suffix of OUT determines the format. A .npz file holds one recording; several are written into a
    folder. A Parquet file has one row for each recording, and a tar file in the form of WebDataset two files,
    KEY.npz and KEY.json. In both, recordings keep their paths below the folder that was given.

    If several inputs are given, errors are reported and the remaining files are converted; a data set then
    lacks the recordings with errors. Data sets appear when they are complete. Running the command again skips
    .npz and .swc files that are up to date.
    """
    request = encode_request(**options)
    selection = parse_selection(
        inputs=inputs, relative_to=relative_to, exclude=exclude, files_from=files_from, null=null
    )
    is_dataset = not to_swc and os.path.splitext(output)[1].lower() in DATASET_SUFFIXES
    if shard_size is not None and not is_dataset:
        raise UsageError("--shard-size needs an output that ends in .parquet or .tar")
    if update and is_dataset:
        raise UsageError("--update is not for data sets; use --force to write one again")
    plan = _plan(inputs, output, to_swc, is_dataset, request, selection)
    create: Callable[[], Worker[TokensResult]]
    if to_swc:
        _refuse_encode_options("with --to-swc nothing is encoded")
        create = _CreateStreamMaker(force)
    else:
        create = _create_tokenizer(plan, weights, device, request, force)
        if plan.jobs and not create.needs_weights:
            _refuse_encode_options("all inputs are .swc files, which are not encoded again")
    progress = _Progress(
        "converting",
        len(plan.jobs),
        _report,
        quiet=quiet,
        as_json=as_json,
        debug=invocation.debug,
        dry_run=dry_run,
        verb="converted",
    )
    run = partial(
        run_jobs,
        plan,
        create,
        progress,
        options=RunOptions(force, update, dry_run),
        processes=jobs,
    )
    if not is_dataset:
        check_plan(plan, force or update, as_json)
        return run()
    return _write_dataset(output, shard_size, force, progress, run)


class _Progress(BatchProgress["TokensResult"]):
    """Reports the jobs of a plan; writes their tokens to a data set if there is one."""

    dataset: DatasetWriter | None = None

    def succeeded(self, result: TokensResult) -> None:
        """Write the tokens of a recording, and print the result."""
        if self.dataset is not None:
            self.dataset.write(result.take_tokens(), result.path)
        super().succeeded(result)


def _write_dataset(
    output: str, shard_size: int | None, force: bool, progress: _Progress, run: Callable[[], int]
) -> int:
    """Execute a plan whose recordings are written to a data set; returns the exit code."""
    from ..tokens.dataset import DatasetWriter

    with DatasetWriter(output, shard_size, force) as writer:
        progress.dataset = writer
        code = run()
    if writer.files:
        size = format_size(sum(os.path.getsize(path) for path in writer.files))
        counts = f"{_count(writer.recordings, 'recording')} in {_count(len(writer.files), 'file')}"
        progress.message(f"{output}: {counts}, {size}")
    return code


def _plan(
    inputs: Sequence[str],
    output: str,
    to_swc: bool,
    is_dataset: bool,
    request: EncodeRequest,
    selection: Selection,
) -> Plan:
    """The jobs. Raises UsageError."""
    from ..batch.tokens_plan import plan_dataset, plan_streams

    if to_swc:
        return plan_streams(inputs, output, selection)
    audio = audio_conversion(request)
    conversion = Conversion(
        audio.input_suffixes | STREAM_SUFFIXES, NPZ_SUFFIXES, ".npz", audio.ignored_suffixes
    )
    if not is_dataset:
        return plan_jobs(inputs, output, conversion, selection)
    plan = plan_dataset(inputs, output, conversion, selection)
    for rejected in plan.rejected if plan.is_single else ():
        raise rejected.error
    return plan


def _refuse_encode_options(reason: str) -> None:
    """Raise UsageError if an option of the encoder was given, which would have no effect."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in ENCODE_OPTION_NAMES - {"preserve_time"}:
            raise UsageError(f"{parameter.opts[0]} has no effect: {reason}")


def _create_tokenizer(
    plan: Plan, weights: str | None, device: str, request: EncodeRequest, force: bool
) -> _CreateTokenizer:
    """Creates workers, which load weights if an input is audio."""
    from ..batch.tokens_job import is_stream

    needs_weights = not all(is_stream(job.source) for job in plan.jobs)
    return _CreateTokenizer(weights, device, request, force, needs_weights)


@dataclass(frozen=True)
class _CreateTokenizer:
    """Creates the worker; worker processes get a copy."""

    weights: str | None
    device: str
    request: EncodeRequest
    force: bool
    needs_weights: bool

    def __call__(self) -> Tokenizer:
        from ..batch.encode_job import FileEncoder
        from ..batch.tokens_job import Tokenizer

        encoder = None
        if self.needs_weights:
            from ..api import Codec

            encoder = FileEncoder(Codec.load(self.weights, self.device), self.request)
        return Tokenizer(encoder, self.force, self.request.preserve_time)


@dataclass(frozen=True)
class _CreateStreamMaker:
    """Creates the worker; worker processes get a copy."""

    force: bool

    def __call__(self) -> StreamMaker:
        from ..batch.tokens_job import StreamMaker

        return StreamMaker(self.force)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _report(result: TokensResult) -> JobReport:
    """A result as a line of text and as JSON."""
    parts = [format_duration(result.seconds), f"{result.windows} windows"]
    if result.output_bytes is not None:
        parts.append(format_size(result.output_bytes))
    line = f"{result.job.source_name} -> {result.job.output_name}: {', '.join(parts)}"
    return JobReport(line, _record(result))


def _record(result: TokensResult) -> dict[str, Any]:
    return {
        "input": result.job.source,
        "output": result.job.output,
        "status": "converted",
        "path": result.path,
        "input_bytes": result.input_bytes,
        "bytes": result.output_bytes,
        "seconds": result.seconds,
        "windows": result.windows,
        "signals": result.signals,
        "elapsed": result.elapsed,
    }
