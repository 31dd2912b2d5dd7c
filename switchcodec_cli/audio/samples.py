"""Arrays of samples as callers hand them in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError

FloatSamples = npt.NDArray[np.float32]

# Full scale and offset of integer samples.
_INTEGER_SCALES = {
    np.dtype(np.uint8): (128.0, 128.0),
    np.dtype(np.int8): (128.0, 0.0),
    np.dtype(np.int16): (32768.0, 0.0),
    np.dtype(np.int32): (2147483648.0, 0.0),
}


def as_samples(audio: Any) -> FloatSamples:
    """Convert audio to float32 samples of full scale 1.

    Args:
        audio: Floating-point samples of full scale 1; integers of 8, 16 or 32 bits, which are scaled by the
            full scale of their type (uint8 is offset by 128, as in WAV files); or a torch tensor of these,
            on any device, with or without gradient. # (n,) or (n, channels)

    Returns:
        Samples. # (n, channels)

    Raises:
        UsageError: The array has another type or shape, or samples that are not finite.
    """
    array = _as_array(audio)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise UsageError(f"audio must have the shape (n,) or (n, channels), not {array.shape}")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond the range of float32 is reported as infinite
            samples = array.astype(np.float32, copy=False)
        if not np.isfinite(samples).all():
            raise UsageError("the audio has samples that are not finite")
        return samples
    if array.dtype.newbyteorder("=") in _INTEGER_SCALES:
        full_scale, offset = _INTEGER_SCALES[array.dtype.newbyteorder("=")]
        return ((array.astype(np.float64) - offset) / full_scale).astype(np.float32)
    if array.size == 0 and array.dtype.kind in "iu":
        return array.astype(np.float32)
    raise UsageError(
        f"audio cannot be of type {array.dtype}; use floating-point numbers of full scale 1, "
        "or integers of 8 (int8, uint8), 16 or 32 bits"
    )


def _as_array(audio: Any) -> npt.NDArray[Any]:
    if hasattr(audio, "detach"):  # a torch tensor
        tensor = audio.detach().cpu()
        return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    try:
        return np.asarray(audio)
    except ValueError as error:  # nested sequences of unequal lengths
        raise UsageError(f"audio is not an array of samples ({error})") from None
