"""Modified discrete cosine transform (Princen, Johnson and Bradley 1987), its lowest bins only.

The coefficients of a signal x with hop H and a sine window of 2 H samples are

    X(f, b) = sqrt(2 / H) sum_n w(n) x(f H - H / 2 + n) cos(pi / H (n + 1/2 + H / 2) (b + 1/2)),

n = 0 ... 2 H - 1, w(n) = sin(pi (n + 1/2) / (2 H)): frame f is centred on samples f H ... (f + 1) H - 1.
Samples outside the signal are zeros. The transform is orthonormal, so the sum of squares of all coefficients
is that of the samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def mdct_basis(hop: int, bins: int) -> Tensor:
    """Windowed basis functions, one in each column. # (2 * hop, bins)"""
    n, b = torch.arange(2 * hop, dtype=torch.float64), torch.arange(bins, dtype=torch.float64)
    cosine = torch.cos(math.pi / hop * (n[:, None] + 0.5 + hop / 2) * (b + 0.5))
    window = torch.sin(math.pi * (n + 0.5) / (2 * hop))
    return (math.sqrt(2 / hop) * window[:, None] * cosine).float()


def mdct(audio: Tensor, basis: Tensor) -> Tensor:
    """Coefficients of audio.

    Args:
        audio: Whole frames of samples. # (B, T * hop)
        basis: Of `mdct_basis`. # (2 * hop, bins)

    Returns:
        Coefficients. # (B, T, bins)
    """
    hop = len(basis) // 2
    return F.pad(audio, (hop // 2, hop // 2)).unfold(-1, 2 * hop, hop) @ basis


def mdct_to_stft(hop: int, bins: int, window: Tensor, stft_hop: int, stft_bins: int) -> Tensor:
    """The linear map from MDCT coefficients to the short-time spectra of the signal that they stand for.

    The spectra of a latent frame depend on the coefficients of its own frame and of two to either side.

    Args:
        hop: Of the MDCT, a multiple of `stft_hop`.
        bins: Of the MDCT.
        window: Analysis window of the spectra, at most three hops of the MDCT long.
        stft_hop: Samples between spectra, which are centred on the middle of each hop.
        stft_bins: Lowest bins of the spectra to compute.

    Returns:
        The map of coefficients of frames f - 2 ... f + 2 to real and imaginary parts of the spectra of
        frame f. # (5 * bins, hop / stft_hop * stft_bins * 2)
    """
    basis = mdct_basis(hop, bins)
    signals = torch.zeros(5, bins, 6 * hop)  # from frame f - 5/2 on
    for place in range(5):
        signals[place, :, place * hop : (place + 2) * hop] = basis.mT
    signals = signals.flatten(0, 1)
    margin = (len(window) - stft_hop) // 2
    begin = 2 * hop + hop // 2 - margin  # of the window of the frame's first spectrum
    spectra = [
        torch.fft.rfft(signals[:, at : at + len(window)] * window)[:, :stft_bins]
        for at in range(begin, begin + hop, stft_hop)
    ]
    return torch.view_as_real(torch.stack(spectra, 1)).flatten(1)
