"""Continuation of a signal beyond its end by linear prediction.

The analysis windows of the last latent frames reach beyond the end of a recording. Zeros there would make the
end a sudden stop, whose spectrum is that of a click; a continuation has the spectrum of the signal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ORDER = 32
CONTEXT = 2048  # samples from which the predictor is estimated

FloatArray = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]


def extrapolate(signal: Samples, count: int) -> Samples:
    """Continue a signal.

    Args:
        signal: The last samples, CONTEXT of them if there are so many. # (n,)
        count: Samples to append.

    Returns:
        The continuation; zeros if the signal is too short. # (count,)
    """
    known = signal[-CONTEXT:].astype(np.float64)
    if len(known) < 2 * ORDER:
        return np.zeros(count, np.float32)
    coefficients = burg(known, ORDER)[::-1]
    extended = np.concatenate([known[len(known) - len(coefficients) :], np.zeros(count)])
    for position in range(count):
        extended[position + len(coefficients)] = (
            coefficients @ extended[position : position + len(coefficients)]
        )
    return extended[len(coefficients) :].astype(np.float32)


def burg(signal: FloatArray, order: int) -> FloatArray:
    """Coefficients a of the linear predictor x[n] = a[0] x[n-1] + a[1] x[n-2] + ... by Burg's method.

    The predictor is stable, so that a continuation does not grow (Burg 1975, "Maximum entropy spectral
    analysis").

    Args:
        signal: More than `order` samples. # (n,)
        order: Number of coefficients; fewer are returned for a signal without energy.
    """
    forward, backward = signal[1:].copy(), signal[:-1].copy()
    coefficients: FloatArray = np.zeros(0)
    for _ in range(order):
        energy = forward @ forward + backward @ backward
        if energy < 1e-20:
            break
        reflection = 2 * (forward @ backward) / energy
        coefficients = np.concatenate([coefficients - reflection * coefficients[::-1], [reflection]])
        forward, backward = (forward - reflection * backward)[1:], (backward - reflection * forward)[:-1]
    return coefficients
