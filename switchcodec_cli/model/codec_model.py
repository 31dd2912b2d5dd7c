"""The whole model: a backbone around a residual experts vector quantizer."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from ..bitstream.index_model import IndexModel, IndexModelTensors
from ..bitstream.waveform_model import WaveformModel, WaveformModelTensors
from ..errors import WeightsError
from .backbones import build_backbone
from .config import ModelConfig
from .index_model import exact_arithmetic
from .quantizer.revq import ResidualExpertVQ


class CodecModel(nn.Module):
    """Audio to latents, latents to masks and indices, and back.

    `perceptual.LatentEncoder` makes latents of audio.

    Attributes:
        config: What the model was built from.
        backbone: The networks between audio and latents.
        quantizer: Between latents and masks and indices.
        hop: Samples per latent frame.
        index_tensors: Of the index model, which entropy-coded streams need; None if there is none.
        waveform_tensors: Of the waveform model, which waveform layers need; None if there is none.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.hop = config.hop
        self.backbone = build_backbone(config)
        self.quantizer = ResidualExpertVQ(config.quantizer, config.latent_dimension)
        self.index_tensors: IndexModelTensors | None = None
        self.waveform_tensors: WaveformModelTensors | None = None

    @cached_property
    def index_model(self) -> IndexModel:
        """The index model, ready for use on this machine.

        Raises:
            WeightsError: The weights have none.
        """
        if self.index_tensors is None:
            raise WeightsError("these weights have no index model, which entropy-coded streams need")
        return IndexModel(self.index_tensors, exact_arithmetic(self.index_tensors.matrices))

    @cached_property
    def waveform_model(self) -> WaveformModel:
        """The waveform model, ready for use on this machine.

        Raises:
            WeightsError: The weights have none.
        """
        if self.waveform_tensors is None:
            raise WeightsError("these weights have no waveform model, which waveform layers need")
        return WaveformModel(self.waveform_tensors, exact_arithmetic(self.waveform_tensors.matrices, 64))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.quantizer.router.weight.device

    def dequantize(self, masks: Tensor, indices: Tensor) -> Tensor:
        """Masks (B, Nr) and indices (B, 1 + Nr, S, T) of windows to latents (B, T, D)."""
        return self.quantizer.dequantize(masks, indices)

    @torch.no_grad()
    def silence_latent(self) -> Tensor:
        """What the encoder network makes of digital silence; it stands for silent blocks. # (D,)"""
        context = self.backbone.encoder_context
        audio = torch.zeros(1, (2 * context + 1) * self.hop, device=self.device)
        return self.backbone.encode(audio)[0, context]
