"""Audio formats: file suffixes, containers, and subtypes (codings of samples), named as in libsndfile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import soundfile

from ..atomic_io import PIPE
from ..errors import UsageError
from .wav import SAMPLE_BYTES, SampleFormat

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
_READ_ONLY_SUFFIXES = frozenset(
    {
        ".aifc",
        ".avr",
        ".mp1",
        ".mp2",
        ".mpga",
        ".nist",
        ".paf",
        ".rf64",
        ".snd",
        ".sph",
        ".svx",
        ".8svx",
        ".voc",
    }
)
READABLE_SUFFIXES = frozenset(WRITABLE_FORMATS) - RAW_SUFFIXES | _READ_ONLY_SUFFIXES

# Audio that libsndfile does not decode; it is decoded by ffmpeg where that is installed.
FFMPEG_SUFFIXES = frozenset(
    {
        ".3ga", ".3gp", ".aac", ".ac3", ".adts", ".alac", ".amr", ".ape", ".awb", ".dff", ".dsf", ".dts",
        ".eac3", ".m4a", ".m4b", ".m4r", ".mka", ".mp4", ".mpc", ".oma", ".ra", ".shn", ".spx", ".tak",
        ".tta", ".webm", ".weba", ".wma", ".wv",
    }
)  # fmt: skip
# Videos, whose sound ffmpeg decodes. In folders they are not audio.
VIDEO_SUFFIXES = frozenset({".avi", ".flv", ".m4v", ".mkv", ".mov", ".mpeg", ".mpg", ".ogv", ".vob", ".wmv"})
# Beginnings of such files, as pairs of position and bytes.
_FFMPEG_SIGNATURES = (
    (4, b"ftyp"),  # MP4, M4A, 3GP
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),  # ASF: WMA
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"wvpk"),
    (0, b"MAC "),
    (0, b"#!AMR"),
    (0, b"TTA1"),
    (0, b"tBaK"),
    (0, b"MP+"),
    (0, b"MPCK"),
    (0, b"DSD "),
    (0, b"FRM8"),
    (0, b"ajkg"),  # Shorten
    (0, b"\x0bw"),  # AC-3
    (28, b"Speex   "),
)
SIGNATURE_BYTES = 36

PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")  # store samples beyond full scale
STREAMABLE_CONTAINERS = ("WAV", "RAW")  # can be written to a pipe

# Names of codings of raw audio in other programs.
_RAW_CODINGS = {
    "U8": "PCM_U8",
    "S16LE": "PCM_16",
    "S24LE": "PCM_24",
    "S32LE": "PCM_32",
    "F32LE": "FLOAT",
    "F64LE": "DOUBLE",
}

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


def is_lossless(format: str) -> bool:
    """Whether every decoder gets the same samples from a format such as "WAV/PCM_16" or "FLAC/PCM_24"."""
    subtype = format.rpartition("/")[2]
    return subtype.startswith(("PCM_", "ALAC_")) or subtype in ("FLOAT", "DOUBLE")


def needs_ffmpeg(start: bytes, name: str = "") -> bool:
    """Whether audio is decoded by ffmpeg rather than by libsndfile.

    Args:
        start: the first `SIGNATURE_BYTES` bytes of the file.
        name: its name; the suffix decides if the content is not recognised.
    """
    if any(start[at:].startswith(signature) for at, signature in _FFMPEG_SIGNATURES):
        return True
    if len(start) > 2 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0:  # ADTS: like MPEG audio of layer 0
        return True
    return Path(name).suffix.lower() in FFMPEG_SUFFIXES | VIDEO_SUFFIXES


def parse_raw_format(text: str) -> SampleFormat:
    """Parse RATE[,CHANNELS[,CODING]], such as "16000,1,PCM_16"; one channel and PCM_16 may be left out.

    Raises:
        UsageError: it does not have this form, or its values are not supported.
    """
    parts = [part.strip() for part in text.split(",")]
    rate, channels, coding = parts + ["", "1", "PCM_16"][len(parts) :] if len(parts) <= 3 else ["", "", ""]
    subtype = coding.upper().replace("-", "_")
    subtype = _RAW_CODINGS.get(subtype, subtype)
    if not (rate.isdecimal() and channels.isdecimal() and int(rate) and 0 < int(channels) < 1 << 16):
        raise UsageError(f"raw audio needs RATE,CHANNELS,CODING such as 16000,1,PCM_16, not {text!r}")
    if subtype not in SAMPLE_BYTES:
        raise UsageError(f"raw audio can be coded as {', '.join(SAMPLE_BYTES)}, not {coding}")
    return SampleFormat(int(rate), int(channels), subtype)


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
