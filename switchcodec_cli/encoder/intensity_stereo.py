"""Intensity stereo: windows in which one channel is the other at other levels, as if panned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream import LEVEL_BITS, LEVEL_EDGES, LEVEL_STEP, LEVEL_UNITY, level_gains
from ..model.backbones import Backbone
from ..model.dsp.frequency_bands import band_of_bins

FloatArray = npt.NDArray[np.float64]

MAX_LEVEL = (1 << LEVEL_BITS) - 1
SOURCE_RATIO = 2.0  # the second signal is the source if its energy exceeds the first one's this many times

# A difference is inaudible if its energy in a band is at most the sum of these:
RESIDUAL = 10 ** (-18 / 10)  # of the band's energy in the frame
MASKED = 10 ** (-40 / 10)  # of the frame's energy in all bands
MASKED_BY_PEAK = 10 ** (-45 / 10)  # of the energy of the loudest frame in the window
INAUDIBLE = 0.01**2  # for each bin


class IntensityStereo:
    """Detects windows that intensity stereo can represent, and finds their levels.

    Args:
        backbone: Its transform is used.
        sample_rate: Of the audio, in Hz.
    """

    def __init__(self, backbone: Backbone, sample_rate: int) -> None:
        self._backbone = backbone
        stft = backbone.stft
        band = band_of_bins(stft.bins, sample_rate, LEVEL_EDGES).to(stft.window.device)
        self._bands = torch.nn.functional.one_hot(band, len(LEVEL_EDGES) + 1).float()  # (bins, bands)

    def _energy(self, magnitude: Tensor) -> FloatArray:
        """Energy of magnitudes (B, T, n, bins) by latent frame and band. # (B, T, bands)"""
        energy: FloatArray = (magnitude.square().sum(2) @ self._bands).double().cpu().numpy()
        return energy

    def __call__(
        self, audio: npt.NDArray[np.float32], magnitude: Tensor, starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Analyse a pair of signals.

        Args:
            audio: In latent frames. # (2, T, hop)
            magnitude: Of the audio. # (2, T, n, bins)
            starts: Latent frames at which the windows start. # (W,)

        Returns:
            For each signal whether it is the other one at other levels (2, W) bool, and these levels
            (W, bands).
        """
        both = torch.from_numpy(audio.sum(0, keepdims=True)).to(magnitude.device)
        energy = self._energy(magnitude)  # (2, T, bands)
        cross = (self._energy(self._backbone.stft_magnitude(both))[0] - energy.sum(0)) / 2
        lengths = np.diff([*starts, audio.shape[1]])

        def window_sums(values: FloatArray) -> FloatArray:
            sums: FloatArray = np.add.reduceat(values, starts, 0)
            return sums

        whole = energy.sum(2)  # (2, T)
        derived = (window_sums(whole[1]) <= SOURCE_RATIO * window_sums(whole[0])).astype(int)  # signal, (W,)
        derived_frames = np.repeat(derived, lengths)  # (T,)
        frames = np.arange(audio.shape[1])
        source, wanted = energy[1 - derived_frames, frames], energy[derived_frames, frames]  # (T, bands)
        # the gain of least squared error, never negative
        gain = np.maximum(window_sums(cross), 0) / np.maximum(window_sums(source), 1e-12)  # (W, bands)
        level = np.round(LEVEL_UNITY + 20 / LEVEL_STEP * np.log10(np.maximum(gain, 1e-9)))
        levels = np.clip(level, 0, MAX_LEVEL).astype(int)
        frame_gain = np.repeat(np.minimum(gain, max(level_gains([MAX_LEVEL]))), lengths, 0)
        residual = wanted + frame_gain**2 * source - 2 * frame_gain * cross
        total = whole.sum(0)
        peak = np.repeat(np.maximum.reduceat(total, starts), lengths)
        floor = MASKED * total + MASKED_BY_PEAK * peak
        inaudible = INAUDIBLE * self._bands.sum(0).double().cpu().numpy()
        close = (residual <= RESIDUAL * wanted + floor[:, None] + inaudible).all(1)  # (T,)
        fits = np.logical_and.reduceat(close, starts)
        return np.stack([fits & (derived == 0), fits & (derived == 1)]), levels
