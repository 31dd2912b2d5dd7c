"""The mel filter bank of losses, encoder search and metrics. Imports numpy only, not torch."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Loudness of a mel band is its magnitude to this power. Stevens' law has 0.6 of sound pressure for whole
# sounds; auditory models of single bands use lower exponents.
LOUDNESS_EXPONENT = 0.3

MEL_BANDS = (80, 160)  # of the perceptual distance, in two resolutions

# Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above
_BREAK_HZ = 1000.0
_BREAK_MEL = 15.0
_MEL_PER_NEPER = 27 / math.log(6.4)


def hertz_to_mel(hertz: float) -> float:
    """Slaney's mel scale: 15 mel per kHz up to 1 kHz, then 27 mel per factor of 6.4."""
    if hertz < _BREAK_HZ:
        return hertz * _BREAK_MEL / _BREAK_HZ
    return _BREAK_MEL + math.log(hertz / _BREAK_HZ) * _MEL_PER_NEPER


def mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `hertz_to_mel`, element by element."""
    linear = mel * _BREAK_HZ / _BREAK_MEL
    return np.where(mel < _BREAK_MEL, linear, _BREAK_HZ * np.exp((mel - _BREAK_MEL) / _MEL_PER_NEPER))


def mel_filter_bank(
    bands: int, window_length: int, sample_rate: int, norm: Literal["sum", "area"]
) -> NDArray[np.float32]:
    """Triangular filters evenly spaced on Slaney's mel scale from 0 Hz to half the sample rate.

    Args:
        bands: Number of filters.
        window_length: Length of the Fourier transform in samples.
        sample_rate: In Hz.
        norm: "sum": the weights of a filter sum to one, so that a band holds the mean of its bins; a filter
            too narrow to contain any bin takes the bin nearest to its centre. "area": triangles have an area
            of one over frequency in Hz, as in Slaney's toolbox and librosa; such a narrow filter is zero.

    Returns:
        Filters, (bands, window_length // 2 + 1).
    """
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(sample_rate / 2), bands + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequency = np.arange(window_length // 2 + 1) * sample_rate / window_length
    triangles = np.minimum((frequency - low) / (centre - low), (high - frequency) / (high - centre))
    filters = np.maximum(triangles, 0)
    if norm == "area":
        filters *= 2 / (high - low)
    else:
        empty = np.flatnonzero(filters.sum(1) < 1e-9)
        filters[empty, np.abs(frequency - centre[empty]).argmin(1)] = 1
        filters /= filters.sum(1, keepdims=True)
    return filters.astype(np.float32)
