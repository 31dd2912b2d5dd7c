"""Reading, writing, resampling and mixing of audio, block by block; without torch."""

from .channels import CHANNEL_MODES, choose_channels, mix, mixing_matrix
from .reader import AudioReader
from .resampling import ExactLength, StreamResampler, resample, resampled_length
from .writer import FORMATS, AudioWriter, output_format

__all__ = [
    "CHANNEL_MODES",
    "FORMATS",
    "AudioReader",
    "AudioWriter",
    "ExactLength",
    "StreamResampler",
    "choose_channels",
    "mix",
    "mixing_matrix",
    "output_format",
    "resample",
    "resampled_length",
]
