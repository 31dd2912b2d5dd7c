"""The encoder: analysis, rate control, search and packing."""

from .rate.control import RateAllocation
from .settings import BEST_QUALITY, DEFAULT_EFFORT, DEFAULT_KBPS, EFFORTS, EncoderSettings

__all__ = ["BEST_QUALITY", "DEFAULT_EFFORT", "DEFAULT_KBPS", "EFFORTS", "EncoderSettings", "RateAllocation"]
