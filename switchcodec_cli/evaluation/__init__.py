"""Quality metrics, and tables of quality against rate. Torch is not imported before something is measured."""

from .metrics import METRICS, Metric, available_metrics, choose_metrics, measure
from .rate_quality import (
    Mean,
    Point,
    RateQuality,
    Row,
    find_audio_files,
    rate_quality,
    sweep_points,
)

__all__ = [
    "METRICS",
    "Mean",
    "Metric",
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
