"""Discriminators for adversarial training.

Of standardised log-magnitudes (spectral backbone), cheap because they need neither waveform nor transform:

- `low`: patches of the lowest quarter of the spectrum at full resolution: pitch and harmonics;
- `high`: patches of the rest in coarser steps: noise, sibilants, brightness;
- `whole`: the full spectrum over more frames: onsets and envelopes.

Of waveforms:

- `complex<N>`, such as `complex2048`: bands of the complex short-time spectrum with windows of N samples,
  after DAC (Kumar et al. 2023);
- `spectrum<N>`, such as `spectrum512`: log-magnitudes of the short-time spectrum with windows of N samples,
  after UnivNet (Jang et al. 2021), for glottal pulses and onsets that the codec's long window smooths.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Strides = Sequence[tuple[int, int]]  # over frames and bins, of each layer
CHANNEL_LIMIT = 4  # times the width


class Domain(Enum):
    """What a discriminator looks at."""

    SPECTRA = "spectra"  # standardised log-magnitudes (B, T, bins)
    AUDIO = "audio"  # waveforms (B, L)


class Judgement(NamedTuple):
    """Output of a discriminator."""

    scores: Tensor  # of patches; targets are 1 for real and 0 for generated audio
    features: list[Tensor]  # of every layer


class PatchNetwork(nn.Module):
    """Small 2-D convolutions over (frames, bins); each score covers a patch (Isola et al. 2017)."""

    def __init__(self, channels: int, width: int, strides: Strides):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for number, stride in enumerate(strides):
            outputs = width * min(CHANNEL_LIMIT, 2**number)
            kernel = (3 if stride[0] == 1 else 4, 2 * stride[1] + 1)
            padding = (1, stride[1])
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
            layers.append(nn.utils.parametrizations.weight_norm(convolution))
            inputs = outputs
        self.layers = nn.ModuleList(layers)
        self.score = nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs, 1, 3, 1, 1))

    def forward(self, x: Tensor) -> Judgement:  # (B, C, T, bins)
        features = []
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return Judgement(self.score(x), features)


class Discriminator(nn.Module, ABC):
    """Base of all discriminators."""

    domain: Domain

    @abstractmethod
    def forward(self, x: Tensor) -> Judgement:
        """Judge items of this discriminator's domain."""


class MagnitudeDiscriminator(Discriminator):
    """Judges a band of the standardised log-magnitude spectrum.

    Args:
        low, high: Limits of the band, as shares of half the sample rate.
        width: Channels of the first layer.
        strides: Of each layer.
    """

    domain = Domain.SPECTRA

    def __init__(self, low: float, high: float, width: int, strides: Strides):
        super().__init__()
        self.low, self.high = low, high
        self.network = PatchNetwork(1, width, strides)

    def forward(self, x: Tensor) -> Judgement:  # (B, T, bins)
        bins = x.shape[-1] - 1
        result: Judgement = self.network(x[:, None, :, int(self.low * bins) : int(self.high * bins)])
        return result


class ComplexDiscriminator(Discriminator):
    """Judges bands of the complex short-time spectrum of a waveform, each with a network of its own."""

    domain = Domain.AUDIO
    EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the bands, as shares of half the sample rate
    STRIDES = ((1, 1), (1, 2), (1, 2), (1, 2))

    def __init__(self, window_length: int, width: int):
        super().__init__()
        self.window_length = window_length
        self.networks = nn.ModuleList(PatchNetwork(2, width, self.STRIDES) for _ in self.EDGES[1:])

    def forward(self, x: Tensor) -> Judgement:  # (B, L)
        spectrum = torch.view_as_real(_stft(x, self.window_length)).movedim(-1, 1)  # (B, 2, T, bins)
        bins = spectrum.shape[-1]
        scores, features = [], []
        for network, low, high in zip(self.networks, self.EDGES[:-1], self.EDGES[1:], strict=True):
            part = network(spectrum[..., int(low * bins) : int(high * bins)])
            scores.append(part.scores.flatten(1))
            features += part.features
        return Judgement(torch.cat(scores, 1), features)


class SpectrumDiscriminator(Discriminator):
    """Judges the log-magnitudes of the short-time spectrum of a waveform."""

    domain = Domain.AUDIO
    FLOOR = 1e-3  # of the magnitudes, below which there is background noise only
    STRIDES = ((2, 2), (2, 2), (1, 2), (2, 2))

    def __init__(self, window_length: int, width: int):
        super().__init__()
        self.window_length = window_length
        self.network = PatchNetwork(1, width, self.STRIDES)

    def forward(self, x: Tensor) -> Judgement:  # (B, L)
        magnitude = _stft(x, self.window_length).abs()
        result: Judgement = self.network(magnitude.clamp(min=self.FLOOR).log()[:, None])
        return result


def _stft(audio: Tensor, window_length: int) -> Tensor:
    """Complex short-time spectrum of audio (B, L), a quarter window per step: (B, T, bins)."""
    window = torch.hann_window(window_length, device=audio.device)
    return torch.stft(audio, window_length, window_length // 4, window=window, return_complex=True).mT


def build_discriminator(kind: str, width: int) -> Discriminator:
    """A discriminator by its kind; see the module's docstring.

    Raises:
        ValueError: There is no such kind.
    """
    if kind == "low":
        return MagnitudeDiscriminator(0.0, 0.25, width, ((1, 2), (2, 2), (1, 2), (2, 2)))
    if kind == "high":
        return MagnitudeDiscriminator(0.2, 1.0, width, ((2, 4), (1, 4), (2, 2)))
    if kind == "whole":
        return MagnitudeDiscriminator(0.0, 1.0, width, ((2, 8), (2, 4), (2, 4)))
    if match := re.fullmatch(r"complex([1-9]\d{0,4})", kind):
        return ComplexDiscriminator(int(match[1]), width)
    if match := re.fullmatch(r"spectrum([1-9]\d{0,4})", kind):
        return SpectrumDiscriminator(int(match[1]), width)
    raise ValueError(f"unknown discriminator {kind!r}")
