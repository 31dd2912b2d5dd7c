"""The encoder: chunk analysis, rate control, search and packing. Importing it does not import torch."""

from .settings import (
    DEFAULT_EFFORT,
    DEFAULT_KBPS,
    EFFORTS,
    MAX_QUALITY,
    EncoderSettings,
    SourceFormat,
    make_header,
)

__all__ = [
    "DEFAULT_EFFORT",
    "DEFAULT_KBPS",
    "EFFORTS",
    "MAX_QUALITY",
    "EncoderSettings",
    "SourceFormat",
    "make_header",
]
