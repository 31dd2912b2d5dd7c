"""The waveform backbone: strided convolutions with Snake activations (the paper's, after DAC)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import DacConfig


class Snake(nn.Module):
    """x + sin^2(a x) / a, with one a per channel (Ziyin et al. 2020)."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, L) -> (B, C, L)
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-9)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution of 7, Snake, pointwise convolution, and the input added."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            Snake(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            Snake(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, L) -> (B, C, L)
        return x + self.layers(x)


def _units(channels: int) -> list[nn.Module]:
    return [ResidualUnit(channels, dilation) for dilation in (1, 3, 9)]


def _context(strides: tuple[int, ...]) -> int:
    """Latent frames to each side that a network of these strides can see (an upper bound)."""
    reach, spacing = 3, 1  # front convolution, in samples
    for stride in strides:
        reach += spacing * 3 * (1 + 3 + 9)  # residual units
        reach += spacing * 2 * stride  # strided convolution
        spacing *= stride
    return -(-(reach + 3 * spacing) // spacing) + 1


class DacEncoder(nn.Module):
    """Audio (B, T * hop) -> latents (B, T, D)."""

    def __init__(self, config: DacConfig, dimension: int):
        super().__init__()
        channels = config.encoder_width
        layers: list[nn.Module] = [nn.Conv1d(1, channels, 7, padding=3)]
        for stride in config.strides:
            layers += [*_units(channels), Snake(channels)]
            layers.append(nn.Conv1d(channels, 2 * channels, 2 * stride, stride, padding=stride // 2))
            channels *= 2
        layers += [Snake(channels), nn.Conv1d(channels, dimension, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.context = _context(config.strides)

    def forward(self, audio: Tensor) -> Tensor:
        return self.layers(audio[:, None]).mT


class DacDecoder(nn.Module):
    """Latents (B, T, D) -> audio (B, T, hop)."""

    def __init__(self, config: DacConfig, dimension: int):
        super().__init__()
        channels = config.decoder_width
        layers: list[nn.Module] = [nn.Conv1d(dimension, channels, 7, padding=3)]
        for stride in reversed(config.strides):
            layers.append(Snake(channels))
            layers.append(
                nn.ConvTranspose1d(channels, channels // 2, 2 * stride, stride, padding=stride // 2)
            )
            channels //= 2
            layers += _units(channels)
        layers += [Snake(channels), nn.Conv1d(channels, 1, 7, padding=3), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.context = _context(config.strides) + 3

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.mT).view(z.shape[0], z.shape[1], -1)
