"""Audio to latents: the encoder network, and the refiner where the weights have one."""

from __future__ import annotations

from torch import Tensor

from ..model.codec_model import CodecModel
from .distance import PerceptualDistance


class LatentEncoder:
    """Makes latents of audio.

    Args:
        model: The model.
        distance: Of the model.

    Attributes:
        context: Latent frames to either side that can influence a latent.
    """

    def __init__(self, model: CodecModel, distance: PerceptualDistance) -> None:
        self._backbone, self._hop, self._distance = model.backbone, model.hop, distance
        self.context = model.config.backbone_config.latent_context

    def __call__(self, audio: Tensor) -> Tensor:
        """Audio (B, T * hop) to latents (B, T, D)."""
        return self.refined(self._backbone.encode(audio), audio)

    def refined(self, z: Tensor, audio: Tensor) -> Tensor:
        """What the refiner makes of the encoder network's latents; without one, the same latents.

        Args:
            z: Latents of the encoder network. # (B, T, D)
            audio: Of which they are. # (B, T * hop)
        """
        if self._backbone.refiner is None:
            return z
        magnitude = self._backbone.stft_magnitude(audio.unflatten(1, (-1, self._hop)))
        wanted = self._distance.input_features(magnitude)
        refined: Tensor = self._backbone.refiner(z, self._distance.difference(z, wanted))
        return refined
