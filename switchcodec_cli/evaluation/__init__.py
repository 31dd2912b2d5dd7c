"""Measures of quality, and tables of quality against rate; torch is imported when something is measured."""

from .metrics import LOWER_IS_BETTER, METRICS, available_metrics, choose_metrics, measure
from .rate_quality import (
    Point,
    RateQuality,
    Row,
    find_audio_files,
    rate_quality,
    sweep_points,
)

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "Point",
    "RateQuality",
    "Row",
    "available_metrics",
    "choose_metrics",
    "find_audio_files",
    "measure",
    "rate_quality",
    "sweep_points",
]
