"""Exact digital silence in silent blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FADE = 256  # samples of a fade-out at the start of a silent block that follows an audible one

FloatArray = npt.NDArray[np.float32]


class SilenceGate:
    """Sets silent blocks to zero, after a short fade-out.

    Args:
        hop: Samples per latent frame.
        signals: Number of signals.
    """

    def __init__(self, hop: int, signals: int) -> None:
        self._hop = hop
        self._gains = np.ones((signals, 0), np.float32)  # of samples that have not passed yet
        self._audible = np.zeros(signals, bool)  # whether the last block was audible

    def add(self, audible: npt.NDArray[np.bool_], frames: int) -> None:
        """Take note of the next window: which signals (signals,) are audible in its latent frames."""
        gains = np.repeat(audible[:, None].astype(np.float32), frames * self._hop, 1)
        fade = np.linspace(1, 0, min(FADE, gains.shape[1]), dtype=np.float32)
        gains[self._audible & ~audible, : len(fade)] = fade
        self._audible = audible
        self._gains = np.concatenate([self._gains, gains], 1)

    def apply(self, audio: FloatArray) -> FloatArray:
        """Process the next samples (signals, n)."""
        length = audio.shape[1]
        gains, self._gains = self._gains[:, :length], self._gains[:, length:]
        return audio if gains.all() else audio * gains
