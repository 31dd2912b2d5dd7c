"""The encoder's search: which codes serve a window best, and how many bits each window gets."""

from .rate_plan import RatePlan
from .settings import DEFAULT_EFFORT, DEFAULT_KBPS, EFFORTS, EncoderSettings

__all__ = ["DEFAULT_EFFORT", "DEFAULT_KBPS", "EFFORTS", "EncoderSettings", "RatePlan"]
