"""Quality metrics, and tables of quality against rate. Torch is not imported before something is measured."""

from .audio_store import AudioStore, StoredAudio, StoredItem, StoredVersion
from .decoded_folder import DecodedFolder
from .metrics import METRICS, Metric, available_metrics, choose_metrics, measure
from .other_codecs import OTHER_CODECS, points_of_other_codecs
from .rate_quality import (
    CodedFile,
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
    "OTHER_CODECS",
    "AudioStore",
    "CodedFile",
    "DecodedFolder",
    "Mean",
    "Metric",
    "Point",
    "RateQuality",
    "Row",
    "StoredAudio",
    "StoredItem",
    "StoredVersion",
    "available_metrics",
    "choose_metrics",
    "find_audio_files",
    "measure",
    "points_of_other_codecs",
    "rate_quality",
    "sweep_points",
]
