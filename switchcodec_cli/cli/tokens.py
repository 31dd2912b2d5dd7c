"""`swc tokens`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..batch.plan import DATASET_SUFFIXES, NPZ_SUFFIXES, STREAM_SUFFIXES, Conversion, Plan
from ..batch.processes import ENCODING_COSTS, TOKENS_COST
from ..batch.shard import path_of_shard
from ..errors import UsageError
from ..storage import is_remote
from .batch_options import BatchOptions, batch_options
from .encode import audio_conversion
from .encode_options import ENCODE_OPTION_NAMES, encode_options, encode_request
from .errors import Invocation
from .formatting import format_duration, format_size
from .jobs import CodecSource, Task, run_jobs
from .options import Command
from .progress import JobReport

if TYPE_CHECKING:
    from ..batch.encode_job import EncodeRequest
    from ..batch.tokens_job import StreamMaker, Tokenizer, TokensResult

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
@batch_options
@click.pass_obj
def tokens(
    invocation: Invocation,
    /,
    inputs: tuple[str, ...],
    output: str,
    to_swc: bool,
    shard_size: int | None,
    batch: BatchOptions,
    **options: Any,
) -> int:
    """Convert audio files or .swc files to arrays of tokens, or these to .swc files.

    IN is a .swc file, an audio file, which is encoded as by swc encode, a folder, a quoted glob pattern, a
    URL of these, or - for standard input. Audio needs the whole weights, entropy-coded .swc files the index
    model in them, and other .swc files none.

    The suffix of OUT determines the format. A .npz file holds one recording; several are written into a
    folder. A Parquet file has one row for each recording, and a tar file in the form of WebDataset two files,
    KEY.npz and KEY.json. In both, recordings keep their paths below the folder that was given. With --shard,
    the name of a data set contains {shard}, which is replaced by I.

    If several inputs are given, errors are reported and the remaining files are converted; a data set then
    lacks the recordings with errors. Data sets appear when they are complete. Running the command again skips
    .npz and .swc files that are up to date.
    """
    request = encode_request(**options)
    if to_swc:
        return _write_streams(inputs, output, shard_size, batch, invocation)
    is_dataset = os.path.splitext(output)[1].lower() in DATASET_SUFFIXES
    if is_dataset:
        output = path_of_shard(output, batch.shard, "data set")
        _check_dataset_options(output, batch)
    elif shard_size is not None:
        raise UsageError("--shard-size needs an output that ends in .parquet or .tar")
    plan = _plan(inputs, output, is_dataset, request, batch)
    task = _tokens_task(plan, request, batch)
    if is_dataset:
        return _write_dataset(output, shard_size, plan, task, batch, invocation)
    return run_jobs(plan, task, batch, invocation)


def _check_dataset_options(output: str, batch: BatchOptions) -> None:
    """Raise UsageError for options that are for outputs of one recording, and for URLs."""
    if is_remote(output):
        raise UsageError(f"{output}: data sets are written to local files only")
    if batch.update:
        raise UsageError("--update is not for data sets; use --force to write one again")
    if batch.manifest is not None:
        raise UsageError("--manifest is not for data sets, which have a row for each recording themselves")


def _plan(
    inputs: Sequence[str], output: str, is_dataset: bool, request: EncodeRequest, batch: BatchOptions
) -> Plan:
    """The jobs that make tokens. Raises UsageError."""
    from ..batch.tokens_plan import plan_dataset

    audio = audio_conversion(request)
    conversion = Conversion(
        audio.input_suffixes | STREAM_SUFFIXES, NPZ_SUFFIXES, ".npz", audio.ignored_suffixes
    )
    if is_dataset:
        return plan_dataset(inputs, output, conversion, batch.selection(inputs))
    return batch.plan(inputs, output, conversion)


def _tokens_task(plan: Plan, request: EncodeRequest, batch: BatchOptions) -> Task[TokensResult]:
    """Tokens of audio, with the codec, and of streams, without it. Raises UsageError."""
    from ..batch.tokens_job import existing_tokens, is_stream

    encodes = not all(is_stream(job.source) for job in plan.jobs)
    if plan.jobs and not encodes:
        _refuse_encode_options("all inputs are .swc files, which are not encoded again")
    codec = CodecSource(batch.weights, batch.device)
    return Task(
        "converting",
        "converted",
        _CreateTokenizer(codec, request, batch.force, encodes),
        codec,
        _report,
        ENCODING_COSTS[request.settings.effort] if encodes else TOKENS_COST,
        request.as_json(),
        existing_tokens,
        loads_codec=encodes,
    )


def _write_dataset(
    output: str,
    shard_size: int | None,
    plan: Plan,
    task: Task[TokensResult],
    batch: BatchOptions,
    invocation: Invocation,
) -> int:
    """Execute a plan whose recordings are written to a data set; returns the exit code."""
    from ..tokens.dataset import DatasetWriter

    with DatasetWriter(output, shard_size, batch.force) as writer:
        task = replace(task, receive=lambda result: writer.write(result.take_tokens(), result.path))
        # The writer knows which files exist; jobs have no outputs of their own.
        code = run_jobs(plan, task, replace(batch, force=True), invocation)
    if writer.files and not batch.quiet:
        size = format_size(sum(os.path.getsize(path) for path in writer.files))
        counts = f"{_count(writer.recordings, 'recording')} in {_count(len(writer.files), 'file')}"
        click.echo(f"{output}: {counts}, {size}", err=True)
    return code


def _write_streams(
    inputs: Sequence[str],
    output: str,
    shard_size: int | None,
    batch: BatchOptions,
    invocation: Invocation,
) -> int:
    """Write the streams of files of tokens; returns the exit code."""
    from ..batch.encode_job import existing_stream
    from ..batch.tokens_plan import plan_streams

    _refuse_encode_options("with --to-swc nothing is encoded")
    if shard_size is not None:
        raise UsageError("--shard-size needs an output that ends in .parquet or .tar")
    plan = plan_streams(inputs, output, batch.selection(inputs))
    sources = (job.source for job in plan.jobs)
    if batch.manifest and any(os.path.splitext(path)[1].lower() in DATASET_SUFFIXES for path in sources):
        raise UsageError("--manifest needs a file for each recording, not data sets")
    task: Task[TokensResult] = Task(
        "converting",
        "converted",
        _CreateStreamMaker(batch.weights, batch.force),
        CodecSource(batch.weights, batch.device),
        _report,
        TOKENS_COST,
        "{}",
        existing_stream,
        loads_codec=False,
    )
    return run_jobs(plan, task, batch, invocation)


def _refuse_encode_options(reason: str) -> None:
    """Raise UsageError if an option of the encoder was given, which would have no effect."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in ENCODE_OPTION_NAMES - {"preserve_time"}:
            raise UsageError(f"{parameter.opts[0]} has no effect: {reason}")


@dataclass(frozen=True)
class _CreateTokenizer:
    """Creates the worker; worker processes get a copy."""

    codec: CodecSource
    request: EncodeRequest
    force: bool
    encodes: bool

    def __call__(self) -> Tokenizer:
        from ..batch.encode_job import FileEncoder
        from ..batch.tokens_job import Tokenizer
        from ..model.packaged_index_model import IndexModels

        encoder = FileEncoder(self.codec.load(), self.request) if self.encodes else None
        return Tokenizer(IndexModels(self.codec.weights), encoder, self.force, self.request.preserve_time)


@dataclass(frozen=True)
class _CreateStreamMaker:
    """Creates the worker; worker processes get a copy."""

    weights: str | None
    force: bool

    def __call__(self) -> StreamMaker:
        from ..batch.tokens_job import StreamMaker
        from ..model.packaged_index_model import IndexModels

        return StreamMaker(IndexModels(self.weights), self.force)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _report(result: TokensResult) -> JobReport:
    """A result as a line of text and as JSON."""
    parts = [format_duration(result.seconds), f"{result.summary.windows} windows"]
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
        "windows": result.summary.windows,
        "signals": result.summary.header.signals,
        "elapsed": result.elapsed,
    }
