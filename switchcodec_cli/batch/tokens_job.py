"""Tokens of one recording, and the stream of its tokens."""

from __future__ import annotations

import io
import os
import time
from dataclasses import dataclass

from ..atomic_io import PIPE, standard_input
from ..bitstream import Header, SourceDigest
from ..bitstream.header import MAGIC
from ..bitstream.transcoding import LoadIndexModel
from ..errors import BadInputError, SwcError
from ..storage import is_file
from ..tokens import Tokens
from ..tokens.dataset import DatasetReader, open_dataset
from ..tokens.npz import npz_bytes, read_npz
from .encode_job import FileEncoder, digest_text
from .files import check_times, copy_time, create_output_folder, file_size, open_input, open_output
from .manifest import Outcome
from .plan import STREAM_SUFFIXES, Job
from .run import Difference, FileProgress, was_edited
from .tokens_plan import RecordingJob


@dataclass(frozen=True)
class TokensSummary:
    """What results and manifests hold of tokens."""

    header: Header
    samples: int
    """Per channel."""
    source: SourceDigest | None
    windows: int

    @classmethod
    def of(cls, tokens: Tokens) -> TokensSummary:
        """The summary of tokens."""
        return cls(tokens.header, tokens.samples, tokens.source, tokens.windows)

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples / self.header.original_rate

    def outcome(self, status: str, elapsed: float | None = None) -> Outcome:
        """The row of a manifest, without the fields about files."""
        return Outcome(
            status,
            digest_text(self.source),
            self.samples,
            self.header.original_rate,
            self.header.channels,
            None,
            self.header.fingerprint.hex(),
            elapsed,
        )


def existing_tokens(job: Job) -> Outcome:
    """What a manifest says of a .npz file that exists. Raises SwcError."""
    with open_input(job.output) as file:
        return TokensSummary.of(read_npz(file)[1]).outcome("tokens")


@dataclass
class TokensResult:
    """A recording that was converted to or from tokens."""

    job: Job
    path: str
    """Of the recording in a data set."""
    summary: TokensSummary
    input_bytes: int | None
    """Size of the input, None for a pipe or a data set."""
    output_bytes: int | None
    """The same of the output."""
    elapsed: float
    """In seconds."""
    tokens: Tokens | None = None
    """To be written to a data set, which then drops them."""

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.summary.seconds

    @property
    def outcome(self) -> Outcome:
        """See `manifest.Recorded`."""
        is_stream = os.path.splitext(self.job.output)[1].lower() in STREAM_SUFFIXES
        return self.summary.outcome("encoded" if is_stream else "tokens", self.elapsed)

    def take_tokens(self) -> Tokens:
        """The tokens for a data set; the result no longer holds them."""
        if self.tokens is None:
            raise ValueError("the tokens were taken already")
        tokens, self.tokens = self.tokens, None
        return tokens


def is_stream(path: str) -> bool:
    """Whether an input is a stream, by its suffix or its first bytes; otherwise it is audio."""
    if os.path.splitext(path)[1].lower() in STREAM_SUFFIXES:
        return True
    if path == PIPE:
        file = standard_input()
        return isinstance(file, io.BufferedReader) and file.peek(len(MAGIC))[: len(MAGIC)] == MAGIC
    if not is_file(path):  # a named pipe can be read only once
        return False
    try:
        with open_input(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except SwcError:  # reported when it is read
        return False


class Tokenizer:
    """Makes tokens of audio and of streams, see `batch.run.Worker`.

    Args:
        index_models: gives the index models of entropy-coded streams.
        encoder: encodes audio; None if all inputs are streams, so that no networks are needed.
        force: overwrite existing outputs.
        preserve_time: give outputs the modification times of their inputs.
    """

    def __init__(
        self,
        index_models: LoadIndexModel,
        encoder: FileEncoder | None,
        force: bool = False,
        preserve_time: bool = False,
    ) -> None:
        self._index_models, self._encoder = index_models, encoder
        self._force, self._preserve_time = force, preserve_time

    def run(self, job: Job, progress: FileProgress) -> TokensResult:
        """Write a .npz file, or hand out the tokens of a recording for a data set. Raises SwcError."""
        began = time.perf_counter()
        if self._preserve_time:
            check_times(job)
        tokens = self._tokens(job, progress)
        if not isinstance(job, RecordingJob):
            create_output_folder(job)
            with open_output(job.output, self._force or job.overwrite) as file:
                file.write(npz_bytes(tokens, _npz_path(job)))
            if self._preserve_time:
                copy_time(job)
        return TokensResult(
            job,
            job.path if isinstance(job, RecordingJob) else _npz_path(job),
            TokensSummary.of(tokens),
            input_bytes=file_size(job.source),
            output_bytes=None if isinstance(job, RecordingJob) else file_size(job.output),
            elapsed=time.perf_counter() - began,
            tokens=tokens if isinstance(job, RecordingJob) else None,
        )

    def _tokens(self, job: Job, progress: FileProgress) -> Tokens:
        if self._encoder is not None and not is_stream(job.source):
            return Tokens.from_stream(self._encoder.encoded(job, progress), self._index_models)
        with open_input(job.source) as file:
            tokens = Tokens.from_stream(file, self._index_models)
        progress.start(job.source_name, tokens.seconds)
        progress.advance(tokens.seconds)
        return tokens

    def difference(self, job: Job) -> Difference | None:
        """How an existing .npz file differs from what `run` would write, see `Worker`. Raises SwcError."""
        try:
            with open_input(job.output) as file:
                _, stored = read_npz(file)
        except BadInputError:
            return Difference("is not a sound file of tokens")
        if self._encoder is not None and not is_stream(job.source):
            return self._encoder.difference_of(job, io.BytesIO(stored.to_stream(self._index_models)))
        with open_input(job.source) as file:
            if stored == Tokens.from_stream(file, self._index_models):
                return None
        return Difference(f"holds other tokens than {job.source}", was_edited(job))


def _npz_path(job: Job) -> str:
    """The path that a .npz file stores: the name of its source."""
    name = "standard input" if job.source == PIPE else os.path.basename(job.source)
    return name.encode(errors="replace").decode()


class StreamMaker:
    """Writes streams of tokens, see `batch.run.Worker`.

    Args:
        index_models: gives the index models of entropy-coded streams.
        force: overwrite existing outputs.
    """

    def __init__(self, index_models: LoadIndexModel, force: bool = False) -> None:
        self._index_models, self._force = index_models, force
        self._reader: tuple[str, DatasetReader] | None = None

    def run(self, job: Job, progress: FileProgress) -> TokensResult:
        """Write the stream of a recording. Raises SwcError."""
        began = time.perf_counter()
        tokens, path = self._tokens(job)
        progress.start(f"{job.source_name}: {path}", tokens.seconds)
        create_output_folder(job)
        with open_output(job.output, self._force or job.overwrite) as file:
            file.write(tokens.to_stream(self._index_models))
        progress.advance(tokens.seconds)
        return TokensResult(
            job,
            path,
            TokensSummary.of(tokens),
            input_bytes=None,  # the file may hold many recordings
            output_bytes=file_size(job.output),
            elapsed=time.perf_counter() - began,
        )

    def difference(self, job: Job) -> Difference | None:
        """How an existing stream differs from what `run` would write, see `Worker`. Raises SwcError."""
        with open_input(job.output) as file:
            if file.read() == self._tokens(job)[0].to_stream(self._index_models):
                return None
        return Difference(f"is another stream than that in {job.source}", was_edited(job))

    def _tokens(self, job: Job) -> tuple[Tokens, str]:
        """The tokens and the path of a recording; its file stays open for the next one."""
        if not isinstance(job, RecordingJob):
            raise ValueError("this job has no recording of a data set")
        if self._reader is None or self._reader[0] != job.source:
            if self._reader is not None:
                self._reader[1].close()
            self._reader = (job.source, open_dataset(job.source))
        try:
            return self._reader[1].read(job.row), job.path
        except BadInputError as error:
            raise BadInputError(f"{job.source}: {job.path}: {error}") from None
