"""Quality metrics, and tables of quality against rate. Torch is not imported before something is measured."""

from .metrics import (
    GROUPS,
    METRICS,
    Metric,
    available_metrics,
    choose_metrics,
    measure,
    measure_alone,
    missing_metrics,
)
from .no_reference import NoReference, Score, no_reference
from .rate_quality import (
    Mean,
    Point,
    RateQuality,
    Row,
    check_metrics,
    find_audio_files,
    rate_quality,
    sweep_points,
)
from .transcripts import load_transcripts

__all__ = [
    "GROUPS",
    "METRICS",
    "Mean",
    "Metric",
    "NoReference",
    "Point",
    "RateQuality",
    "Row",
    "Score",
    "available_metrics",
    "check_metrics",
    "choose_metrics",
    "find_audio_files",
    "load_transcripts",
    "measure",
    "measure_alone",
    "missing_metrics",
    "no_reference",
    "rate_quality",
    "sweep_points",
]
