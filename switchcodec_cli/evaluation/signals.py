"""The signals that metrics compare."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

Signal = NDArray[np.float64]  # mono, (n,)
Channels = NDArray[np.float64]  # left and right, (n, 2)
Value = TypeVar("Value")

SAMPLE_RATE = 44100  # Hz, at which signals are compared
SPEECH_RATE = 16000  # Hz, of the metrics for speech

_MAX_CLIP_SECONDS = 60  # metrics for short clips score longer signals in parts
_REMEMBERED = 8  # signals whose analysis is kept


class SignalPair:
    """An original and the decoded signal.

    Args:
        reference, decoded: At 44.1 kHz, of the same length, not empty.
        channels: Left and right of both, likewise, if they are stereo.
        transcript: What is said in the original, if that is known.
    """

    def __init__(
        self,
        reference: Signal,
        decoded: Signal,
        channels: tuple[Channels, Channels] | None = None,
        transcript: str | None = None,
    ) -> None:
        self.reference, self.decoded = reference, decoded
        self.channels, self.transcript = channels, transcript
        self._resampled: dict[int, tuple[Signal, Signal]] = {}
        self._values: dict[Callable[[SignalPair], Any], Any] = {}

    def at(self, sample_rate: int) -> tuple[Signal, Signal]:
        """Both signals at another sample rate."""
        if sample_rate not in self._resampled:
            self._resampled[sample_rate] = (
                resample(self.reference, SAMPLE_RATE, sample_rate),
                resample(self.decoded, SAMPLE_RATE, sample_rate),
            )
        return self._resampled[sample_rate]

    def cached(self, analyse: Callable[[SignalPair], Value]) -> Value:
        """`analyse(self)`, computed once for all the metrics that share it."""
        if analyse not in self._values:
            self._values[analyse] = analyse(self)
        value: Value = self._values[analyse]
        return value


def remember(analyse: Callable[[Signal], Value]) -> Callable[[Signal], Value]:
    """Keep the results of an analysis for the last signals, found by their samples.

    An original is compared with what is decoded at several rates; it need not be analysed again for each.
    """
    results: OrderedDict[bytes, Value] = OrderedDict()

    @wraps(analyse)
    def remembered(signal: Signal) -> Value:
        key = hashlib.sha256(np.ascontiguousarray(signal).tobytes()).digest()
        if key not in results:
            results[key] = analyse(signal)
        results.move_to_end(key)
        while len(results) > _REMEMBERED:
            results.popitem(last=False)
        return results[key]

    return remembered


def clips(signal: Signal, sample_rate: int) -> list[Signal]:
    """Equal parts of at most a minute."""
    count = max(1, math.ceil(len(signal) / (_MAX_CLIP_SECONDS * sample_rate)))
    return np.array_split(signal, count)


def mean_of_clips(
    score: Callable[[Signal, Signal], float], reference: Signal, decoded: Signal, sample_rate: int
) -> float:
    """Mean score of those equal parts of at most a minute that have one."""
    pairs = zip(clips(reference, sample_rate), clips(decoded, sample_rate), strict=True)
    return mean_of_known([score(*pair) for pair in pairs])


def mean_of_known(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; not-a-number if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def to_mono(signal: ArrayLike, sample_rate: int) -> Signal:
    """A signal (n,) or (n, channels) in mono at 44.1 kHz."""
    mono = np.asarray(signal, np.float64)
    if mono.ndim == 2:
        mono = mono.mean(axis=1)
    return resample(mono, sample_rate, SAMPLE_RATE)


def to_channels(signal: ArrayLike, sample_rate: int) -> Channels | None:
    """A signal (n, 2) at 44.1 kHz; None if it does not have two channels."""
    channels = np.asarray(signal, np.float64)
    if channels.ndim != 2 or channels.shape[1] != 2:
        return None
    return resample(channels, sample_rate, SAMPLE_RATE)


def resample(signal: Signal, sample_rate: int, new_rate: int) -> Signal:
    """A signal (n,) or (n, channels) at another sample rate."""
    if sample_rate == new_rate or not len(signal):
        return signal
    resampled: Signal = soxr.resample(signal, sample_rate, new_rate, quality="VHQ")
    return resampled
