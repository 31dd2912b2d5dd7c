"""The networks between audio and latents, behind one interface."""

from ..config import ModelConfig
from .base import Backbone, DecoderStream
from .dac import DacBackbone
from .spectral import SpectralBackbone

__all__ = ["Backbone", "DacBackbone", "DecoderStream", "SpectralBackbone", "build_backbone"]


def build_backbone(config: ModelConfig) -> Backbone:
    """Build the backbone that a configuration names, with untrained weights."""
    if config.backbone == "spectral":
        return SpectralBackbone(config.spectral, config.latent_dimension, config.sample_rate)
    return DacBackbone(config.dac, config.latent_dimension)
