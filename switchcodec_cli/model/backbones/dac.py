"""The waveform backbone: strided convolutions with Snake activations (the paper's, after DAC)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from ..config import DacConfig
from ..dsp.stft import MagnitudeSTFT
from ..streaming import ContextStream
from .base import Backbone, DecoderStream


class Snake(nn.Module):
    """The activation x + sin^2(a x) / a with one a per channel (Ziyin et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, L) -> (B, C, L)
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-9)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution of 7, Snake, pointwise convolution, residual connection."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Snake(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            Snake(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, L) -> (B, C, L)
        y: Tensor = self.layers(x)
        return x + y


def _units(channels: int) -> list[nn.Module]:
    return [ResidualUnit(channels, dilation) for dilation in (1, 3, 9)]


class DacEncoder(nn.Module):
    """Audio (B, T * hop) -> latents (B, T, D)."""

    def __init__(self, config: DacConfig, dimension: int) -> None:
        super().__init__()
        channels = config.encoder_width
        layers: list[nn.Module] = [nn.Conv1d(1, channels, 7, padding=3)]
        for stride in config.strides:
            layers += [*_units(channels), Snake(channels)]
            layers.append(nn.Conv1d(channels, 2 * channels, 2 * stride, stride, padding=stride // 2))
            channels *= 2
        layers += [Snake(channels), nn.Conv1d(channels, dimension, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.context = config.encoder_context

    def forward(self, audio: Tensor) -> Tensor:
        z: Tensor = self.layers(audio[:, None])
        return z.mT


class DacDecoder(nn.Module):
    """Latents (B, T, D) -> audio (B, T, hop)."""

    def __init__(self, config: DacConfig, dimension: int) -> None:
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
        self.context = config.decoder_context

    def forward(self, z: Tensor) -> Tensor:
        audio: Tensor = self.layers(z.mT)
        return audio.view(z.shape[0], z.shape[1], -1)


class DacBackbone(Backbone):
    """Strided convolutions on the waveform."""

    encoder: DacEncoder
    decoder: DacDecoder
    refiner = None
    has_band_gains = False
    has_waveform_layers = False
    weight_norm = True
    log_magnitude_frames = 2  # latent frames to either side that an analysis window of four hops reaches

    def __init__(self, config: DacConfig, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.hop = prod(config.strides)
        self.output_floor = 1e-5
        self.encoder, self.decoder = DacEncoder(config, dimension), DacDecoder(config, dimension)
        self.encoder_context = self.encoder.context
        self.log_magnitude_context = self.decoder.context + self.log_magnitude_frames
        self._stft = MagnitudeSTFT(4 * self.hop, self.hop)

    @property
    def stft(self) -> MagnitudeSTFT:
        """One spectrum for each latent frame, with an analysis window of four hops."""
        return self._stft

    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) to latents (B, T, D)."""
        z: Tensor = self.encoder(audio)
        return z

    def log_magnitude(self, z: Tensor) -> Tensor:
        """Log-magnitudes of the decoded waveform, (B, T, D) -> (B, T, 1, bins)."""
        return self.stft_magnitude(self.decoder(z)).clamp(min=self.output_floor).log()

    def decoder_context(self, phase_iterations: int | None = None) -> int:
        """Latent frames to either side that can influence a frame's audio."""
        return self.decoder.context

    def decoder_stream(
        self,
        chunk: int,
        *,
        first_frame: int = 0,
        band_edges: Sequence[float] = (),
        phase_iterations: int | None = None,
        waveform_bins: int = 0,
    ) -> DecoderStream:
        """Make a stream that decodes latents to audio; of the gains the first band's are applied."""
        return _DacDecoderStream(self, chunk)


class _DacDecoderStream(DecoderStream):
    """The decoder network in chunks."""

    def __init__(self, backbone: DacBackbone, chunk: int) -> None:
        dimension = backbone.dimension

        def samples(latents_and_gains: Tensor) -> Tensor:  # (B, T, D + bands) -> (B, T, hop)
            audio: Tensor = backbone.decoder(latents_and_gains[..., :dimension])
            return audio * latents_and_gains[..., dimension : dimension + 1]

        self._network = ContextStream(samples, backbone.decoder.context, chunk)

    def push(
        self, z: Tensor, gains: Tensor, coefficients: Tensor | None = None, last: bool = False
    ) -> list[Tensor]:
        pieces = self._network.push(torch.cat([z, gains.to(z.dtype)], -1), last)
        return [piece.flatten(1) for piece in pieces]
