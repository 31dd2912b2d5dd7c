"""The spectral backbone: codes log-magnitudes of the short-time spectrum; phases are found afterwards."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import SpectralConfig


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, LayerNorm, pointwise expansion with GELU, scaled residual.

    After Liu et al. 2022, "A ConvNet for the 2020s", in one dimension. Looks kernel // 2 frames to each side.
    """

    def __init__(self, width: int, expansion: int, kernel: int):
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        # depthwise convolutions are faster, and safer, in float32 also where the rest runs in bfloat16
        with torch.autocast(x.device.type, enabled=False):
            # in two dimensions, because there channels may come last, and nothing has to be transposed
            depthwise = self.depthwise
            y = F.conv2d(
                x.float().mT[:, :, None], depthwise.weight[:, :, None], depthwise.bias,
                padding=(0, depthwise.padding[0]), groups=depthwise.groups,
            )[:, :, 0].mT  # fmt: skip
            y = self.norm(y)
        return x + self.scale * self.contract(F.gelu(self.expand(y)))


class LogMagnitudeSTFT(nn.Module):
    """Magnitudes of the short-time spectrum (Hann window) and their standardised logarithms."""

    def __init__(self, config: SpectralConfig):
        super().__init__()
        self.config = config
        self.bins = config.window_length // 2 + 1
        self.register_buffer("window", torch.empty(config.window_length), persistent=False)
        self.reset_window()
        self.register_buffer("mean", torch.zeros(self.bins))
        self.register_buffer("deviation", torch.ones(self.bins))

    def reset_window(self) -> None:
        """Compute the window, which is not stored with the weights."""
        self.window = torch.hann_window(self.config.window_length, device=self.window.device)

    @property
    def margin(self) -> int:
        """Samples that the first and last spectrum reach beyond the signal."""
        return (self.config.window_length - self.config.hop_length) // 2

    def magnitude(self, audio: Tensor) -> Tensor:
        """Audio (B, L), L a multiple of the hop length -> magnitudes (B, L / hop length, bins)."""
        padded = F.pad(audio, (self.margin, self.margin))
        frames = padded.unfold(-1, self.config.window_length, self.config.hop_length) * self.window
        return torch.fft.rfft(frames).abs()

    def standardise(self, magnitude: Tensor) -> Tensor:
        """Magnitudes -> logarithms of zero mean and unit deviation in each bin."""
        return (magnitude.clamp(min=self.config.floor).log() - self.mean) / self.deviation

    def restore(self, standardised: Tensor) -> Tensor:
        """The inverse of `standardise`, as log-magnitudes."""
        return standardised * self.deviation + self.mean


class SpectralEncoder(nn.Module):
    """Standardised log-magnitudes (B, T * spectra, bins) -> latents (B, T, D)."""

    def __init__(self, config: SpectralConfig, dimension: int):
        super().__init__()
        self.spectra = config.spectra_per_frame
        bins = config.window_length // 2 + 1
        self.stem = nn.Linear(bins * (self.spectra + 2), config.width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.encoder_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, dimension)
        # samples beyond a frame: of the neighbouring spectrum that the stem sees, of its analysis window
        beyond = config.hop_length + (config.window_length - config.hop_length) // 2
        self.context = config.encoder_blocks * (config.kernel // 2)
        self.context += -(-beyond // (config.hop_length * config.spectra_per_frame))

    def forward(self, spectra: Tensor) -> Tensor:
        batch, count, _ = spectra.shape
        # each frame sees its own spectra and one more to either side
        x = F.pad(spectra, (0, 0, 1, 1)).unfold(
            1, self.spectra + 2, self.spectra
        )  # (B, T, bins, spectra + 2)
        x = self.stem(x.reshape(batch, count // self.spectra, -1))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class SpectralDecoder(nn.Module):
    """Latents (B, T, D) -> standardised log-magnitudes (B, T * spectra, bins)."""

    def __init__(self, config: SpectralConfig, dimension: int):
        super().__init__()
        self.spectra = config.spectra_per_frame
        self.bins = config.window_length // 2 + 1
        self.stem = nn.Conv1d(dimension, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.decoder_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, self.bins * self.spectra)
        self.context = config.decoder_blocks * (config.kernel // 2) + 1

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z.mT).mT
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).view(z.shape[0], -1, self.bins)
