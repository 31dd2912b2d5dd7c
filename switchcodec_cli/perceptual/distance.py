"""Distance between what latents decode to and the input, on magnitudes alone.

Griffin-Lim is not run. Compared are mel spectra in two resolutions, as logarithms and as loudness, and the
log-magnitudes of all bins, the low ones with the largest weight. Logarithms alone would weight faint
background as much as foreground; loudness balances that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, from_numpy

from ..model.backbones.refiner import DecodedDifference
from ..model.codec_model import CodecModel
from ..model.dsp.frequency_bands import bin_weights
from ..model.dsp.mel import LOUDNESS_EXPONENT, MEL_BANDS, mel_filter_bank

MEL_FLOOR = 1e-4
LOUDNESS_WEIGHT, BIN_WEIGHT = 3.0, 0.25  # relative to the log-mel term
BIN_EDGES, BIN_BAND_WEIGHTS = (2750.0, 5500.0), (20.0, 8.0, 1.0)  # Hz; below, between and above


@dataclass(frozen=True)
class PerceptualFeatures:
    """What is compared, with n spectra for each latent frame."""

    log_mel: Tensor  # log10 of the mel bands, (B, T, n, bands)
    loudness: Tensor  # of the mel bands, (B, T, n, bands)
    log_magnitude: Tensor  # (B, T, n, bins)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """All features, in the order of `PerceptualDistance.weights`."""
        return self.log_mel, self.loudness, self.log_magnitude

    def span(self, start: int, stop: int) -> PerceptualFeatures:
        """The features of the latent frames from `start` to `stop`."""
        return PerceptualFeatures(*(part[:, start:stop] for part in self.parts))


class PerceptualDistance:
    """Compares decoded latents with the input.

    Args:
        model: The model whose backbone decodes; its device is used.

    Attributes:
        context: Latent frames to either side that the features of a decoded frame depend on.
        weights: Weights of `PerceptualFeatures.parts`.
        mel_filters: Mel filter banks of all resolutions side by side. # (bins, bands)
    """

    def __init__(self, model: CodecModel) -> None:
        self.backbone = model.backbone
        self.context = self.backbone.log_magnitude_context
        length, rate = self.backbone.stft.window_length, model.config.sample_rate
        filters = np.concatenate([mel_filter_bank(bands, length, rate, "sum") for bands in MEL_BANDS])
        self.mel_filters = from_numpy(filters).mT.contiguous().to(model.device)
        bins = BIN_WEIGHT * bin_weights(length, rate, BIN_EDGES, BIN_BAND_WEIGHTS).to(model.device)
        self.weights: tuple[Tensor | float, ...] = (1.0, LOUDNESS_WEIGHT, bins)

    def input_features(self, magnitude: Tensor) -> PerceptualFeatures:
        """Features of the input from its magnitudes (B, T, n, bins)."""
        log_magnitude = magnitude.clamp(min=self.backbone.output_floor).log_()
        return self._features(magnitude, log_magnitude)

    def decoded_features(self, z: Tensor, start: int = 0, stop: int | None = None) -> PerceptualFeatures:
        """Features of what latents (B, T, D) decode to, for the latent frames from `start` to `stop`."""
        log_magnitude = self.backbone.log_magnitude(z)[:, start:stop]
        return self._features(log_magnitude.exp(), log_magnitude)

    def _features(self, magnitude: Tensor, log_magnitude: Tensor) -> PerceptualFeatures:
        with torch.autocast(magnitude.device.type, enabled=False):  # bfloat16 is too coarse for features
            bands = (magnitude @ self.mel_filters).clamp(min=MEL_FLOOR)
            return PerceptualFeatures(bands.log10(), bands.pow(LOUDNESS_EXPONENT), log_magnitude)

    def distance(self, decoded: PerceptualFeatures, wanted: PerceptualFeatures) -> Tensor:
        """Distance of each latent frame. # (B, T)"""
        parts = zip(decoded.parts, wanted.parts, self.weights, strict=True)
        terms = [((ours - theirs).abs() * weight).mean((2, 3)) for ours, theirs, weight in parts]
        return terms[0] + terms[1] + terms[2]

    def difference(self, z: Tensor, wanted: PerceptualFeatures) -> DecodedDifference:
        """What latents z (B, T, D) decode to beside the input, as the refiner takes it."""
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            decoded = self.decoded_features(z)
            (gradient,) = torch.autograd.grad(self.distance(decoded, wanted).sum(), z)
        return DecodedDifference(
            gradient,
            (decoded.log_magnitude - wanted.log_magnitude).detach(),
            (decoded.log_mel - wanted.log_mel).detach(),
        )
