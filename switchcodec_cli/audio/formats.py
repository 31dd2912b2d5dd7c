"""Audio formats: file suffixes, containers, and subtypes (codings of samples), named as in libsndfile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import soundfile

from ..atomic_io import PIPE
from ..errors import UsageError
from .wav import SAMPLE_BYTES

AudioPath: TypeAlias = str | os.PathLike[str]
Output: TypeAlias = AudioPath | BinaryIO


class AudioFormat(NamedTuple):
    """A container and the subtype of the samples in it, such as ("WAV", "PCM_16")."""

    container: str
    subtype: str


# Formats that can be written, by suffix, with the default subtype of each.
WRITABLE_FORMATS = {
    ".wav": AudioFormat("WAV", "PCM_16"),
    ".wave": AudioFormat("WAV", "PCM_16"),
    ".flac": AudioFormat("FLAC", "PCM_16"),
    ".ogg": AudioFormat("OGG", "VORBIS"),
    ".oga": AudioFormat("OGG", "VORBIS"),
    ".opus": AudioFormat("OGG", "OPUS"),
    ".mp3": AudioFormat("MP3", "MPEG_LAYER_III"),
    ".aif": AudioFormat("AIFF", "PCM_16"),
    ".aiff": AudioFormat("AIFF", "PCM_16"),
    ".au": AudioFormat("AU", "PCM_16"),
    ".caf": AudioFormat("CAF", "PCM_16"),
    ".w64": AudioFormat("W64", "PCM_16"),
    ".raw": AudioFormat("RAW", "PCM_16"),
    ".pcm": AudioFormat("RAW", "PCM_16"),
}
# Samples without a header: writable, but not readable since rate and channels are unknown.
RAW_SUFFIXES = frozenset({".raw", ".pcm"})
# Files with these suffixes are picked up in folders. A file named explicitly may have any suffix.
READABLE_SUFFIXES = frozenset({*WRITABLE_FORMATS, ".aifc", ".rf64", ".snd"}) - RAW_SUFFIXES

PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")  # store samples beyond full scale
STREAMABLE_CONTAINERS = ("WAV", "RAW")  # can be written to a pipe

_SAMPLE_RATES = {  # in Hz, of subtypes that do not support every rate
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "MPEG_LAYER_III": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
_MAX_CHANNELS = {"MP3": 2, "FLAC": 8}


def output_format(output: Output, format: str | None = None, subtype: str | None = None) -> AudioFormat:
    """Container and subtype for an output.

    Args:
        output: path, "-" for standard output, or a file object; the suffix of a path determines the format.
            Pipes and file objects get WAV.
        format: a suffix such as "flac" that takes precedence over the suffix of `output`.
        subtype: such as "PCM_24" or "vorbis"; by default that of `WRITABLE_FORMATS`.

    Raises:
        UsageError: unknown suffix, format or subtype, or a subtype that the container does not support.
    """
    suffix = ".wav"
    if isinstance(output, (str, os.PathLike)) and os.fspath(output) != PIPE:
        suffix = Path(output).suffix.lower()
    if format is not None:
        suffix = "." + format.lower().lstrip(".")
    if suffix not in WRITABLE_FORMATS:
        problem = f"unknown audio format {suffix!r}" if suffix else "the name has no suffix"
        raise UsageError(f"{output}: {problem}; supported are {' '.join(sorted(WRITABLE_FORMATS))}")
    chosen = WRITABLE_FORMATS[suffix]
    if subtype is not None:
        chosen = AudioFormat(chosen.container, subtype.upper().replace("-", "_"))
    supported = _subtypes(chosen.container)
    if chosen.subtype not in supported:
        raise UsageError(
            f"{chosen.container} does not support {chosen.subtype}, only {', '.join(sorted(supported))}"
        )
    return chosen


def _subtypes(container: str) -> list[str]:
    """Subtypes that a container supports."""
    if container in STREAMABLE_CONTAINERS:
        return list(SAMPLE_BYTES)
    # libsndfile also lists MPEG layers I and II, which it can read but not write.
    names = soundfile.available_subtypes(container)
    return [name for name in names if name not in ("MPEG_LAYER_I", "MPEG_LAYER_II")]


def supports_float(container: str) -> bool:
    """Whether a container supports samples beyond full scale."""
    return FLOAT_SUBTYPES[0] in _subtypes(container)


def supported_rate(format: AudioFormat, sample_rate: int) -> int:
    """The sample rate in Hz to write audio of `sample_rate` with.

    It is `sample_rate` if the format supports it, else the next higher rate that it supports, or the highest.
    """
    rates = _SAMPLE_RATES.get(format.subtype, (sample_rate,))
    return min((rate for rate in rates if rate >= sample_rate), default=max(rates))


def check_signal(format: AudioFormat, sample_rate: int, channels: int, name: str) -> None:
    """Check that a format supports a sample rate in Hz and a number of channels.

    Args:
        name: name of the output in error messages.

    Raises:
        UsageError: it does not.
    """
    rates = _SAMPLE_RATES.get(format.subtype, (sample_rate,))
    if sample_rate not in rates:
        supported = ", ".join(map(str, rates))
        raise UsageError(f"{name}: {format.subtype} does not support {sample_rate} Hz, only {supported} Hz")
    if channels > _MAX_CHANNELS.get(format.container, channels):
        raise UsageError(f"{name}: {format.container} does not support {channels} channels")
