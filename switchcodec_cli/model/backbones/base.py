"""The interface of backbones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ..dsp.stft import MagnitudeSTFT
from .refiner import SpectralRefiner


class DecoderStream(ABC):
    """Decodes a stream of latents to audio; the result does not depend on how the stream is cut."""

    @abstractmethod
    def push(
        self, z: Tensor, gains: Tensor, coefficients: Tensor | None = None, last: bool = False
    ) -> list[Tensor]:
        """Decode the next latents.

        Args:
            z: Latents. # (B, T, D)
            gains: Factors of the decoded magnitudes by band, 0 for silence. # (B, T, bands)
            coefficients: MDCT coefficients of the low band, 0 where they are not known; None for a stream
                without them. # (B, T, bins)
            last: Whether the stream ends with these latents.

        Returns:
            Pieces of audio, (B, n) each, that are complete. In total hop samples for every latent frame.
        """


class Backbone(nn.Module, ABC):
    """An encoder network from audio to latents and a decoder back.

    Both are convolutional: a latent depends on at most `encoder_context` latent frames of audio to either
    side, so long inputs can be processed in overlapping chunks.

    Attributes:
        hop: Samples per latent frame.
        encoder: Network that makes latents.
        decoder: First network of the decoder.
        refiner: Network that corrects latents by what they decode to; None where there is none.
        encoder_context: Latent frames to either side that can influence a latent of `encode`.
        log_magnitude_context: Latent frames to either side that `log_magnitude` depends on.
        output_floor: Smallest magnitude that the decoder is meant to reproduce.
        has_band_gains: Whether `decoder_stream` takes gains of several bands (else of one).
        has_waveform_layers: Whether `decoder_stream` takes MDCT coefficients of the low band.
        weight_norm: Whether the weights are normalised in training.
    """

    hop: int
    encoder: nn.Module
    decoder: nn.Module
    refiner: SpectralRefiner | None
    encoder_context: int
    log_magnitude_context: int
    output_floor: float
    has_band_gains: bool
    has_waveform_layers: bool
    weight_norm: bool

    @property
    @abstractmethod
    def stft(self) -> MagnitudeSTFT:
        """The transform in which decoded latents are compared with the input."""

    @abstractmethod
    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) to latents (B, T, D), by the encoder network alone."""

    def encode_padded(self, audio: Tensor, frames: Tensor) -> Tensor:
        """Latents of several signals, each as `encode` makes them of it alone.

        Args:
            audio: Signals, followed by zeros. # (B, T * hop)
            frames: Latent frames of each. # (B,)

        Returns:
            Latents; those after the end of a signal have no meaning. # (B, T, D)
        """
        counts = frames.tolist()
        pieces = [
            self.encode(audio[row : row + 1, : count * self.hop])[0] for row, count in enumerate(counts)
        ]
        return nn.utils.rnn.pad_sequence(pieces, batch_first=True)

    @abstractmethod
    def log_magnitude(self, z: Tensor) -> Tensor:
        """Log-magnitudes of what latents (B, T, D) decode to, in frames of `stft`. # (B, T, n, bins)"""

    @abstractmethod
    def decoder_context(self, phase_iterations: int | None = None) -> int:
        """Latent frames to either side that can influence a frame's audio."""

    @abstractmethod
    def decoder_stream(
        self,
        chunk: int,
        *,
        first_frame: int = 0,
        band_edges: Sequence[float] = (),
        phase_iterations: int | None = None,
        waveform_bins: int = 0,
    ) -> DecoderStream:
        """Make a stream that decodes latents to audio.

        Args:
            chunk: Latent frames per run of the network.
            first_frame: Absolute number of the first latent frame that will be pushed.
            band_edges: Frequencies in Hz between the bands of the gains.
            phase_iterations: Iterations of Griffin-Lim; None for the model's own number. Ignored by
                backbones that decode to waveforms.
            waveform_bins: Bins of the coefficients that will be pushed; 0 for none.
        """

    def stft_magnitude(self, audio: Tensor) -> Tensor:
        """Magnitudes of audio in latent frames, (B, T, hop) -> (B, T, n, bins).

        The frames at both ends lack their neighbours.
        """
        magnitude: Tensor = self.stft.magnitude(audio.flatten(1)).unflatten(1, (audio.shape[1], -1))
        return magnitude
