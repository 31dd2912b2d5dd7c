"""Other codecs to compare with, as far as their programs are installed."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from ..audio.ffmpeg import has_ffmpeg
from ..errors import SwcError, UsageError, one_line
from .rate_quality import EncoderDecoder, Point


class Opus:
    """Opus in Ogg at a variable bit rate (libopus with its defaults), through the program `ffmpeg`.

    Raises:
        UsageError: ffmpeg is not installed.
    """

    def __init__(self) -> None:
        if not has_ffmpeg():
            raise UsageError("comparing with Opus needs the program ffmpeg, which is not installed")

    def encode(self, audio: np.ndarray, sample_rate: int, *, kbps: float) -> bytes:
        """Encode audio (n,) or (n, channels). Raises SwcError if ffmpeg fails."""
        channels = 1 if audio.ndim == 1 else audio.shape[1]
        pcm = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(channels), "-i", "pipe:0"]
        # bitexact: without it, Ogg gets a serial number at random
        ogg = ["-c:a", "libopus", "-b:a", f"{kbps:g}k", "-fflags", "+bitexact", "-f", "ogg", "pipe:1"]
        return _run_ffmpeg([*pcm, *ogg], np.ascontiguousarray(audio, "<f4").tobytes())

    def decode(self, data: bytes) -> tuple[np.ndarray, int]:
        """Decode, at 48 kHz. # (n, channels)"""
        audio, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        return audio, sample_rate


@dataclass(frozen=True)
class OtherCodec:
    """A codec to compare with."""

    title: str
    make: Callable[[], EncoderDecoder]
    rates: tuple[float, ...]  # in kbps


OTHER_CODECS = {"opus": OtherCodec("Opus", Opus, (6, 12, 24))}
"""The codecs that can be compared with, by name."""


def points_of_other_codecs(names: Sequence[str]) -> list[Point]:
    """The points of these codecs at their usual rates.

    Raises:
        UsageError: There is no codec of this name, or it is not installed.
    """
    points = []
    for name in names:
        if name not in OTHER_CODECS:
            known = ", ".join(OTHER_CODECS)
            raise UsageError(
                f"no other codec is called {name!r} (there is: {known}); "
                "files decoded elsewhere can be given with --also"
            )
        codec = OTHER_CODECS[name].make()
        points += [
            Point.at_rate(rate, OTHER_CODECS[name].title, codec=codec) for rate in OTHER_CODECS[name].rates
        ]
    return points


def _run_ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", *arguments]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    if result.returncode:
        message = result.stderr.decode(errors="replace").strip().splitlines()
        raise SwcError(f"ffmpeg: {one_line(message[-1]) if message else 'failed'}")
    return result.stdout
