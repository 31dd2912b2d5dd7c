"""Adding a refiner to a trained model."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from ..errors import UsageError
from ..model.backbones import SpectralBackbone
from ..model.codec_model import CodecModel
from ..model.config import ModelConfig


def check_new_model(config: ModelConfig) -> None:
    """Check that a model can be trained from random weights.

    Raises:
        UsageError: It has a refiner. That learns from a trained decoder, and excludes the change of basis
            that comes before quantization.
    """
    if config.latents_are_refined:
        raise UsageError(
            "model.spectral.refiner_blocks needs weights to continue from: train without them first"
        )


@torch.no_grad()
def with_refiner(model: CodecModel, blocks: int) -> CodecModel:
    """The same model with a new refiner, which only takes its initial step along the gradient.

    Args:
        model: A trained model.
        blocks: Of the refiner.

    Raises:
        UsageError: The model has another backbone than the spectral one.
    """
    if not isinstance(model.backbone, SpectralBackbone):
        raise UsageError("model.spectral.refiner_blocks is for the spectral backbone")
    spectral = replace(model.config.spectral, refiner_blocks=blocks)
    refined = CodecModel(replace(model.config, spectral=spectral)).eval()
    refined.load_state_dict({**refined.state_dict(), **model.state_dict()})
    refiner = refined.backbone.refiner
    if refiner is not None:
        nn.init.zeros_(refiner.head.weight)
        nn.init.zeros_(refiner.head.bias)
        refiner.rms.fill_(model.quantizer.mean_square() ** 0.5)
    return refined
