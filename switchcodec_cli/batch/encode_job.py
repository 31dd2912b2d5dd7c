"""Encoding one file."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from ..atomic_io import PIPE
from ..audio import AudioReader, choose_channels, merge_tags, mix, read_tags
from ..audio.digest import SampleDigest
from ..audio.wav import SampleFormat
from ..bitstream import DigestKind, Header, SourceDigest, StreamReader
from ..encoder import EncoderSettings, SourceFormat
from ..errors import SwcError
from ..storage import is_file
from .codec import JobCodec
from .comparison import StreamComparison
from .files import check_times, copy_time, create_output_folder, file_size, open_input, open_output
from .manifest import Outcome
from .plan import Job
from .run import Difference, FileProgress

if TYPE_CHECKING:
    from ..encoder.rate.control import RateAllocation


@dataclass(frozen=True)
class EncodeRequest:
    """How files are encoded."""

    settings: EncoderSettings
    channels: str = "auto"
    """One of `audio.CHANNEL_MODES`."""
    tags: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    """Stored in the stream; they replace tags of the same keys in the input."""
    copy_tags: bool = True
    """Store the tags of the input."""
    preserve_time: bool = False
    """Give the output the modification time of the input."""
    raw: SampleFormat | None = None
    """Format of inputs without a header; None for inputs with one."""

    def as_json(self) -> str:
        """The request as text, equal for equal requests."""
        return json.dumps(asdict(self), sort_keys=True, default=str)

    def open_source(self, path: str) -> AudioReader:
        """Open an input. Raises BadInputError."""
        return AudioReader(path, self.raw)

    def tags_of(self, source: str) -> tuple[tuple[str, str], ...]:
        """The tags to store for an input."""
        given = tuple(self.tags.items()) if isinstance(self.tags, Mapping) else tuple(self.tags)
        has_tags = self.copy_tags and self.raw is None and is_file(source)
        return merge_tags(read_tags(source) if has_tags else [], given)

    def source_format(
        self, path: str, reader: AudioReader, dual_mono: bool, total_samples: int | None = None
    ) -> SourceFormat:
        """The audio that is encoded from an input.

        Args:
            path: of the input.
            reader: the input.
            dual_mono: whether both channels of a stereo signal are equal.
            total_samples: length per channel, None if it is known only at the end.

        Raises:
            UsageError: the input has other channels than the request allows.
        """
        channels = choose_channels(reader.channels, self.channels, reader.name)
        return SourceFormat(
            reader.sample_rate,
            channels,
            dual_mono and channels == 2,
            total_samples,
            self.tags_of(path),
        )


@dataclass(frozen=True)
class EncodeResult:
    """A file that was encoded."""

    job: Job
    header: Header
    samples: int
    """Per channel."""
    source: SourceDigest | None
    """Digest of the input, as stored in the stream."""
    input_bytes: int | None
    """Size of the input, None for a pipe."""
    output_bytes: int
    elapsed: float
    """In seconds."""

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples / self.header.original_rate

    @property
    def pcm_bytes(self) -> int:
        """Size of the audio as samples of 16 bits."""
        return 2 * self.samples * self.header.channels

    @property
    def kbps(self) -> float | None:
        """Rate of the whole file; None for empty audio."""
        return 8e-3 * self.output_bytes / self.seconds if self.samples else None

    @property
    def outcome(self) -> Outcome:
        """See `manifest.Recorded`."""
        return Outcome(
            "encoded",
            digest_text(self.source),
            self.samples,
            self.header.original_rate,
            self.header.channels,
            self.kbps,
            self.header.fingerprint.hex(),
            self.elapsed,
        )


_OpenStream = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens what a stream is written to."""


class _LengthDiffers(Exception):
    """The input contains more samples than its header states."""


class FileEncoder:
    """Encodes files, see `batch.run.Worker`.

    Args:
        codec: encodes the audio.
        request: settings for all files.
        force: overwrite existing outputs.

    Raises:
        UsageError: the codec does not support the settings.
    """

    def __init__(self, codec: JobCodec, request: EncodeRequest, force: bool = False) -> None:
        self._codec, self._request, self._force = codec, request, force
        self._comparison = StreamComparison(
            codec.parameters,
            codec.fingerprint,
            request,
            codec.has_index_model,
            codec.has_waveform_model,
        )

    def run(self, job: Job, progress: FileProgress) -> EncodeResult:
        """Encode a file block by block. Raises SwcError."""
        if self._request.preserve_time:
            check_times(job)
        result = self._encode_twice(job, progress, partial(self._open_output, job), job.output != PIPE)
        if self._request.preserve_time:
            copy_time(job)
        return result

    def encoded(self, job: Job, progress: FileProgress) -> bytes:
        """The stream that `run` would write, which is not written. Raises SwcError."""
        streams: list[bytes] = []

        @contextmanager
        def memory() -> Iterator[BinaryIO]:
            file = io.BytesIO()
            yield file
            streams.append(file.getvalue())

        self._encode_twice(job, progress, memory, True)
        return streams[-1]

    @contextmanager
    def _open_output(self, job: Job) -> Iterator[BinaryIO]:
        """Open the output of a job."""
        create_output_folder(job)
        with open_output(job.output, self._force or job.overwrite) as file:
            yield file

    def _encode_twice(
        self, job: Job, progress: FileProgress, open_stream: _OpenStream, can_repeat: bool
    ) -> EncodeResult:
        """Encode a file, and if it does not have the length that it states, again where that is possible."""
        try:
            return self._encode(job, progress, open_stream, trust_length=True)
        except _LengthDiffers:
            if not is_file(job.source) or not can_repeat:
                raise SwcError(f"{job.source}: contains more audio than its header states") from None
            return self._encode(job, progress, open_stream, trust_length=False)

    def _encode(
        self, job: Job, progress: FileProgress, open_stream: _OpenStream, trust_length: bool
    ) -> EncodeResult:
        """Encode a file; `trust_length` writes the length that it states into the header of the stream."""
        began = time.perf_counter()
        with self._request.open_source(job.source) as reader:
            source = self._source(job, reader, reader.frames if trust_length else None)
            digest = SampleDigest()
            seconds = None if reader.frames is None else reader.frames / reader.sample_rate
            allocation = self._first_pass(job, source, progress, seconds)
            progress.start(reader.name, seconds)
            with open_stream() as file:
                encoder = self._codec.encoder(file, source, self._request.settings, allocation)
                for block in reader.blocks():
                    if reader.is_lossless:
                        digest.update(block)
                    encoder.write(mix(block, source.channels))
                    progress.advance(len(block) / source.sample_rate)
                if source.total_samples not in (None, encoder.samples):
                    raise _LengthDiffers
                trailer = encoder.close(_source_digest(reader, digest))
        writer = encoder.writer
        return EncodeResult(
            job,
            writer.header,
            samples=encoder.samples,
            source=trailer.source,
            input_bytes=file_size(job.source),
            output_bytes=writer.budget.total // 8,
            elapsed=time.perf_counter() - began,
        )

    def _source(self, job: Job, reader: AudioReader, total_samples: int | None) -> SourceFormat:
        source = self._request.source_format(job.source, reader, dual_mono=False, total_samples=total_samples)
        if source.channels == 2 and self._has_equal_channels(job.source, reader):
            return replace(source, dual_mono=True)
        return source

    def _has_equal_channels(self, path: str, reader: AudioReader) -> bool:
        """Whether both channels of a stereo signal will be equal.

        A stereo file is read until the channels differ. The channels of a pipe are assumed to differ.
        """
        if reader.channels != 2:
            return reader.channels == 1
        if not is_file(path):
            return False
        with self._request.open_source(path) as ahead:
            return all((block[:, 0] == block[:, 1]).all() for block in ahead.blocks())

    def _first_pass(
        self, job: Job, source: SourceFormat, progress: FileProgress, seconds: float | None
    ) -> RateAllocation | None:
        """Allocate an average rate over a whole file; None for other rates and for pipes."""
        settings = self._request.settings
        if not self._codec.needs_first_pass(settings) or not is_file(job.source):
            return None
        first_pass = self._codec.first_pass(source, settings)
        progress.start(f"first pass: {job.source}", seconds)
        with self._request.open_source(job.source) as reader:
            for block in reader.blocks():
                first_pass.write(mix(block, source.channels))
                progress.advance(len(block) / source.sample_rate)
        return first_pass.close()

    def difference(self, job: Job) -> Difference | None:
        """How an existing stream differs from what `run` would write, see `Worker`. Raises SwcError."""
        return self._comparison.difference(job)

    def difference_of(self, job: Job, stream: BinaryIO) -> Difference | None:
        """How a stream differs from what `encoded` would return. Raises SwcError."""
        return self._comparison.difference_of(job, stream)


def _source_digest(reader: AudioReader, samples: SampleDigest) -> SourceDigest | None:
    """Digest of the input after it was read; None if only that of the samples that were encoded is known."""
    if reader.is_lossless:
        return SourceDigest(DigestKind.SAMPLES, samples.value())
    value = reader.file_digest()
    return None if value is None else SourceDigest(DigestKind.FILE, value)


def digest_text(digest: SourceDigest | None) -> str | None:
    """A digest as manifests hold it: its kind and its value in hexadecimal."""
    return None if digest is None else f"{digest.kind.name.lower()}:{digest.value.hex()}"


def existing_stream(job: Job) -> Outcome:
    """What a manifest says of a stream that exists. Raises SwcError."""
    with open_input(job.output) as file:
        reader = StreamReader(file)
        header, trailer, samples = reader.header, reader.trailer, reader.total_samples or 0
    seconds = samples / header.original_rate
    return Outcome(
        "encoded",
        None if trailer is None else digest_text(trailer.source),
        samples,
        header.original_rate,
        header.channels,
        8e-3 * (file_size(job.output) or 0) / seconds if samples else None,
        header.fingerprint.hex(),
    )
