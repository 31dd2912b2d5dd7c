"""The whole model: a backbone around a residual expert quantizer, and its streams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .backbones.dac import DacDecoder, DacEncoder
from .backbones.spectral import LogMagnitudeSTFT, SpectralDecoder, SpectralEncoder
from .config import ModelConfig
from .dsp.frequency_bands import band_of_bins
from .dsp.griffin_lim import GriffinLim
from .quantizer.revq import ResidualExpertVQ
from .streaming import ContextStream


class CodecModel(nn.Module):
    """Audio to latents, latents to masks and indices, and back."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.hop = config.hop
        dimension = config.latent_dimension
        if config.backbone == "spectral":
            self.analysis = LogMagnitudeSTFT(config.spectral)
            self.encoder = SpectralEncoder(config.spectral, dimension)
            self.decoder = SpectralDecoder(config.spectral, dimension)
        else:
            self.encoder = DacEncoder(config.dac, dimension)
            self.decoder = DacDecoder(config.dac, dimension)
        self.quantizer = ResidualExpertVQ(config.quantizer, dimension)

    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) -> latents Z (B, T, D)."""
        if self.config.backbone == "spectral":
            return self.encoder(self.analysis.standardise(self.analysis.magnitude(audio)))
        return self.encoder(audio)

    def decode(self, z: Tensor, gains: Tensor | None = None) -> Tensor:
        """Latents (B, T, D) -> what `DecoderStream` synthesises, (B, T, n, ...).

        For the spectral backbone n spectra of magnitudes a frame, else n samples of audio. `gains` of
        frames, (B, T, 1) or for the spectral backbone (B, T, bins), multiply them.
        """
        if self.config.backbone == "spectral":
            magnitude = self.analysis.restore(self.decoder(z)).clamp_(max=8).exp_()
            result = magnitude.unflatten(1, (z.shape[1], -1))  # (B, T, spectra, bins)
        else:
            result = self.decoder(z)  # (B, T, hop)
        if gains is not None:
            result = result * (gains[:, :, None] if result.dim() == 4 else gains)
        return result

    @torch.no_grad()
    def silence(self) -> Tensor:
        """The latent (D,) that digital silence is encoded to, which stands in for silent windows."""
        frames = 2 * self.encoder.context + 1
        audio = torch.zeros(1, frames * self.hop, device=next(self.parameters()).device)
        return self.encode(audio)[0, self.encoder.context]

    def encoder_stream(self, chunk: int) -> ContextStream:
        """Blocks of audio (B, n, hop) -> list of latents (B, n, D), in chunks of so many frames."""
        return ContextStream(lambda audio: self.encode(audio.flatten(1)), self.encoder.context, chunk)

    def decoder_context(self, phase_iterations: int | None = None) -> int:
        """Latent frames to each side that can influence a frame's audio."""
        context = self.decoder.context
        if self.config.backbone == "spectral":
            spectral = self.config.spectral
            iterations = spectral.phase_iterations if phase_iterations is None else phase_iterations
            spectra = GriffinLim.context(spectral.window_length, spectral.hop_length, iterations)
            context += -(-spectra // spectral.spectra_per_frame)
        return context


class DecoderStream:
    """Latents to audio, block by block; the result does not depend on how the blocks are cut."""

    def __init__(
        self,
        model: CodecModel,
        chunk: int,
        phase_iterations: int | None = None,
        first: int = 0,
        edges: Sequence[float] = (),
    ):
        """`first`: absolute number of the first frame that will be pushed. `edges`: in Hz, between the bands
        of the gains; for the spectral backbone."""
        dimension = model.config.latent_dimension
        device = next(model.parameters()).device
        band = torch.zeros(1, dtype=torch.long, device=device)
        if model.config.backbone == "spectral":
            band = band_of_bins(model.analysis.bins, model.config.sample_rate, edges).to(device)

        def network(z: Tensor) -> Tensor:
            return model.decode(z[..., :dimension], z[..., dimension:][..., band])

        self.network = ContextStream(network, model.decoder.context, chunk)
        self.search = None
        if model.config.backbone == "spectral":
            spectral = model.config.spectral
            self.search = GriffinLim(
                spectral.window_length,
                spectral.hop_length,
                spectral.phase_iterations if phase_iterations is None else phase_iterations,
                spectral.phase_momentum,
                device,
            )
            self.search.start.number = first * spectral.spectra_per_frame

    def push(self, z: Tensor, gains: Tensor, last: bool = False) -> list[Tensor]:
        """The next latents (B, n, D), gains (B, n, bands), 0 for silence -> pieces of audio (B, samples)."""
        pieces = self.network.push(torch.cat([z, gains.to(z.dtype)], -1), last)
        if self.search is None:
            return [piece.flatten(1) for piece in pieces]
        return [
            self.search.push(piece.flatten(1, 2), last and number == len(pieces) - 1)
            for number, piece in enumerate(pieces)
        ]
