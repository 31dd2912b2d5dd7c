"""Which windows and samples a part of a recording needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from ..bitstream import StreamParameters
from ..errors import UsageError

RESAMPLER_CONTEXT = 8192  # samples after which the resampler's filter no longer sees where its input began


@dataclass(frozen=True)
class TimeRange:
    """A part of a recording, in samples per channel at the original rate.

    Attributes:
        first: First sample.
        stop: Sample behind the last one; None for the end of the recording.
    """

    first: int
    stop: int | None

    @classmethod
    def of(cls, start: float, duration: float | None, sample_rate: int) -> TimeRange:
        """The range from `start` for `duration` seconds.

        Raises:
            UsageError: A negative time.
        """
        if start < 0 or (duration is not None and duration < 0):
            raise UsageError("start and duration must not be negative")
        first = round(start * sample_rate)
        return cls(first, None if duration is None else first + round(duration * sample_rate))


@dataclass(frozen=True)
class DecodingRange:
    """What must be decoded for a range.

    Attributes:
        first_window: First window to decode.
        stop_window: Window behind the last one; None for the end.
        skip: Decoded samples, at the codec's rate, to drop before resampling.
        first_output: Number of the first resampled sample, at the original rate.
    """

    first_window: int
    stop_window: int | None
    skip: int
    first_output: int

    @classmethod
    def of(
        cls, time_range: TimeRange, parameters: StreamParameters, original_rate: int, context: int
    ) -> DecodingRange:
        """Plan the decoding of a range.

        Args:
            time_range: What is wanted.
            parameters: Of the stream.
            original_rate: In Hz.
            context: Latent frames to either side that can influence a frame's audio.
        """
        rate, hop, size = parameters.sample_rate, parameters.hop, parameters.frames_per_window
        margin = 0 if rate == original_rate else RESAMPLER_CONTEXT
        # resampling begins where samples of both rates coincide
        codec_step = rate // gcd(rate, original_rate)
        original_step = original_rate // gcd(rate, original_rate)
        begin = max(0, time_range.first * rate // original_rate - margin)
        begin = begin // codec_step * codec_step
        first_window = max(0, (begin // hop - context) // size)
        stop_window = None
        if time_range.stop is not None:
            end = -(-time_range.stop * rate // original_rate) + margin
            stop_window = (-(-end // hop) + context) // size + 1
        skip = begin - first_window * size * hop
        return cls(first_window, stop_window, skip, begin // codec_step * original_step)
