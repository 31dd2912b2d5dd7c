"""Quantities as text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..bitstream import Header

_SURROGATES = re.compile("[\ud800-\udfff]")  # for bytes of file names that are not text

_CHANNEL_CODINGS = {
    "MONO": "mono",
    "LEFT_RIGHT": "stereo (left and right)",
    "MID_SIDE": "stereo (mid and side)",
    "DUAL_MONO": "stereo (both channels equal)",
}


def format_duration(seconds: float) -> str:
    """A duration: 0.52 s, 12.3 s, 3 min 05 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_size(count: float) -> str:
    """A number of bytes: 812 B, 3.29 kB, 1.76 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5 or unit == "GB":
            break
    decimals = 2 if count < 10 else 1 if count < 100 else 0
    return f"{count:.{decimals}f} {unit}"


def format_pcm_ratio(ratio: float) -> str:
    """The size of a stream relative to samples of 16 bits, which are `ratio` times larger."""
    if ratio < 1:
        return f"{1 / ratio:.0f} × 16-bit PCM" if ratio else "no audio"
    return f"1/{ratio:.0f} of 16-bit PCM"


def format_speed(seconds: float, elapsed: float) -> str:
    """Speed of processing `seconds` of audio in `elapsed` seconds: 62 × real time."""
    speed = seconds / elapsed if elapsed > 0 else 0.0
    return f"{speed:.0f} × real time" if speed >= 10 else f"{speed:.1f} × real time"


def unlisted_text(count: int) -> str:
    """That so many damaged windows are not listed."""
    return f"and {count} more damaged windows"


def format_json(values: dict[str, Any]) -> str:
    """A JSON object in one line. Bytes of file names that are not UTF-8 become U+FFFD: JSON has text only."""
    return json.dumps(_without_surrogates(values), allow_nan=False)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(entry) for entry in value]
    return value


def format_channel_coding(header: Header) -> str:
    """How the channels of a stream are coded."""
    return _CHANNEL_CODINGS[header.channel_coding.name]
