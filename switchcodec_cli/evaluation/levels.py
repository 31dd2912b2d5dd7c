"""Metrics of levels: overall, of peaks, in octaves, and between the channels of stereo."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .signals import SAMPLE_RATE, Channels, Signal, SignalPair, mean_of_known

Array = NDArray[np.float64]

OCTAVES = (63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)  # Hz, nominal centres of IEC 61260-1
STEREO_EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12800)  # Hz, between the bands of stereo

_AUDIBLE = -60.0  # dB below the loudest band; what the original has below is not compared
_LIMIT = 100.0  # dB, of changes of level
_LIMIT_BETWEEN_CHANNELS = 30.0  # dB
_OCTAVE_WINDOW = 8192  # samples
_STEREO_WINDOW = 2048
_STEREO_BLOCK = 16  # frames in a block, 0.2 s
_FRAMES_AT_ONCE = 512  # bounds the memory for long signals


def level(pair: SignalPair) -> float:
    """Change of level in dB: power of the decoded signal over that of the original.

    Tones and clicks that a codec makes too faint have negative values.

    Range: -100 to 100, limited there; 0 is best. Not-a-number if the original is silent.
    Source: tests/edges measures tones and clicks in this way.
    """
    return _change(_power(pair.reference), _power(pair.decoded))


def peak(pair: SignalPair) -> float:
    """Change of the peak in dB: largest magnitude of the decoded samples over that of the original.

    Range: -100 to 100, limited there; 0 is best. Not-a-number if the original is silent.
    Source: tests/edges measures clicks in this way.
    """
    before, after = (float(np.abs(signal).max()) for signal in (pair.reference, pair.decoded))
    return _change(before**2, after**2)


def octaves(pair: SignalPair) -> float:
    """Mean over octaves of the magnitude of the change of level, in dB.

    The octaves have the centres 1000 Hz · 2^n, from 62.5 Hz to 16 kHz. Power is summed over the whole signal
    (Welch's method, Hann windows of 8192 samples that overlap by half). Octaves of the original that are
    more than 60 dB below its loudest one are left out.

    Range: 0 to 100; lower is better. Not-a-number if the original is silent.
    Source: bands of IEC 61260-1 with ideal edges; Welch 1967.
    """
    return mean_of_known([abs(change) for change in pair.cached(_octave_changes)])


def octave_metric(index: int) -> Callable[[SignalPair], float]:
    """The metric for one of `OCTAVES`, by its number."""

    def octave(pair: SignalPair) -> float:
        """Change of level of one octave in dB; see `octaves`.

        Range: -100 to 100; 0 is best. Not-a-number if the octave is inaudible in the original.
        Source: as for `octaves`.
        """
        return pair.cached(_octave_changes)[index]

    return octave


def level_between_channels(pair: SignalPair) -> float:
    """Mean magnitude of the change of the level difference between the channels, in dB.

    Levels of left and right are taken in blocks of 0.2 s (sixteen Hann windows of 2048 samples that overlap
    by three quarters) and in octaves from 100 Hz to 12.8 kHz; differences are limited to 30 dB. Blocks and
    bands of the original more than 60 dB below its loudest ones are left out.

    Range: 0 to 60; lower is better. Not-a-number for mono and silence.
    Source: the cue ICLD of binaural cue coding (Faller and Baumgarte 2003), in octaves.
    """
    before, after = pair.cached(_stereo_cues) or (None, None)
    if before is None or after is None:
        return math.nan
    change = np.abs(after.level_difference - before.level_difference)
    return _mean_where(change, before.audible)


def coherence(pair: SignalPair) -> float:
    """Mean magnitude of the change of the coherence between the channels.

    Coherence is the magnitude of the normalised cross-spectrum, 0 for independent channels and 1 for channels
    that differ by a level only; blocks and bands as for the level difference. What is inaudible or
    more than 30 dB apart in the original is left out.

    Range: 0 to 1; lower is better. Not-a-number for mono, silence, and sounds in one channel only.
    Source: the cue ICC of binaural cue coding (Faller and Baumgarte 2003), in octaves.
    """
    before, after = pair.cached(_stereo_cues) or (None, None)
    if before is None or after is None:
        return math.nan
    in_both = before.audible & (np.abs(before.level_difference) < _LIMIT_BETWEEN_CHANNELS)
    return _mean_where(np.abs(after.coherence - before.coherence), in_both)


@dataclass(frozen=True)
class _StereoCues:
    """What places sounds between the channels, (blocks, bands) each."""

    level_difference: Array  # dB
    coherence: Array
    audible: NDArray[np.bool_]


def _power(signal: Signal) -> float:
    return float(np.square(signal).mean())


def _change(before: float, after: float) -> float:
    """Change of a power in dB, limited; not-a-number if there was none."""
    if before <= 0:
        return math.nan
    return max(-_LIMIT, min(_LIMIT, 10 * math.log10(max(after / before, 1e-30))))


def _octave_changes(pair: SignalPair) -> list[float]:
    """Change of level in dB in each of `OCTAVES`."""
    before, after = _octave_powers(pair.reference), _octave_powers(pair.decoded)
    floor = 10 ** (_AUDIBLE / 10) * before.max()
    return [
        _change(*powers) if powers[0] > floor else math.nan
        for powers in zip(before.tolist(), after.tolist(), strict=True)
    ]


def _octave_powers(signal: Signal) -> Array:
    """Power of each of `OCTAVES`, (octaves,)."""
    edges = [1000 * 2 ** (number - 4.5) for number in range(len(OCTAVES) + 1)]
    power = sum(
        (np.square(np.abs(spectra)).sum(axis=0) for spectra in _spectra(signal, _OCTAVE_WINDOW, 2)),
        np.zeros(_OCTAVE_WINDOW // 2 + 1),
    )
    octaves: Array = power @ _band_matrix(_OCTAVE_WINDOW, edges)
    return octaves


def _stereo_cues(pair: SignalPair) -> tuple[_StereoCues, _StereoCues] | None:
    """Cues of the original and of the decoded signal; None for mono."""
    return None if pair.channels is None else (_cues(pair.channels[0]), _cues(pair.channels[1]))


def _cues(channels: Channels) -> _StereoCues:
    bands = _band_matrix(_STEREO_WINDOW, STEREO_EDGES)
    blocks = [
        np.stack(
            [np.square(np.abs(left)) @ bands, np.square(np.abs(right)) @ bands, (left * right.conj()) @ bands]
        )
        for left, right in zip(
            _spectra(channels[:, 0], _STEREO_WINDOW, 4),
            _spectra(channels[:, 1], _STEREO_WINDOW, 4),
            strict=True,
        )
    ]
    frames = np.concatenate(blocks, axis=1)  # (3, frames, bands)
    starts = np.arange(0, frames.shape[1], _STEREO_BLOCK)
    left, right, cross = np.add.reduceat(frames, starts, axis=1)  # (blocks, bands) each
    left, right = left.real, right.real
    louder = np.maximum(left, right)
    audible = louder > 10 ** (_AUDIBLE / 10) * louder.max()
    limit = _LIMIT_BETWEEN_CHANNELS
    difference = 10 * (np.log10(left + 1e-30) - np.log10(right + 1e-30))
    coherence = np.abs(cross) / np.sqrt(np.maximum(left * right, 1e-60))
    return _StereoCues(difference.clip(-limit, limit), coherence, audible)


def _spectra(signal: Signal, window_length: int, overlap: int) -> Iterator[NDArray[np.complex128]]:
    """Spectra of frames under Hann windows a part of a window apart, in pieces, (frames, bins)."""
    step = window_length // overlap
    # long signals are not padded: edges beside zeros would have energy at all frequencies
    missing = max(0, window_length - len(signal))
    padded = np.pad(signal, (missing // 2, missing - missing // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_length)[::step]
    window = np.hanning(window_length + 1)[:-1]
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        yield np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=1)


def _band_matrix(window_length: int, edges: Sequence[float]) -> Array:
    """Which bins of a transform are in the bands between edges in Hz, (bins, bands)."""
    number = np.digitize(np.fft.rfftfreq(window_length, 1 / SAMPLE_RATE), edges)
    matrix: Array = (number[:, None] == np.arange(1, len(edges))).astype(np.float64)
    return matrix


def _mean_where(values: Array, chosen: NDArray[np.bool_]) -> float:
    return float(values[chosen].mean()) if chosen.any() else math.nan
