"""Reconstruction losses on log-magnitudes and on waveforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..model.backbones.spectral import MAX_LOG_MAGNITUDE
from ..model.dsp.frequency_bands import bin_weights
from ..model.dsp.mel import LOUDNESS_EXPONENT, mel_filter_bank
from .config import LossConfig

# (window length in samples, mel bands); those of DAC (Kumar et al. 2023)
DAC_SCALES = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))


class SpectralLoss(nn.Module):
    """Distance of log-magnitude spectra: of mel bands, and of single bins.

    Args:
        config: Numbers of mel bands, and the weights of squares and of frequency bands.
        window_length: Length of the Fourier transform in samples.
        sample_rate: In Hz.
        floor: Least magnitude; below it there is no difference.
    """

    filters: Tensor
    weights: Tensor

    def __init__(self, config: LossConfig, window_length: int, sample_rate: int, floor: float):
        super().__init__()
        self.floor, self.squared_weight = floor, config.squared_weight
        self.band_counts = list(config.mel_bands)
        banks = [mel_filter_bank(bands, window_length, sample_rate, "sum") for bands in config.mel_bands]
        self.register_buffer("filters", torch.from_numpy(np.concatenate(banks)), persistent=False)
        weights = bin_weights(window_length, sample_rate, config.bin_edges, config.bin_band_weights)
        self.register_buffer("weights", weights, persistent=False)

    def log_mel(self, magnitude: Tensor) -> Tensor:
        """log10 of mel bands of all resolutions side by side, (B, T, bins) -> (B, T, bands)."""
        # half precision costs 0.002 in the logarithm and saves a tenth of a step
        with torch.autocast(magnitude.device.type, torch.bfloat16):
            bands = magnitude @ self.filters.mT
        return bands.float().clamp(min=self.floor).log10()

    def forward(self, predicted: Tensor, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """Compare predicted log-magnitudes (natural) to magnitudes, both (B, T, bins).

        Returns:
            Mel term: the mean over resolutions of the mean difference of log10, plus `squared_weight` times
            its square. Bin term: the mean weighted difference of single bins, in units of log10.
        """
        limited = predicted.clamp(max=MAX_LOG_MAGNITUDE)
        difference = (self.log_mel(limited.exp()) - self.log_mel(magnitude)).abs()
        if self.squared_weight:
            difference = difference + self.squared_weight * difference.square()
        mel = torch.stack([part.mean() for part in difference.split(self.band_counts, -1)]).mean()
        bins = (predicted - magnitude.clamp(min=self.floor).log()).abs().mean((0, 1)) * self.weights
        return mel, bins.mean()


class MelScale(nn.Module):
    """Mel magnitudes of a waveform in one resolution.

    Args:
        window_length: Hann window in samples; frames are a quarter of it apart.
        bands: Number of mel bands.
        sample_rate: In Hz.
        floor: Least magnitude of a band.
    """

    filters: Tensor  # (bins, bands)
    window: Tensor

    def __init__(self, window_length: int, bands: int, sample_rate: int, floor: float):
        super().__init__()
        self.window_length, self.floor = window_length, floor
        filters = torch.from_numpy(mel_filter_bank(bands, window_length, sample_rate, "sum"))
        self.register_buffer("filters", filters.mT.contiguous(), persistent=False)
        self.register_buffer("window", torch.hann_window(window_length), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, L) -> mel magnitudes (B, frames, bands)."""
        frames = audio.unfold(-1, self.window_length, self.window_length // 4) * self.window
        magnitude = torch.fft.rfft(frames).abs()
        with torch.autocast(audio.device.type, torch.bfloat16):
            bands: Tensor = magnitude @ self.filters
        return bands.float().clamp(min=self.floor)


class MultiScaleMelLoss(nn.Module):
    """Distance of waveforms: the mean over scales of the L1 distance of log10 mel magnitudes.

    Logarithms weight quiet and loud parts alike. `loudness_weight` and `linear_weight` add the L1 distance of
    the bands' loudness and of their magnitudes, in which the loud parts dominate as they do for listeners.

    Args:
        sample_rate: In Hz.
        scales: Window lengths and numbers of mel bands.
        floor: Least magnitude of a band.
        loudness_weight: Of the distance of loudness, relative to the logarithms.
        linear_weight: Of the distance of magnitudes, likewise.
    """

    def __init__(
        self,
        sample_rate: int,
        scales: Sequence[tuple[int, int]] = DAC_SCALES,
        floor: float = 1e-4,
        loudness_weight: float = 0.0,
        linear_weight: float = 0.0,
    ):
        super().__init__()
        self.loudness_weight, self.linear_weight = loudness_weight, linear_weight
        self.scales = nn.ModuleList(MelScale(*scale, sample_rate, floor) for scale in scales)

    def forward(self, predicted: Tensor, audio: Tensor) -> Tensor:
        """Distance of two waveforms, both (B, L)."""
        total = audio.new_zeros(())
        for scale in self.scales:
            with torch.no_grad():
                target = scale(audio)
            total = total + self.distance(scale(predicted), target)
        return total / len(self.scales)

    def distance(self, bands: Tensor, target: Tensor) -> Tensor:
        """Distance of mel magnitudes, both (B, frames, bands)."""
        total = (bands.log10() - target.log10()).abs().mean()
        if self.loudness_weight:
            loudness = bands.pow(LOUDNESS_EXPONENT) - target.pow(LOUDNESS_EXPONENT)
            total = total + self.loudness_weight * loudness.abs().mean()
        if self.linear_weight:
            total = total + self.linear_weight * (bands - target).abs().mean()
        return total
