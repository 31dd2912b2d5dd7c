"""What is played: audio from any position on, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..audio import AudioReader, StreamResampler, mix
from ..batch.codec import JobCodec
from ..batch.files import open_input
from ..bitstream import DamagedWindow

Samples = npt.NDArray[np.float32]

_RESAMPLER_CONTEXT = 8192  # samples after which a resampler no longer sees where its input began


class Source(Protocol):
    """Audio that can be read from any position."""

    def blocks(self, start: int) -> Iterator[Samples]:
        """Yield the audio from sample `start` to the end. # (n, channels). Raises SwcError."""


class StreamSource:
    """A `.swc` file.

    Args:
        codec: Decodes it.
        path: Of the file.
        sample_rate: The original rate of the stream, in Hz.
        conceal: Replace damaged windows by silence instead of raising an error.
        phase_iterations: Iterations of Griffin-Lim; None for the model's own number.

    Attributes:
        damage: Windows concealed, by their numbers; known when an iteration of `blocks` has ended.
        truncated: What is wrong at the end of the stream, where that was concealed.
    """

    def __init__(
        self,
        codec: JobCodec,
        path: str,
        sample_rate: int,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> None:
        self._codec, self._path, self._sample_rate = codec, path, sample_rate
        self._conceal, self._phase_iterations = conceal, phase_iterations
        self.damage: dict[int, DamagedWindow] = {}
        self.truncated: str | None = None

    def blocks(self, start: int) -> Iterator[Samples]:
        """See `Source`."""
        with open_input(self._path) as file:
            decoder = self._codec.decoder(
                file,
                start=start / self._sample_rate,
                conceal=self._conceal,
                phase_iterations=self._phase_iterations,
            )
            try:
                yield from decoder.blocks()
            finally:
                self.damage |= {window.index: window for window in decoder.damage}
                self.truncated = self.truncated or decoder.truncated


class AudioSource:
    """An audio file, with the rate and the channels of what it is compared with.

    Args:
        path: Of the file.
        sample_rate: To convert to, in Hz.
        channels: To mix to.
    """

    def __init__(self, path: str, sample_rate: int, channels: int) -> None:
        self._path, self._sample_rate, self._channels = path, sample_rate, channels

    def blocks(self, start: int) -> Iterator[Samples]:
        """See `Source`."""
        with AudioReader(self._path) as reader:
            common = gcd(reader.sample_rate, self._sample_rate)
            step_in, step_out = reader.sample_rate // common, self._sample_rate // common
            # resampling begins where samples of both rates coincide
            steps = max(0, start - _RESAMPLER_CONTEXT) // step_out
            resampler = StreamResampler(reader.sample_rate, self._sample_rate, self._channels)
            pieces = _resampled(_skip(reader.blocks(), steps * step_in), resampler)
            yield from _skip(pieces, start - steps * step_out)


def _resampled(blocks: Iterator[Samples], resampler: StreamResampler) -> Iterator[Samples]:
    for block in blocks:
        yield resampler.process(mix(block, resampler.channels))
    yield resampler.process(np.zeros((0, resampler.channels), np.float32), last=True)


def _skip(blocks: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """Blocks without their first frames."""
    for block in blocks:
        dropped = min(frames, len(block))
        frames -= dropped
        if dropped < len(block):
            yield block[dropped:]
