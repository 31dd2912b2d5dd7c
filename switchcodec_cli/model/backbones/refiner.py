"""The refiner: a learned step of latent refinement that follows the encoder network.

It sees the latents and what they decode to beside the input, and corrects them. What it sees comes from the
perceptual distance; `perceptual.latent_encoder` brings both together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import SpectralConfig
from .convnext import ConvNeXtBlock

# Inputs are brought to a deviation of about one.
INITIAL_STEP = 0.05  # along the gradient, in units of the latents' root mean square
CORRECTION_SCALE = 0.1  # of the network's output, in the same units
LOW_BINS = 256  # have the full weight in the input, the others half of it
MAX_LOG_RATIO, MAX_GRADIENT = 3.0, 4.0


@dataclass(frozen=True)
class DecodedDifference:
    """What latents decode to beside the input, with n spectra for each latent frame."""

    gradient: Tensor  # of the perceptual distance, with respect to the latents, (B, T, D)
    log_magnitude: Tensor  # decoded less input, natural logarithm, (B, T, n, bins)
    log_mel: Tensor  # decoded less input, log10 of the mel bands, (B, T, n, bands)


class SpectralRefiner(nn.Module):
    """One learned step down the perceptual distance between what latents decode to and the input.

    Attributes:
        context: Latent frames to either side that can influence a correction.
    """

    rms: Tensor

    def __init__(self, config: SpectralConfig, dimension: int) -> None:
        super().__init__()
        self.context = config.refiner_blocks * (config.kernel // 2)
        self.stem = nn.Linear(config.refiner_inputs + 3 * dimension + 1, config.width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.refiner_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, dimension)
        self.step = nn.Parameter(torch.full((dimension,), INITIAL_STEP))
        self.register_buffer("rms", torch.ones(1))  # root mean square of the latents

    def forward(self, z: Tensor, difference: DecodedDifference) -> Tensor:
        """Corrected latents, from latents z (B, T, D) and what they decode to."""
        gradient = difference.gradient
        size = gradient.square().mean(-1, keepdim=True).sqrt() + 1e-12  # (B, T, 1)
        direction = gradient / (gradient.abs() + 0.1 * size)  # near the signs of the gradient
        ratio = difference.log_magnitude.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        bands = (2 * difference.log_mel).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        inputs = [
            z / self.rms,
            (gradient / size).clamp(-MAX_GRADIENT, MAX_GRADIENT),
            direction,
            (size * 1e4).log() * 0.3,
            torch.cat([ratio[..., :LOW_BINS], ratio[..., LOW_BINS:] / 2], -1).flatten(2),
            bands.flatten(2),
        ]
        x = self.stem(torch.cat(inputs, -1))
        for block in self.blocks:
            x = block(x)
        correction = CORRECTION_SCALE * self.head(self.norm(x)).float()
        refined: Tensor = z + self.rms * (correction - self.step * direction)
        return refined
