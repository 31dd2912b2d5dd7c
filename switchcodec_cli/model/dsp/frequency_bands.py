"""Division of a spectrum's bins into frequency bands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def band_of_bins(bins: int, sample_rate: int, edges: Sequence[float]) -> Tensor:
    """Number of the frequency band that each bin lies in.

    Args:
        bins: Number of bins, evenly spaced from 0 Hz to half the sample rate.
        sample_rate: In Hz.
        edges: Frequencies between the bands in Hz, ascending; a bin on an edge belongs to the band above.

    Returns:
        Values 0 ... len(edges), (bins,).
    """
    return torch.bucketize(torch.linspace(0, sample_rate / 2, bins), torch.tensor(edges), right=True)


def bin_weights(
    window_length: int, sample_rate: int, edges: Sequence[float], weights: Sequence[float]
) -> Tensor:
    """Weights of bins for differences of natural logarithms, from one weight per frequency band.

    Args:
        window_length: Length of the Fourier transform in samples.
        sample_rate: In Hz.
        edges: As in `band_of_bins`.
        weights: One per band, len(edges) + 1 in all; only their ratios matter.

    Returns:
        Weights whose mean is 1 / ln 10, which converts to differences of log10, (window_length // 2 + 1,).
    """
    weight = torch.tensor(weights)[band_of_bins(window_length // 2 + 1, sample_rate, edges)]
    return weight / weight.mean() / math.log(10)
