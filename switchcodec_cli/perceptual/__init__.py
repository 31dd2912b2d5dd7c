"""The perceptual distance that the encoder's search and training share, and the latents that descend it."""

from .distance import PerceptualDistance, PerceptualFeatures
from .latent_encoder import LatentEncoder

__all__ = ["LatentEncoder", "PerceptualDistance", "PerceptualFeatures"]
