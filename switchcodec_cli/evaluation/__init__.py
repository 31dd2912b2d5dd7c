"""Quality metrics, and tables of quality against rate. Torch is not imported before something is measured."""

from .audio_store import AudioStore, StoredAudio, StoredItem, StoredVersion
from .decoded_folder import DecodedFolder
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
from .other_codecs import OTHER_CODECS, points_of_other_codecs
from .rate_quality import (
    CodedFile,
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
    "OTHER_CODECS",
    "AudioStore",
    "CodedFile",
    "DecodedFolder",
    "Mean",
    "Metric",
    "NoReference",
    "Point",
    "RateQuality",
    "Row",
    "Score",
    "StoredAudio",
    "StoredItem",
    "StoredVersion",
    "available_metrics",
    "check_metrics",
    "choose_metrics",
    "find_audio_files",
    "load_transcripts",
    "measure",
    "measure_alone",
    "missing_metrics",
    "no_reference",
    "points_of_other_codecs",
    "rate_quality",
    "sweep_points",
]
