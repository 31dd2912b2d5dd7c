"""Spectral losses on magnitudes and on waveforms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model.dsp.mel import LOUDNESS_EXPONENT, bin_weights, mel_filters
from .config import LossConfig


class MagnitudeLoss(nn.Module):
    """L1 between log-mel spectra in several band counts, and between weighted log-magnitudes."""

    def __init__(self, config: LossConfig, window_length: int, sample_rate: int, floor: float):
        super().__init__()
        self.floor, self.misses = floor, config.misses
        filters = [mel_filters(n, window_length, sample_rate) for n in config.mel_bands]
        self.sizes = [len(f) for f in filters]
        self.register_buffer("filters", torch.cat(filters), persistent=False)
        weight = bin_weights(window_length, sample_rate, config.fine_edges, config.fine_bands)
        self.register_buffer("weight", weight, persistent=False)

    def mel(self, magnitude: Tensor) -> Tensor:
        # half precision costs 0.002 in the logarithm and saves a tenth of a step
        with torch.autocast(magnitude.device.type, torch.bfloat16):
            bands = magnitude @ self.filters.mT
        return bands.float().clamp(min=self.floor).log10()

    def forward(self, predicted: Tensor, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted log-magnitudes against magnitudes, (B, T, bins) both -> mel term, fine term."""
        difference = (self.mel(predicted.clamp(max=8).exp()) - self.mel(magnitude)).abs()
        if self.misses:
            difference = difference + self.misses * difference.square()
        mel = sum(part.mean() for part in difference.split(self.sizes, -1)) / len(self.sizes)
        fine = (predicted - magnitude.clamp(min=self.floor).log()).abs().mean((0, 1)) * self.weight
        return mel, fine.mean()


class WaveformLoss(nn.Module):
    """Multi-scale mel distance of waveforms: the mean over scales of the L1 of log10 mel magnitudes.

    With `loudness` and `amplitude`, so many times the L1 of the bands' loudness and magnitudes on top:
    logarithms weigh a whisper in the background like the voice in front of it, the ear does not.

    The scales of DAC (Kumar et al. 2023) are windows of 32 to 2048 samples with 5 to 320 bands.
    """

    SCALES = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))

    def __init__(
        self,
        sample_rate: int,
        scales: tuple[tuple[int, int], ...] = SCALES,
        loudness: float = 0.0,
        floor: float = 1e-4,
        amplitude: float = 0.0,
    ):
        super().__init__()
        self.loudness, self.floor, self.amplitude = loudness, floor, amplitude
        self.lengths = [length for length, _ in scales]
        for length, bands in scales:
            filters = mel_filters(bands, length, sample_rate)
            self.register_buffer(f"filters{length}", filters.mT.contiguous(), persistent=False)
            self.register_buffer(f"window{length}", torch.hann_window(length), persistent=False)

    def bands(self, audio: Tensor, length: int) -> Tensor:
        """Audio (B, L) -> mel magnitudes (B, frames, bands), at least the floor."""
        window = getattr(self, f"window{length}")
        magnitude = torch.fft.rfft(audio.unfold(-1, length, length // 4) * window).abs()
        with torch.autocast(audio.device.type, torch.bfloat16):
            bands = magnitude @ getattr(self, f"filters{length}")
        return bands.float().clamp(min=self.floor)

    def forward(self, predicted: Tensor, audio: Tensor) -> Tensor:
        """Audio (B, L) both -> the mean over scales."""
        total = audio.new_zeros(())
        for length in self.lengths:
            with torch.no_grad():
                wanted = self.bands(audio, length)
            bands = self.bands(predicted, length)
            total = total + (bands.log10() - wanted.log10()).abs().mean()
            if self.loudness:
                louder = bands.pow(LOUDNESS_EXPONENT) - wanted.pow(LOUDNESS_EXPONENT)
                total = total + self.loudness * louder.abs().mean()
            if self.amplitude:
                total = total + self.amplitude * (bands - wanted).abs().mean()
        return total / len(self.lengths)
