"""From a number of experts to a rate and back.

Real rates are those of whole packets: codes, masks, indices, padding and checksum.  Header and trailer are
not in them; they take some hundred bytes per file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from ..errors import UsageError
from .parameters import StreamParameters

# The nominal label counts 8/9 kbps for a quantizer of 10 bits per frame at 44100/512 frames per second, so
# that the usual nine quantizers are "8 kbps"; other parameters in proportion to their bits per second.
_NOMINAL_PER_BIT = (8000 / 9) / (10 * 44100 / 512)


@dataclass(frozen=True)
class Rate:
    """An attainable constant rate, over all signals."""

    experts: int  # per window, over all signals
    real_kbps: float
    nominal_kbps: float


def nominal_kbps(parameters: StreamParameters, quantizers: float) -> float:
    """The nominal label of ``quantizers`` quantizers (shared ones and experts, over all signals)."""
    bits_per_second = parameters.quantizer_bits(1) * parameters.sample_rate / parameters.hop
    return quantizers * bits_per_second * _NOMINAL_PER_BIT / 1000


def real_kbps(parameters: StreamParameters, codes: Sequence[int]) -> float:
    """Rate of full packets with these codes, one per signal."""
    return parameters.packet_bytes(codes) * 8 / parameters.window_seconds / 1000


def split_experts(total: int, parameters: StreamParameters, signals: int) -> tuple[int, ...]:
    """Shares ``total`` experts evenly among the signals, the first getting what is left over.

    Raises UsageError if the signals cannot hold that many.
    """
    if not 0 <= total <= parameters.experts * signals:
        raise UsageError(f"the number of experts must be 0 to {parameters.experts * signals}, not {total}")
    each, over = divmod(total, signals)
    return tuple(each + (signal < over) for signal in range(signals))


def all_splits(total: int, parameters: StreamParameters, signals: int) -> tuple[tuple[int, ...], ...]:
    """Every way to share ``total`` experts among the signals."""
    if signals == 1:
        return (split_experts(total, parameters, 1),)
    split_experts(total, parameters, signals)
    low, high = max(0, total - parameters.experts), min(total, parameters.experts)
    return tuple((first, total - first) for first in range(low, high + 1))


def total_kbps(parameters: StreamParameters, total: int, signals: int) -> float:
    """Rate of ``total`` experts per window over all signals, whichever way they are shared: the highest."""
    return max(real_kbps(parameters, codes) for codes in all_splits(total, parameters, signals))


def attainable_rates(parameters: StreamParameters, signals: int) -> tuple[Rate, ...]:
    """All constant rates, lowest first."""
    return tuple(
        Rate(total, total_kbps(parameters, total, signals), nominal_kbps(parameters, signals + total))
        for total in range(parameters.experts * signals + 1)
    )


def format_kbps(kbps: float) -> str:
    """A rate to two decimals, rounded up, so that asking for the printed figure grants it."""
    return f"{ceil(round(kbps * 100, 6)) / 100:.2f}"


def largest_experts(kbps: float, parameters: StreamParameters, signals: int) -> int:
    """The largest number of experts per window, over all signals, whose real rate is at most ``kbps``.

    Raises UsageError, listing the attainable rates, if even none is too many.
    """
    rates = attainable_rates(parameters, signals)
    if not isfinite(kbps) or kbps <= 0:
        raise UsageError(f"a rate is a positive number of kbps, not {kbps}")
    affordable = [rate.experts for rate in rates if rate.real_kbps <= kbps * (1 + 1e-9)]
    if not affordable:
        listed = ", ".join(format_kbps(rate.real_kbps) for rate in rates)
        raise UsageError(f"{kbps:g} kbps is below the least possible; attainable are {listed} kbps")
    return affordable[-1]
