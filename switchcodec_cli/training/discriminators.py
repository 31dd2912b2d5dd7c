"""Discriminators, all with one interface: what they look at -> scores and the features of every layer.

On magnitudes (B, T, bins), standardised logarithms, cheap because neither waveform nor transform is needed:

- `low`: patches of the spectrum below a quarter of the band, every bin: pitch and harmonics;
- `high`: patches of the rest in coarser steps: noise, sibilants, brightness;
- `whole`: the full band over more frames: onsets and envelopes.

On waveforms:

- `complex2048` and other lengths: bands of the complex short-time spectrum, after DAC (Kumar et al. 2023);
- `spectrum512` and other lengths: log-magnitudes of a short-time spectrum, after UnivNet (Jang et al. 2021),
  for what the codec's own long window does not show, the voice's pulses and onsets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scores = tuple[Tensor, list[Tensor]]


class PatchNetwork(nn.Module):
    """Small 2-D convolutions over (frames, bins); each score sees a patch only (Isola et al. 2017)."""

    def __init__(self, channels: int, width: int, strides: tuple[tuple[int, int], ...]):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for number, stride in enumerate(strides):
            outputs = width * min(4, 2**number)
            kernel = (3 if stride[0] == 1 else 4, 2 * stride[1] + 1)
            padding = (1, stride[1])
            layers.append(
                nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding))
            )
            inputs = outputs
        self.layers = nn.ModuleList(layers)
        self.score = nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs, 1, 3, 1, 1))

    def forward(self, x: Tensor) -> Scores:  # (B, C, T, bins)
        features = []
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.score(x), features


class MagnitudeDiscriminator(nn.Module):
    """Looks at a band of the standardised log-magnitude spectrum."""

    sees = "spectra"

    def __init__(self, first: float, last: float, width: int, strides: tuple[tuple[int, int], ...]):
        super().__init__()
        self.first, self.last = first, last
        self.network = PatchNetwork(1, width, strides)

    def forward(self, spectra: Tensor) -> Scores:  # (B, T, bins)
        bins = spectra.shape[-1] - 1
        return self.network(spectra[:, None, :, int(self.first * bins) : int(self.last * bins)])


class ComplexDiscriminator(nn.Module):
    """Looks at bands of the complex short-time spectrum of a waveform."""

    sees = "audio"
    BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)

    def __init__(self, length: int, width: int):
        super().__init__()
        self.length = length
        strides = ((1, 1), (1, 2), (1, 2), (1, 2))
        self.networks = nn.ModuleList(PatchNetwork(2, width, strides) for _ in self.BANDS[1:])

    def forward(self, audio: Tensor) -> Scores:  # (B, L)
        parts = torch.view_as_real(_spectrum(audio, self.length)).movedim(-1, 1)  # (B, 2, T, bins)
        bins = parts.shape[-1]
        scores, features = [], []
        for network, low, high in zip(self.networks, self.BANDS[:-1], self.BANDS[1:], strict=True):
            score, seen = network(parts[..., int(low * bins) : int(high * bins)])
            scores.append(score.flatten(1))
            features += seen
        return torch.cat(scores, 1), features


class SpectrumDiscriminator(nn.Module):
    """Looks at the log-magnitudes of the short-time spectrum of a waveform."""

    sees = "audio"
    FLOOR = 1e-3  # of the magnitudes; what is below is background

    def __init__(self, length: int, width: int):
        super().__init__()
        self.length = length
        self.network = PatchNetwork(1, width, ((2, 2), (2, 2), (1, 2), (2, 2)))

    def forward(self, audio: Tensor) -> Scores:  # (B, L)
        return self.network(_spectrum(audio, self.length).abs().clamp(min=self.FLOOR).log()[:, None])


def _spectrum(audio: Tensor, length: int) -> Tensor:
    """Short-time spectrum of audio (B, L): (B, T, bins), complex."""
    window = torch.hann_window(length, device=audio.device)
    return torch.stft(audio, length, length // 4, window=window, return_complex=True).mT


def build_discriminators(kinds: tuple[str, ...], width: int) -> nn.ModuleDict:
    """Discriminators by kind: low, high, whole on magnitudes; complex2048, spectrum512 and such on audio."""
    made: dict[str, nn.Module] = {}
    for kind in kinds:
        if kind == "low":
            made[kind] = MagnitudeDiscriminator(0.0, 0.25, width, ((1, 2), (2, 2), (1, 2), (2, 2)))
        elif kind == "high":
            made[kind] = MagnitudeDiscriminator(0.2, 1.0, width, ((2, 4), (1, 4), (2, 2)))
        elif kind == "whole":
            made[kind] = MagnitudeDiscriminator(0.0, 1.0, width, ((2, 8), (2, 4), (2, 4)))
        elif kind.startswith("complex") and kind[7:].isdigit():
            made[kind] = ComplexDiscriminator(int(kind[7:]), width)
        elif kind.startswith("spectrum") and kind[8:].isdigit():
            made[kind] = SpectrumDiscriminator(int(kind[8:]), width)
        else:
            raise ValueError(f"unknown discriminator {kind!r}")
    return nn.ModuleDict(made)
