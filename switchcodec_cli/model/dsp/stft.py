"""Magnitudes of the short-time Fourier transform, and their standardised logarithms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MagnitudeSTFT(nn.Module):
    """Magnitude of the short-time Fourier transform with a Hann window.

    Frames are `hop_length` samples apart and centred on the middle of each hop.

    Args:
        window_length: Samples of the analysis window and of the transform.
        hop_length: Samples between frames.
    """

    window: Tensor

    def __init__(self, window_length: int, hop_length: int) -> None:
        super().__init__()
        self.window_length, self.hop_length = window_length, hop_length
        self.bins = window_length // 2 + 1
        self.register_buffer("window", torch.empty(window_length), persistent=False)
        if self.window.device.type != "meta":  # there, torch would import its compiler, which takes a second
            self.reset_window()

    def reset_window(self) -> None:
        """Compute the analysis window, which is not stored with the weights."""
        self.window = torch.hann_window(self.window_length, device=self.window.device)

    @property
    def margin(self) -> int:
        """Samples by which the first and the last frame reach beyond the signal."""
        return (self.window_length - self.hop_length) // 2

    def magnitude(self, audio: Tensor) -> Tensor:
        """Audio (B, L), L a multiple of the hop length, to magnitudes (B, L / hop_length, bins)."""
        padded = F.pad(audio, (self.margin, self.margin))
        frames = padded.unfold(-1, self.window_length, self.hop_length) * self.window
        magnitude: Tensor = torch.fft.rfft(frames).abs()
        return magnitude


class LogMagnitudeSTFT(MagnitudeSTFT):
    """Log-magnitudes with zero mean and unit deviation in every bin.

    Args:
        window_length: Samples of the analysis window and of the transform.
        hop_length: Samples between frames.
        floor: Smallest magnitude that is told from silence.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, window_length: int, hop_length: int, floor: float) -> None:
        super().__init__(window_length, hop_length)
        self.floor = floor
        self.register_buffer("mean", torch.zeros(self.bins))
        self.register_buffer("deviation", torch.ones(self.bins))

    def standardise(self, magnitude: Tensor) -> Tensor:
        """Magnitudes to standardised log-magnitudes, same shape."""
        return (magnitude.clamp(min=self.floor).log() - self.mean) / self.deviation

    def restore(self, standardised: Tensor) -> Tensor:
        """Standardised log-magnitudes to log-magnitudes; inverse of `standardise` above the floor."""
        return standardised * self.deviation + self.mean
