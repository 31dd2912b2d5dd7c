"""Rates of numbers of experts, and the rule that packets of a constant rate obey.

Real rates count whole packets: mode fields, masks, indices, padding and CRC. The header and the trailer,
about a hundred bytes per file, are not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite

from ..errors import UsageError
from .modes import BlockKind, BlockMode, coded_modes
from .packet import MIN_PACKET_BYTES, PacketLayout
from .parameters import MAX_LAYER_BYTES, StreamParameters

# By convention, nine quantizers of 10 bits at 44100/512 frames per second are labelled 8 kbps. The label of
# other parameters is proportional to their bits per second.
_NOMINAL_PER_BIT = (8000 / 9) / (10 * 44100 / 512)


@dataclass(frozen=True)
class Rate:
    """An attainable constant rate, over all signals."""

    experts: int  # per window, over all signals
    real_kbps: float
    nominal_kbps: float

    @property
    def label(self) -> str:
        """The rate to ask for: the nominal one, or the real one where that is higher."""
        if self.real_kbps <= self.nominal_kbps:
            return f"{self.nominal_kbps:.2f}"
        return format_kbps(self.real_kbps)


def nominal_kbps(parameters: StreamParameters, quantizers: float) -> float:
    """Nominal label of a number of quantizers, rounded to two decimals as it is shown everywhere.

    Args:
        quantizers: shared ones and experts, over all signals
    """
    bits_per_second = parameters.quantizer_bits(1) * parameters.sample_rate / parameters.hop
    return round(quantizers * bits_per_second * _NOMINAL_PER_BIT / 1000, 2)


def real_kbps(parameters: StreamParameters, modes: Sequence[BlockMode]) -> float:
    """Rate of full packets with these modes, one per signal."""
    return parameters.packet_bytes(modes) * 8 / parameters.window_seconds / 1000


def split_experts(total: int, parameters: StreamParameters, signals: int) -> tuple[int, ...]:
    """Splits ``total`` experts evenly among the signals; the first signal gets the remainder.

    Raises:
        UsageError: the signals do not have that many experts.
    """
    if not 0 <= total <= parameters.experts * signals:
        raise UsageError(f"the number of experts must be 0 to {parameters.experts * signals}, not {total}")
    each, remainder = divmod(total, signals)
    return tuple(each + (signal < remainder) for signal in range(signals))


def all_splits(total: int, parameters: StreamParameters, signals: int) -> tuple[tuple[int, ...], ...]:
    """All ways to split ``total`` experts among the signals.

    Raises:
        UsageError: the signals do not have that many experts.
    """
    if signals == 1:
        return (split_experts(total, parameters, 1),)
    split_experts(total, parameters, signals)
    low, high = max(0, total - parameters.experts), min(total, parameters.experts)
    return tuple((first, total - first) for first in range(low, high + 1))


def total_kbps(parameters: StreamParameters, total: int, signals: int) -> float:
    """Highest rate of ``total`` experts per window over all ways to split them among the signals."""
    return max(real_kbps(parameters, coded_modes(split)) for split in all_splits(total, parameters, signals))


def attainable_rates(parameters: StreamParameters, signals: int) -> tuple[Rate, ...]:
    """All constant rates in ascending order."""
    return tuple(
        Rate(total, total_kbps(parameters, total, signals), nominal_kbps(parameters, signals + total))
        for total in range(parameters.experts * signals + 1)
    )


def format_kbps(kbps: float) -> str:
    """A rate with two decimals, rounded up, so that a request for the printed rate is attainable."""
    return f"{ceil(round(kbps * 100, 6)) / 100:.2f}"


def largest_experts(kbps: float, parameters: StreamParameters, signals: int) -> int:
    """Largest number of experts per window, over all signals, whose real rate is at most ``kbps``.

    Raises:
        UsageError: the rate without experts is above ``kbps``; the message lists the attainable rates.
    """
    rates = attainable_rates(parameters, signals)
    if not isfinite(kbps) or kbps <= 0:
        raise UsageError(f"a rate must be a positive number of kbps, not {kbps}")
    affordable = [rate.experts for rate in rates if rate.real_kbps <= kbps * (1 + 1e-9)]
    if not affordable:
        listed = ", ".join(rate.label for rate in rates)
        raise UsageError(f"{kbps:g} kbps is below the lowest rate; attainable are {listed} kbps")
    return affordable[-1]


# The rule of a constant rate (section 4.4 of the specification)


def keeps_constant_rate(
    parameters: StreamParameters, experts_total: int | None, modes: Sequence[BlockMode]
) -> bool:
    """Whether a packet may have these modes in a stream of ``experts_total`` experts per window.

    A window whose signals are all coded has exactly that many experts. Another window has at most that many,
    or one more if its packet is then at most 2 % larger than the largest one with all signals coded: the
    bits of the shared quantizer that is not needed pay for the expert.

    Args:
        experts_total: experts per window over all signals; None if the rate is not constant
        modes: modes that may occur together, one per signal
    """
    if experts_total is None:
        return True
    counts = [mode.experts for mode in modes if mode.kind is BlockKind.CODED]
    not_coded = len(modes) - len(counts)
    if not not_coded:
        return sum(counts) == experts_total
    if sum(counts) <= experts_total:
        return True
    largest = max(constant_packet_sizes(parameters, len(modes), experts_total))
    return sum(counts) <= experts_total + not_coded and 50 * parameters.packet_bytes(modes) <= 51 * largest


@lru_cache(maxsize=64)
def constant_packet_sizes(parameters: StreamParameters, signals: int, experts_total: int) -> frozenset[int]:
    """Sizes of the full packets of a constant rate in which all signals are coded."""
    splits = all_splits(experts_total, parameters, signals)
    return frozenset(parameters.packet_bytes(coded_modes(split)) for split in splits)


@lru_cache(maxsize=64)
def packet_sizes(layout: PacketLayout, experts_total: int | None, frames: int | None) -> Sequence[int]:
    """Sizes that a packet can have, in ascending order; of entropy-coded packets, all up to the largest.

    Args:
        layout: of the packets
        experts_total: experts per window over all signals; None if the rate is not constant
        frames: latent frames in the window; None for a full one
    """
    parameters = layout.parameters
    whole = parameters.frames_per_window if frames is None else frames
    sizes = {
        _largest_bytes(layout, modes, whole)
        for modes in parameters.all_modes(layout.signals)
        if keeps_constant_rate(parameters, experts_total, modes)
    }
    return range(MIN_PACKET_BYTES, max(sizes) + 1) if layout.entropy_coded else tuple(sorted(sizes))


def _largest_bytes(layout: PacketLayout, modes: Sequence[BlockMode], frames: int) -> int:
    """Size of the largest packet with these modes."""
    coded = sum(mode.kind is BlockKind.CODED for mode in modes)
    layer = MAX_LAYER_BYTES if layout.waveform_layers else 0
    return layout.packet_bytes(modes, frames, [0] * coded, [layer] * coded)
