"""Choice of the channels to encode, and down-mixing.

Inputs of three to eight channels are assumed to use the channel order of WAV and FLAC:

    3  L R C              4  L R Ls Rs            5  L R C Ls Rs        6  L R C LFE Ls Rs (5.1)
    7  L R C LFE Cs Ls Rs (6.1)                   8  L R C LFE Lb Rb Ls Rs (7.1)

They are mixed to stereo by ITU-R BS.775: left = L + 0.7071 C + 0.7071 (Ls + Lb + 0.7071 Cs), right likewise,
without the LFE channel, scaled so that the result cannot clip. Mono is the mean of left and right. More than
eight channels have no standard order and are averaged.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..errors import UsageError

CHANNEL_MODES = ("auto", "mono", "stereo")

_HALF_POWER = sqrt(0.5)
_LEFT_RIGHT = {  # speaker: (gain to the left, gain to the right)
    "L": (1.0, 0.0),
    "R": (0.0, 1.0),
    "C": (_HALF_POWER, _HALF_POWER),
    "LFE": (0.0, 0.0),
    "Cs": (0.5, 0.5),
    "Ls": (_HALF_POWER, 0.0),
    "Rs": (0.0, _HALF_POWER),
    "Lb": (_HALF_POWER, 0.0),
    "Rb": (0.0, _HALF_POWER),
}
_LAYOUTS = {
    3: "L R C",
    4: "L R Ls Rs",
    5: "L R C Ls Rs",
    6: "L R C LFE Ls Rs",
    7: "L R C LFE Cs Ls Rs",
    8: "L R C LFE Lb Rb Ls Rs",
}


def choose_channels(channels: int, mode: str, name: str = "the input") -> int:
    """The number of channels (1 or 2) to encode an input with.

    Args:
        channels: number of channels of the input.
        mode: one of `CHANNEL_MODES`; "auto" keeps mono and stereo.
        name: name of the input in error messages.

    Raises:
        UsageError: unknown mode, or more than two channels and `mode` "auto".
    """
    if mode not in CHANNEL_MODES:
        raise UsageError(f"channels must be one of {', '.join(CHANNEL_MODES)}, not {mode!r}")
    if mode != "auto":
        return 1 if mode == "mono" else 2
    if channels > 2:
        raise UsageError(
            f"{name}: has {channels} channels; use --channels stereo or --channels mono to mix them down"
        )
    return channels


def mixing_matrix(channels_in: int, channels_out: int) -> np.ndarray:
    """Gains from input channels to output channels. # (channels_in, channels_out), float32"""
    if channels_out not in (1, 2):
        raise ValueError("audio is mixed to one or two channels")
    if channels_in == channels_out:
        return np.eye(channels_in, dtype=np.float32)
    if channels_in == 1:
        return np.ones((1, channels_out), np.float32)
    if channels_in == 2:
        stereo = np.eye(2)
    elif channels_in in _LAYOUTS:
        stereo = np.array([_LEFT_RIGHT[speaker] for speaker in _LAYOUTS[channels_in].split()])
        stereo /= stereo.sum(axis=0)
    else:
        stereo = np.full((channels_in, 2), 1 / channels_in)
    return (stereo if channels_out == 2 else stereo.mean(axis=1, keepdims=True)).astype(np.float32)


def mix(block: np.ndarray, channels_out: int) -> np.ndarray:
    """Mix a block to one or two channels. # (n, channels) -> (n, channels_out)"""
    if block.shape[1] == channels_out:
        return block
    matrix = mixing_matrix(block.shape[1], channels_out)
    # Not `@`, since the summation order of BLAS may depend on the length of the block.
    mixed: np.ndarray = np.einsum("nc,co->no", block, matrix, optimize=False)
    return mixed
