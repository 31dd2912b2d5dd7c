"""Decoding one file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..atomic_io import PIPE
from ..audio import (
    AudioReader,
    AudioWriter,
    StreamResampler,
    output_format,
    resampled_length,
    supported_rate,
)
from ..audio.formats import STREAMABLE_CONTAINERS, check_signal, supports_float
from ..audio.reader import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from ..bitstream import DamagedWindow, Header, StreamReader
from ..errors import SwcError, UsageError
from .codec import JobCodec
from .files import check_times, copy_time, create_output_folder, file_size, open_input
from .manifest import Outcome, file_digest
from .plan import Job
from .run import Difference, FileProgress, was_edited

_CODING_NOISE = 0.004  # of 8-bit outputs, full scale 1


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
    sample_rate: int | None = None
    """Of the output, in Hz; None for that of the stream, or the next one that the format supports."""
    copy_tags: bool = True
    """Write the tags of the stream into formats that have tags."""
    preserve_time: bool = False
    """Give the output the modification time of the input."""

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not MIN_SAMPLE_RATE <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise UsageError(
                f"the sample rate must be {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, not {self.sample_rate}"
            )

    def as_json(self) -> str:
        """The request as text, equal for equal requests."""
        return json.dumps(asdict(self), sort_keys=True)

    def check_output(self, output: str) -> None:
        """Check that the audio format and the rate can be written to an output. Raises UsageError."""
        format = output_format(output, self.format, self.subtype)
        container = format.container
        if self.sample_rate is not None:
            check_signal(format, self.sample_rate, 1, output)
        if output == PIPE and container not in STREAMABLE_CONTAINERS:
            raise UsageError(f"a pipe supports only WAV and raw audio, not {container}")

    def output_rate(self, output: str, sample_rate: int) -> int:
        """Sample rate in Hz to write an output with that is decoded at `sample_rate`. Raises UsageError."""
        if self.sample_rate is not None:
            return self.sample_rate
        return supported_rate(output_format(output, self.format, self.subtype), sample_rate)

    def samples_of(self, total: int, sample_rate: int) -> int:
        """Number of samples to decode from a stream of `total` samples, at its own rate."""
        first = round(self.start * sample_rate)
        stop = total if self.duration is None else first + round(self.duration * sample_rate)
        return max(0, min(stop, total) - first)


@dataclass(frozen=True)
class DecodeResult:
    """A file that was decoded."""

    job: Job
    header: Header
    samples: int
    """Per channel, at the rate of the output."""
    sample_rate: int
    """Of the output, in Hz."""
    subtype: str
    clipped: int
    """Samples beyond full scale, over all channels, that the subtype of the output cannot store."""
    can_be_float: bool
    """Whether the container of the output also supports float samples, which are not clipped."""
    omitted_tags: tuple[str, ...]
    """Keys of the tags that the output has no field for."""
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
        return self.samples / self.sample_rate

    @property
    def outcome(self) -> Outcome:
        """See `manifest.Recorded`."""
        return _outcome(
            self.job, self.header, self.samples, self.sample_rate, self.header.channels, self.elapsed
        )


class FileDecoder:
    """Decodes files, see `batch.run.Worker`.

    Args:
        codec: decodes the streams.
        request: settings for all files.
        force: overwrite existing outputs.
    """

    def __init__(self, codec: JobCodec, request: DecodeRequest, force: bool = False) -> None:
        self._codec, self._request, self._force = codec, request, force

    def run(self, job: Job, progress: FileProgress) -> DecodeResult:
        """Decode a stream block by block. Raises SwcError."""
        began = time.perf_counter()
        request = self._request
        if request.preserve_time:
            check_times(job)
        with open_input(job.source) as file:
            decoder = self._codec.decoder(
                file,
                start=request.start,
                duration=request.duration,
                conceal=request.conceal,
                phase_iterations=request.phase_iterations,
            )
            decoded_rate, frames = decoder.sample_rate, decoder.frames
            rate = request.output_rate(job.output, decoded_rate)
            progress.start(job.source_name, None if frames is None else frames / decoded_rate)
            if request.conceal and decoder.reader.trailer is None:
                frames = None  # the end of the stream may be missing
            resampler = StreamResampler(decoded_rate, rate, decoder.channels)
            create_output_folder(job)
            with AudioWriter(
                job.output,
                rate,
                decoder.channels,
                subtype=request.subtype,
                format=request.format,
                frames=None if frames is None else resampled_length(frames, decoded_rate, rate),
                force=self._force or job.overwrite,
                tags=decoder.header.tags if request.copy_tags else (),
            ) as writer:
                for block in decoder.blocks():
                    writer.write(resampler.process(block))
                    progress.advance(len(block) / decoded_rate)
                writer.write(resampler.process(np.zeros((0, decoder.channels), np.float32), last=True))
        if request.preserve_time:
            copy_time(job)
        return DecodeResult(
            job,
            decoder.header,
            samples=writer.frames_written,
            sample_rate=rate,
            subtype=writer.format.subtype,
            clipped=writer.clipped,
            can_be_float=supports_float(writer.format.container),
            omitted_tags=writer.omitted_tags if request.copy_tags else (),
            concealed=tuple(decoder.damage),
            truncated=decoder.truncated,
            input_bytes=file_size(job.source),
            output_bytes=file_size(job.output),
            elapsed=time.perf_counter() - began,
        )

    def difference(self, job: Job) -> Difference | None:
        """How existing audio differs from what `run` would write, see `Worker`.

        Compares rate, channels and length, and the first, the middle and the last second of the audio.

        Raises:
            SwcError: the stream is damaged.
        """
        with open_input(job.source) as file:
            reader = StreamReader(file)
            header, total = reader.header, reader.total_samples
        expected_rate = self._request.output_rate(job.output, header.original_rate)
        length = None
        if total is not None:
            samples = self._request.samples_of(total, header.original_rate)
            length = resampled_length(samples, header.original_rate, expected_rate)
        try:
            with AudioReader(job.output) as audio:
                if (audio.sample_rate, audio.channels) != (expected_rate, header.channels) or (
                    length is not None and audio.frames != length
                ):
                    return Difference(f"contains other audio than {job.source}", was_edited(job))
                seconds = (audio.frames or 0) // expected_rate
                starts = sorted({0, seconds // 2, max(0, seconds - 1)})
                excerpts = _excerpts(audio, starts)
        except SwcError:
            return Difference("is not readable")
        for start, excerpt in zip(starts, excerpts, strict=True):
            if not _is_similar(excerpt, self._decoded_second(job, start, expected_rate)):
                text = f"contains other audio than {job.source}, or was decoded with other options"
                return Difference(text, was_edited(job))
        return None

    def _decoded_second(self, job: Job, start: int, rate: int) -> np.ndarray:
        """Decode the second of a stream that begins at `start` in the output. # (frames, channels)"""
        request = self._request
        with open_input(job.source) as file:
            decoder = self._codec.decoder(
                file,
                start=request.start + start,
                duration=1.0 if request.duration is None else min(1.0, max(0.0, request.duration - start)),
                conceal=request.conceal,
                phase_iterations=request.phase_iterations,
            )
            blocks = [np.zeros((0, decoder.channels), np.float32), *decoder.blocks()]
        return StreamResampler(decoder.sample_rate, rate, decoder.channels).process(
            np.concatenate(blocks), last=True
        )


def _excerpts(audio: AudioReader, starts: Sequence[int]) -> list[np.ndarray]:
    """The seconds of a file that begin at `starts`. # each (frames, channels)"""
    pieces: list[list[np.ndarray]] = [[np.zeros((0, audio.channels), np.float32)] for _ in starts]
    position = 0
    for block in audio.blocks():
        for start, parts in zip(starts, pieces, strict=True):
            first = start * audio.sample_rate - position
            parts.append(block[max(0, first) : max(0, first + audio.sample_rate)])
        position += len(block)
    return [np.concatenate(parts) for parts in pieces]


def _is_similar(existing: np.ndarray, expected: np.ndarray) -> bool:
    """Whether existing audio is the expected audio, coded by any format. # both (frames, channels)

    Half of the energy may differ, since lossy formats change the samples. The ends are not compared, since
    the expected audio is resampled without what is beside it.
    """
    margin = min(len(existing) // 50, len(expected) // 50)
    stop = min(len(existing), len(expected)) - margin
    existing, expected = existing[margin:stop], expected[margin:stop].clip(-1, 1)
    difference = np.square(existing - expected, dtype=np.float64).sum()
    limit = 0.5 * np.square(expected, dtype=np.float64).sum() + expected.size * _CODING_NOISE**2
    return bool(difference <= limit)


def existing_audio(job: Job) -> Outcome:
    """What a manifest says of decoded audio that exists. Raises SwcError."""
    with open_input(job.source) as file:
        header = StreamReader(file).header
    with AudioReader(job.output) as audio:
        frames = audio.frames
        samples = sum(len(block) for block in audio.blocks()) if frames is None else frames
        return _outcome(job, header, samples, audio.sample_rate, audio.channels, None)


def _outcome(
    job: Job, header: Header, samples: int, sample_rate: int, channels: int, elapsed: float | None
) -> Outcome:
    kbps = 8e-3 * (file_size(job.source) or 0) * sample_rate / samples if samples else None
    digest = f"file:{file_digest(job.source)}"
    return Outcome("decoded", digest, samples, sample_rate, channels, kbps, header.fingerprint.hex(), elapsed)
