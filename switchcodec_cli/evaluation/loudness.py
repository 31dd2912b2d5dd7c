"""Loudness of a programme."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_BLOCK_SECONDS, _OVERLAP = 0.4, 4  # of gating blocks, which begin at every quarter of a block
_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = -10.0  # LU below the mean of the blocks above the absolute gate
_OFFSET = -0.691  # dB; makes a sine of 997 Hz and full scale in one channel -3.01 LUFS


def loudness(audio: npt.NDArray[np.floating], sample_rate: int) -> float:
    """Integrated loudness in LUFS; minus infinity for audio that is silent or shorter than 0.4 s.

    The K-weighting is applied as a response of magnitudes, so that it holds for every sample rate.

    Args:
        audio: Samples of full scale 1. # (n, channels)
        sample_rate: In Hz.

    Source: ITU-R BS.1770-4, with all channels weighted by 1, as left, right and centre are.
    """
    block = round(_BLOCK_SECONDS * sample_rate)
    if len(audio) < block:
        return -math.inf
    spectrum = np.fft.rfft(audio, axis=0)
    weights = _k_weighting(np.fft.rfftfreq(len(audio), 1 / sample_rate))
    weighted = np.fft.irfft(spectrum * weights[:, None], len(audio), axis=0)
    power = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(axis=1))])
    starts = np.arange(0, len(audio) - block + 1, block // _OVERLAP)
    blocks = np.maximum(power[starts + block] - power[starts], 0) / block
    loud = blocks[_decibels(blocks) > _ABSOLUTE_GATE]
    if not len(loud):
        return -math.inf
    gate = _decibels(loud.mean(keepdims=True)) + _RELATIVE_GATE
    return float(_decibels(loud[_decibels(loud) > gate].mean(keepdims=True))[0])


def _decibels(power: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    decibels: npt.NDArray[np.floating] = _OFFSET + 10 * np.log10(np.maximum(power, 1e-20))
    return decibels


def _k_weighting(frequencies: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Magnitudes of the two filters of the recommendation, from their coefficients at 48 kHz."""
    z = np.exp(-2j * np.pi * np.minimum(frequencies, 24000) / 48000)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    magnitudes: npt.NDArray[np.floating] = np.abs(shelf * high_pass)
    return magnitudes
