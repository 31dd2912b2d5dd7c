"""Decoding one file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..atomic_io import PIPE
from ..audio import AudioReader, AudioWriter, output_format
from ..audio.formats import STREAMABLE_CONTAINERS
from ..bitstream import DamagedWindow, Header, StreamReader
from ..errors import SwcError, UsageError
from .files import create_output_folder, file_size, open_input
from .plan import Job
from .run import Difference, FileProgress, is_stale

if TYPE_CHECKING:
    from ..api import Codec


@dataclass(frozen=True)
class DecodeRequest:
    """How files are decoded."""

    start: float = 0.0
    """In seconds."""
    duration: float | None = None
    """In seconds, None for everything from `start`."""
    conceal: bool = False
    """Replace damaged windows by silence instead of failing."""
    phase_iterations: int | None = None
    """Iterations of fast Griffin-Lim, None for the number stored in the weights."""
    format: str | None = None
    """A suffix that takes precedence over that of the output."""
    subtype: str | None = None
    """Coding of samples, such as "PCM_24"."""

    def check_output(self, output: str) -> None:
        """Check that the audio format can be written to an output. Raises UsageError."""
        container = output_format(output, self.format, self.subtype).container
        if output == PIPE and container not in STREAMABLE_CONTAINERS:
            raise UsageError(f"a pipe supports only WAV and raw audio, not {container}")

    def samples_of(self, total: int, sample_rate: int) -> int:
        """Number of samples to decode from a stream of `total` samples."""
        first = round(self.start * sample_rate)
        stop = total if self.duration is None else first + round(self.duration * sample_rate)
        return max(0, min(stop, total) - first)


@dataclass(frozen=True)
class DecodeResult:
    """A file that was decoded."""

    job: Job
    header: Header
    samples: int
    """Per channel."""
    subtype: str
    concealed: tuple[DamagedWindow, ...]
    truncated: str | None
    """Why the end is missing, if it was concealed."""
    input_bytes: int | None
    """Size of the input, None for a pipe."""
    output_bytes: int | None
    """Size of the output, None for a pipe."""
    elapsed: float
    """In seconds."""

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples / self.header.original_rate


class FileDecoder:
    """Decodes files, see `batch.run.Worker`.

    Args:
        codec: decodes the streams.
        request: settings for all files.
        force: overwrite existing outputs.
    """

    def __init__(self, codec: Codec, request: DecodeRequest, force: bool = False) -> None:
        self._codec, self._request, self._force = codec, request, force

    def run(self, job: Job, progress: FileProgress) -> DecodeResult:
        """Decode a stream block by block. Raises SwcError."""
        began = time.perf_counter()
        request = self._request
        with open_input(job.source) as file:
            decoder = self._codec.decoder(
                file,
                start=request.start,
                duration=request.duration,
                conceal=request.conceal,
                phase_iterations=request.phase_iterations,
            )
            rate, frames = decoder.sample_rate, decoder.frames
            progress.start(job.source_name, None if frames is None else frames / rate)
            if request.conceal and decoder.reader.trailer is None:
                frames = None  # the end of the stream may be missing
            create_output_folder(job)
            with AudioWriter(
                job.output,
                rate,
                decoder.channels,
                subtype=request.subtype,
                format=request.format,
                frames=frames,
                force=self._force or job.overwrite,
            ) as writer:
                for block in decoder.blocks():
                    writer.write(block)
                    progress.advance(len(block) / rate)
        return DecodeResult(
            job,
            decoder.header,
            samples=writer.frames_written,
            subtype=writer.format.subtype,
            concealed=tuple(decoder.damage),
            truncated=decoder.truncated,
            input_bytes=file_size(job.source),
            output_bytes=file_size(job.output),
            elapsed=time.perf_counter() - began,
        )

    def difference(self, job: Job) -> Difference | None:
        """How existing audio differs from what `run` would write, see `Worker`. Raises SwcError."""
        with open_input(job.source) as file:
            reader = StreamReader(file)
            header, total = reader.header, reader.total_samples
        try:
            with AudioReader(job.output) as audio:
                rate, channels, frames = audio.sample_rate, audio.channels, audio.frames
        except SwcError:
            return Difference("is not readable")
        same_length = total is None or frames == self._request.samples_of(total, header.original_rate)
        if (rate, channels) != (header.original_rate, header.channels) or not same_length:
            return Difference(f"contains other audio than {job.source}", is_stale(job))
        return None
