"""How close what the decoder makes of latents comes to the input, judged on magnitudes alone.

No phase search is run: distances of mel spectra in two resolutions of frequency, of their logarithms and of
their loudness, and of the bins of the log-magnitude spectrum, the low ones weighing most, as they do to the
ear. Logarithms weigh a whisper in the background like the voice in front of it; loudness makes up for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.backbones.spectral import LogMagnitudeSTFT
from ..model.codec_model import CodecModel
from ..model.config import SpectralConfig
from ..model.dsp.mel import LOUDNESS_EXPONENT, bin_weights, mel_filters

MEL_BANDS = (80, 160)
MEL_FLOOR = 1e-4
LOUDNESS_SHARE, BINS_SHARE = 3.0, 0.25  # beside 1 for the logarithms of mel bands
BIN_EDGES, BIN_WEIGHTS = (2750.0, 5500.0), (20.0, 8.0, 1.0)  # Hz; below, between and above them


@dataclass
class PerceptualFeatures:
    """What the decoded latents should sound like; every field is indexed by signal and frame first."""

    mel: Tensor  # log10 of mel bands, (B, T, n, bands)
    loudness: Tensor  # of mel bands, (B, T, n, bands)
    bins: Tensor  # log-magnitudes, (B, T, n, bins)

    def span(self, start: int, stop: int) -> PerceptualFeatures:
        """The frames from `start` to `stop`."""
        return PerceptualFeatures(
            self.mel[:, start:stop], self.loudness[:, start:stop], self.bins[:, start:stop]
        )


class PerceptualDistance:
    """Measures decoded latents against the input."""

    def __init__(self, model: CodecModel):
        self.model = model
        self.spectral = model.config.backbone == "spectral"
        if self.spectral:
            analysis = model.analysis
        else:
            analysis = LogMagnitudeSTFT(SpectralConfig(window_length=4 * model.hop, hop_length=model.hop))
        self.analysis = analysis.to(next(model.parameters()).device)
        self.floor = self.analysis.config.output_floor
        device = self.analysis.window.device
        length, rate = self.analysis.config.window_length, model.config.sample_rate
        filters = torch.cat([mel_filters(bands, length, rate) for bands in MEL_BANDS])
        self.filters = filters.mT.contiguous().to(device)  # (bins, bands)
        self.weight = BINS_SHARE * bin_weights(length, rate, BIN_EDGES, BIN_WEIGHTS).to(device)

    @property
    def context(self) -> int:
        """Latent frames to each side that the magnitudes of a frame depend on."""
        return self.model.decoder.context + (0 if self.spectral else 2)

    def target(self, magnitude: Tensor) -> PerceptualFeatures:
        """From the magnitudes of the input, (B, T, n, bins)."""
        bands = (magnitude @ self.filters).clamp_(min=MEL_FLOOR)
        bins = magnitude.clamp(min=self.floor).log_()
        return PerceptualFeatures(bands.log10(), bands.pow(LOUDNESS_EXPONENT), bins)

    def magnitude(self, audio: Tensor) -> Tensor:
        """Magnitudes of audio (B, T, hop): (B, T, n, bins), right but for the frames at both ends."""
        return self.analysis.magnitude(audio.flatten(1)).unflatten(1, (audio.shape[1], -1))

    def decoded(self, z: Tensor) -> Tensor:
        """Log-magnitudes that latents (B, T, D) decode to, (B, T, n, bins)."""
        out = self.model.decoder(z)
        if self.spectral:
            return self.analysis.restore(out).clamp(max=8).unflatten(1, (z.shape[1], -1))
        return self.magnitude(out).clamp(min=self.floor).log()

    def aspects(self, decoded: Tensor) -> tuple[tuple[Tensor, Tensor | float], ...]:
        """What is compared of log-magnitudes (B, T, n, bins), as in `PerceptualFeatures`, with its weights."""
        bands = (decoded.exp() @ self.filters).clamp(min=MEL_FLOOR)
        return (
            (bands.log10(), 1.0),
            (bands.pow(LOUDNESS_EXPONENT), LOUDNESS_SHARE),
            (decoded, self.weight),
        )

    def distance(self, decoded: Tensor, target: PerceptualFeatures) -> Tensor:
        """Distance of each frame, (B, T), for log-magnitudes (B, T, n, bins)."""
        wanted = (target.mel, target.loudness, target.bins)
        parts = zip(self.aspects(decoded), wanted, strict=True)
        return sum(((ours - theirs).abs() * weight).mean((2, 3)) for (ours, weight), theirs in parts)
