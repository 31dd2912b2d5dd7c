"""The perceptual distance that the encoder's search and training share."""

from .distance import PerceptualDistance, PerceptualFeatures

__all__ = ["PerceptualDistance", "PerceptualFeatures"]
