"""The spectral backbone: log-magnitudes are coded, and the decoder estimates the phases.

The encoder sees standardised log-magnitudes of the short-time spectrum, the decoder predicts them, and fast
Griffin-Lim finds phases for them. Both networks run at the latent frame rate, `spectra_per_frame` spectra in
each latent frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import SpectralConfig
from ..dsp.frequency_bands import band_of_bins
from ..dsp.griffin_lim import GriffinLim
from ..dsp.low_band import LowBand
from ..dsp.stft import LogMagnitudeSTFT
from ..streaming import ContextStream
from .base import Backbone, DecoderStream
from .convnext import ConvNeXtBlock
from .refiner import SpectralRefiner

MAX_LOG_MAGNITUDE = 8.0  # bounds what a decoder can produce, whatever the latents


class SpectralEncoder(nn.Module):
    """Standardised log-magnitudes (B, T * spectra, bins) -> latents (B, T, D)."""

    def __init__(self, config: SpectralConfig, dimension: int) -> None:
        super().__init__()
        self.spectra = config.spectra_per_frame
        bins = config.window_length // 2 + 1
        self.stem = nn.Linear(bins * (self.spectra + 2), config.width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.encoder_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, dimension)
        self.context = config.encoder_context

    def forward(self, spectra: Tensor, inside: Tensor | None = None) -> Tensor:
        """Latents of spectra.

        Args:
            spectra: Standardised log-magnitudes. # (B, T * spectra, bins)
            inside: Factors of 1 for latent frames of signals that may end early, and 0 after their ends,
                where the convolutions then see their own padding. # (B, T, 1)
        """
        batch, count, _ = spectra.shape
        if inside is not None:
            spectra = spectra * inside.repeat_interleave(self.spectra, 1)
        # the stem sees the spectra of a latent frame and one more to either side
        x = F.pad(spectra, (0, 0, 1, 1))
        x = x.unfold(1, self.spectra + 2, self.spectra)  # (B, T, bins, spectra + 2)
        x = self.stem(x.reshape(batch, count // self.spectra, -1))
        for block in self.blocks:
            x = block(x if inside is None else x * inside)
        z: Tensor = self.head(self.norm(x))
        return z


class SpectralDecoder(nn.Module):
    """Latents (B, T, D) -> standardised log-magnitudes (B, T * spectra, bins)."""

    def __init__(self, config: SpectralConfig, dimension: int) -> None:
        super().__init__()
        self.spectra = config.spectra_per_frame
        self.bins = config.window_length // 2 + 1
        self.stem = nn.Conv1d(dimension, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.decoder_blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, self.bins * self.spectra)
        self.context = config.decoder_context

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z.mT).mT
        for block in self.blocks:
            x = block(x)
        spectra: Tensor = self.head(self.norm(x))
        return spectra.view(z.shape[0], -1, self.bins)


class SpectralBackbone(Backbone):
    """Networks on log-magnitudes of the short-time spectrum, and Griffin-Lim for the phases."""

    encoder: SpectralEncoder
    decoder: SpectralDecoder
    has_band_gains = True
    has_waveform_layers = True
    weight_norm = False

    def __init__(self, config: SpectralConfig, dimension: int, sample_rate: int) -> None:
        super().__init__()
        self.config, self.dimension, self.sample_rate = config, dimension, sample_rate
        self.hop = config.hop_length * config.spectra_per_frame
        self.output_floor = config.output_floor
        self.analysis = LogMagnitudeSTFT(config.window_length, config.hop_length, config.floor)
        self.encoder = SpectralEncoder(config, dimension)
        self.decoder = SpectralDecoder(config, dimension)
        self.encoder_context = self.encoder.context
        self.log_magnitude_context = self.decoder.context
        self.refiner = SpectralRefiner(config, dimension) if config.refiner_blocks else None

    @property
    def stft(self) -> LogMagnitudeSTFT:
        """The transform whose log-magnitudes are coded."""
        return self.analysis

    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) to latents (B, T, D), without the refiner."""
        z: Tensor = self.encoder(self.analysis.standardise(self.analysis.magnitude(audio)))
        return z

    def encode_padded(self, audio: Tensor, frames: Tensor) -> Tensor:
        """Latents of several signals; see `Backbone.encode_padded`."""
        spectra = self.analysis.standardise(self.analysis.magnitude(audio))
        positions = torch.arange(audio.shape[1] // self.hop, device=audio.device)
        inside = (positions < frames[:, None]).to(audio.dtype)[..., None]
        z: Tensor = self.encoder(spectra, inside)
        return z

    def log_magnitude(self, z: Tensor) -> Tensor:
        """Predicted log-magnitudes, (B, T, D) -> (B, T, spectra, bins)."""
        restored = self.analysis.restore(self.decoder(z)).clamp(max=MAX_LOG_MAGNITUDE)
        log_magnitude: Tensor = restored.unflatten(1, (z.shape[1], -1))
        return log_magnitude

    def decoder_context(self, phase_iterations: int | None = None) -> int:
        """Latent frames to either side that can influence a frame's audio."""
        spectra = GriffinLim.context(
            self.config.window_length, self.config.hop_length, self._iterations(phase_iterations)
        )
        return self.log_magnitude_context + -(-spectra // self.config.spectra_per_frame)

    def decoder_stream(
        self,
        chunk: int,
        *,
        first_frame: int = 0,
        band_edges: Sequence[float] = (),
        phase_iterations: int | None = None,
        waveform_bins: int = 0,
    ) -> DecoderStream:
        """Make a stream that decodes latents to audio; see `Backbone.decoder_stream`."""
        griffin_lim = GriffinLim(
            self.config.window_length,
            self.config.hop_length,
            self._iterations(phase_iterations),
            self.config.phase_momentum,
            first_spectrum=first_frame * self.config.spectra_per_frame,
            device=self.analysis.window.device,
        )
        low_band = None
        if waveform_bins:
            low_band = LowBand(waveform_bins, self.hop, self.analysis.window, self.config.hop_length)
        return _SpectralDecoderStream(self, chunk, band_edges, griffin_lim, low_band)

    def _iterations(self, phase_iterations: int | None) -> int:
        return self.config.phase_iterations if phase_iterations is None else phase_iterations


class _SpectralDecoderStream(DecoderStream):
    """The decoder network in chunks, then Griffin-Lim."""

    def __init__(
        self,
        backbone: SpectralBackbone,
        chunk: int,
        band_edges: Sequence[float],
        griffin_lim: GriffinLim,
        low_band: LowBand | None,
    ) -> None:
        analysis, dimension = backbone.analysis, backbone.dimension
        band = band_of_bins(analysis.bins, backbone.sample_rate, band_edges).to(analysis.window.device)
        sizes = (dimension, len(band_edges) + 1, low_band.bins if low_band else 0)

        def targets(inputs: Tensor) -> Tensor:  # (B, T, sum(sizes)) -> (B, T, spectra, ...)
            z, gains, coefficients = inputs.split(sizes, -1)
            gains = gains[..., band][:, :, None]
            magnitude: Tensor = backbone.log_magnitude(z).exp_() * gains
            if low_band is None:
                return magnitude
            known = low_band.spectra(coefficients)
            return low_band.targets(magnitude, known * gains[..., : known.shape[-1]])

        self._network = ContextStream(targets, backbone.log_magnitude_context, chunk)
        self._griffin_lim = griffin_lim

    def push(
        self, z: Tensor, gains: Tensor, coefficients: Tensor | None = None, last: bool = False
    ) -> list[Tensor]:
        inputs = [z, gains.to(z.dtype)] if coefficients is None else [z, gains.to(z.dtype), coefficients]
        pieces = self._network.push(torch.cat(inputs, -1), last)
        return [
            self._griffin_lim.push(piece.flatten(1, 2), last and number == len(pieces) - 1)
            for number, piece in enumerate(pieces)
        ]
