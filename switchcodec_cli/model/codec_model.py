"""The whole model: a backbone around a residual expert quantizer, and its streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .config import ModelConfig
from .dac import DacDecoder, DacEncoder
from .phase import PhaseSearch
from .revq import ResidualExpertQuantizer
from .spectral import Analysis, SpectralDecoder, SpectralEncoder
from .stream import ContextStream


class CodecModel(nn.Module):
    """Audio to latents, latents to masks and indices, and back."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        if any(stride % 2 for stride in config.dac.strides) and config.backbone == "dac":
            raise WeightsError("dac strides must be even")
        self.config = config
        self.hop = config.hop
        dimension = config.latent_dimension
        if config.backbone == "spectral":
            self.analysis = Analysis(config.spectral)
            self.encoder = SpectralEncoder(config.spectral, dimension)
            self.decoder = SpectralDecoder(config.spectral, dimension)
        else:
            self.encoder = DacEncoder(config.dac, dimension)
            self.decoder = DacDecoder(config.dac, dimension)
        self.quantizer = ResidualExpertQuantizer(config.quantizer, dimension)

    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) -> latents Z (B, T, D)."""
        if self.config.backbone == "spectral":
            return self.encoder(self.analysis.standardise(self.analysis.magnitude(audio)))
        return self.encoder(audio)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, T, D) -> what `synthesiser` takes, (B, T * n, ...): magnitudes or blocks of audio."""
        if self.config.backbone == "spectral":
            magnitude = self.analysis.restore(self.decoder(z)).clamp_(max=8).exp_()
            # what was coded as silence is silence, not a hiss at the floor
            return torch.where(magnitude > 1.5 * self.config.spectral.floor, magnitude, 0)
        return self.decoder(z)

    def encoder_stream(self, chunk: int) -> ContextStream:
        """Blocks of audio (B, n, hop) -> list of latents (B, n, D), in chunks of so many frames."""
        return ContextStream(lambda audio: self.encode(audio.flatten(1)), self.encoder.context, chunk)

    def decoder_stream(self, chunk: int, phase_iterations: int | None = None) -> DecoderStream:
        """Blocks of latents (B, n, D) -> audio."""
        return DecoderStream(self, chunk, phase_iterations)

    def decoder_context(self, phase_iterations: int | None = None) -> int:
        """Latent frames to each side that can influence a frame's audio."""
        context = self.decoder.context
        if self.config.backbone == "spectral":
            spectral = self.config.spectral
            iterations = spectral.phase_iterations if phase_iterations is None else phase_iterations
            spectra = PhaseSearch.context(spectral.window_length, spectral.hop_length, iterations)
            context += -(-spectra // spectral.spectra_per_frame)
        return context


class DecoderStream:
    """Latents to audio, block by block; the result does not depend on how the blocks are cut."""

    def __init__(self, model: CodecModel, chunk: int, phase_iterations: int | None = None):
        def network(z: Tensor) -> Tensor:
            return model.decode(z).unflatten(1, (z.shape[1], -1))  # (B, T, n, ...)

        self.network = ContextStream(network, model.decoder.context, chunk)
        self.search = None
        if model.config.backbone == "spectral":
            spectral = model.config.spectral
            self.search = PhaseSearch(
                spectral.window_length,
                spectral.hop_length,
                spectral.phase_iterations if phase_iterations is None else phase_iterations,
                spectral.phase_momentum,
                next(model.parameters()).device,
            )

    def start_at(self, frame: int, spectra_per_frame: int) -> None:
        """Tell the phase search that the first frame pushed will be this one."""
        if self.search is not None:
            self.search.number = frame * spectra_per_frame

    def push(self, z: Tensor, last: bool = False) -> list[Tensor]:
        """The next latents (B, n, D) -> pieces of audio (B, samples) that they complete."""
        pieces = self.network.push(z, last)
        if self.search is None:
            return [piece.flatten(1) for piece in pieces]
        audio = [
            self.search.push(piece.flatten(1, 2), last and number == len(pieces) - 1)
            for number, piece in enumerate(pieces)
        ]
        return audio
