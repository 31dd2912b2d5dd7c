"""Windows in which one channel is the other one at other levels, as in recordings that are hardly stereo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..bitstream import LEVEL_BITS, LEVEL_EDGES, LEVEL_STEP, LEVEL_UNITY, level_gains
from ..model.dsp.frequency_bands import band_of_bins
from ..perceptual.distance import PerceptualDistance

LOUDER = 2.0  # the second signal is the one to start from where its energy is so many times the first one's
RESIDUAL = 10 ** (-18 / 10)  # of a band's energy, that may be left in a frame
MASKED = 10 ** (-40 / 10)  # of the energy of the frame in all bands,
HUSHED = 10 ** (-45 / 10)  # and of the loudest frame in the window: a residual that nobody hears
INAUDIBLE = 0.01**2  # likewise, of a bin


class IntensityStereo:
    """Finds the levels that make one signal of the other, and whether they do."""

    def __init__(self, likeness: PerceptualDistance):
        self.likeness = likeness
        bins = likeness.filters.shape[0]
        band = band_of_bins(bins, likeness.model.config.sample_rate, LEVEL_EDGES).to(likeness.filters.device)
        self.inside = torch.nn.functional.one_hot(band, len(LEVEL_EDGES) + 1).float()  # (bins, bands)

    def _energy(self, magnitude: Tensor) -> np.ndarray:
        """Energy of magnitudes (B, T, n, bins) by frame and band, (B, T, bands)."""
        return (magnitude.square().sum(2) @ self.inside).double().cpu().numpy()

    def __call__(
        self, audio: np.ndarray, magnitude: Tensor, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """audio (2, T, hop), its magnitudes (2, T, n, bins), frames at which windows start (W,).

        Returns which signal, if any, is a panned version of the other one, (2, W) bool, and its levels
        (W, bands).
        """
        both = torch.from_numpy(audio.sum(0, keepdims=True)).to(magnitude.device)
        energy = self._energy(magnitude)  # (2, T, bands)
        cross = (self._energy(self.likeness.magnitude(both))[0] - energy.sum(0)) / 2
        lengths = np.diff([*starts, audio.shape[1]])

        def in_windows(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values, starts, 0)

        whole = energy.sum(2)  # (2, T)
        derived = (in_windows(whole[1]) <= LOUDER * in_windows(whole[0])).astype(int)  # (W,)
        choice = np.repeat(derived, lengths)  # (T,)
        frames = np.arange(audio.shape[1])
        source, target = energy[1 - choice, frames], energy[choice, frames]  # (T, bands)
        gain = np.maximum(in_windows(cross), 0) / np.maximum(in_windows(source), 1e-12)  # (W, bands)
        level = np.round(LEVEL_UNITY + 20 / LEVEL_STEP * np.log10(np.maximum(gain, 1e-9)))
        level = np.clip(level, 0, (1 << LEVEL_BITS) - 1).astype(int)
        loudest = max(level_gains([(1 << LEVEL_BITS) - 1]))
        by_frame = np.repeat(np.minimum(gain, loudest), lengths, 0)
        residual = target + by_frame**2 * source - 2 * by_frame * cross
        total = whole.sum(0)
        peak = np.repeat(np.maximum.reduceat(total, starts), lengths)
        floor = MASKED * total + HUSHED * peak
        unheard = INAUDIBLE * self.inside.sum(0).double().cpu().numpy()
        close = (residual <= RESIDUAL * target + floor[:, None] + unheard).all(1)  # (T,)
        fits = np.logical_and.reduceat(close, starts)
        return np.stack([fits & (derived == 0), fits & (derived == 1)]), level
