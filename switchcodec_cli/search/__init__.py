"""The encoder's search: which codes serve a window best, and how many bits each window gets."""

from .rate_plan import RatePlan
from .settings import BEST_QUALITY, DEFAULT_EFFORT, DEFAULT_KBPS, EFFORTS, EncoderSettings

__all__ = ["BEST_QUALITY", "DEFAULT_EFFORT", "DEFAULT_KBPS", "EFFORTS", "EncoderSettings", "RatePlan"]
