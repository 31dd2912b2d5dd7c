"""Mel bands, for losses and searches that listen as ears do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# loudness grows with about this power of the sound pressure (Stevens' law is 0.6 of pressure, 0.3 of power;
# hearing models at the level of bands go lower)
LOUDNESS_EXPONENT = 0.3


def mel_filters(bands: int, window_length: int, sample_rate: int) -> Tensor:
    """Triangles of the Slaney mel scale that each sum to one: (bands, window_length / 2 + 1)."""
    top = torch.tensor(sample_rate / 2, dtype=torch.float64)

    def to_mel(f: Tensor) -> Tensor:
        return torch.where(f < 1000, f * 3 / 200, 15 + (f.clamp(min=1) / 1000).log() * 27 / math.log(6.4))

    def from_mel(m: Tensor) -> Tensor:
        return torch.where(m < 15, m * 200 / 3, 1000 * ((m - 15) * math.log(6.4) / 27).exp())

    edges = from_mel(torch.linspace(0, 1, bands + 2, dtype=torch.float64) * to_mel(top))
    frequency = torch.linspace(0, 1, window_length // 2 + 1, dtype=torch.float64) * top
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    total = triangles.sum(1, keepdim=True)
    # bands narrower than a bin take the bin nearest to their centre
    nearest = (frequency - edges[1:-1, None]).abs().argmin(1)
    narrow = nn.functional.one_hot(nearest, len(frequency)).double()
    return torch.where(total > 0, triangles / total.clamp(min=1e-9), narrow).float()


def band_of_bins(bins: int, sample_rate: int, edges: Sequence[float]) -> Tensor:
    """The band between the edges, in Hz, that each bin from 0 to half the rate is in: numbers (bins,)."""
    return torch.bucketize(torch.linspace(0, sample_rate / 2, bins), torch.tensor(edges), right=True)


def bin_weights(
    window_length: int, sample_rate: int, edges: Sequence[float], weights: Sequence[float]
) -> Tensor:
    """Weights of a spectrum's bins, (window_length / 2 + 1,): one for each band between the edges in Hz.

    Their mean is 1 / ln 10, so that they make decades of natural logarithms.
    """
    weight = torch.tensor(weights)[band_of_bins(window_length // 2 + 1, sample_rate, edges)]
    return weight / weight.mean() / math.log(10)
