"""Reading, writing, resampling and mixing of audio in blocks. Does not import torch."""

from .channels import CHANNEL_MODES, choose_channels, mix, mixing_matrix
from .formats import (
    RAW_SUFFIXES,
    READABLE_SUFFIXES,
    WRITABLE_FORMATS,
    AudioFormat,
    output_format,
    supported_rate,
)
from .reader import AudioReader
from .resampling import StreamResampler, resample, resampled_length
from .tags import merge_tags, read_tags
from .writer import AudioWriter

__all__ = [
    "CHANNEL_MODES",
    "RAW_SUFFIXES",
    "READABLE_SUFFIXES",
    "WRITABLE_FORMATS",
    "AudioFormat",
    "AudioReader",
    "AudioWriter",
    "StreamResampler",
    "choose_channels",
    "merge_tags",
    "mix",
    "mixing_matrix",
    "output_format",
    "read_tags",
    "resample",
    "resampled_length",
    "supported_rate",
]
