"""Phases of the low band from a coded waveform.

A waveform layer holds MDCT coefficients of the lowest bins. The spectra of that waveform have phases, which
Griffin-Lim then takes as given, and magnitudes, which are noisier than the decoded ones and correct these a
little. Both shares below were tuned by PESQ and mel distance on unseen recordings.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .griffin_lim import join_targets
from .mdct import mdct_to_stft

LEAST_SHARE = 0.3  # of the decoded magnitude; where the waveform has less, its phase is not trusted
MAGNITUDE_SHARE = 0.5  # of the waveform in the geometric mean of both magnitudes
_REACH = 2  # latent frames to either side whose coefficients a spectrum depends on


class LowBand:
    """Turns coefficients and decoded magnitudes into targets of Griffin-Lim.

    Args:
        bins: Of the MDCT, whose frames are the latent frames.
        hop: Samples per latent frame.
        window: Analysis window of the spectra.
        stft_hop: Samples between spectra.
    """

    def __init__(self, bins: int, hop: int, window: Tensor, stft_hop: int) -> None:
        self.bins = bins
        # bins of the spectra are as far apart as those of the MDCT if their window is as long as its own
        self._known = min(bins * len(window) // (2 * hop), len(window) // 2 + 1)
        self._map = mdct_to_stft(hop, bins, window.cpu(), stft_hop, self._known).to(window.device)

    def spectra(self, coefficients: Tensor) -> Tensor:
        """Low bins of the spectra of the waveform, (B, T, bins) -> complex (B, T, n, known)."""
        padded = F.pad(coefficients, (0, 0, _REACH, _REACH))
        frames = padded.unfold(1, 2 * _REACH + 1, 1).mT.flatten(2)  # (B, T, 5 * bins)
        parts = (frames @ self._map).unflatten(-1, (-1, self._known, 2))
        return torch.view_as_complex(parts)

    def targets(self, magnitude: Tensor, spectra: Tensor) -> Tensor:
        """What Griffin-Lim is to reach, from magnitudes (B, T, n, stft bins) and the low band's spectra."""
        low, size = magnitude[..., : self._known], spectra.abs()
        trusted = size > LEAST_SHARE * low
        corrected = low ** (1 - MAGNITUDE_SHARE) * size**MAGNITUDE_SHARE
        known = torch.where(trusted, spectra * (corrected / size.clamp(min=1e-12)), torch.zeros_like(spectra))
        corrected = torch.where(trusted, corrected, low)
        return join_targets(torch.cat([corrected, magnitude[..., self._known :]], -1), known)
