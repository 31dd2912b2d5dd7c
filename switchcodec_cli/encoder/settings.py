"""What an encoder is asked for: a rate in one of its forms, and how hard to search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..bitstream import (
    RateMode,
    StreamParameters,
    attainable_rates,
    coded_modes,
    format_kbps,
    largest_experts,
)
from ..errors import UsageError

DEFAULT_KBPS = 2.67
DEFAULT_EFFORT = 2
EFFORTS = (0, 1, 2, 3)
BEST_QUALITY = 10.0


@dataclass(frozen=True)
class EncoderSettings:
    """One of four ways to set the rate, a ceiling for two of them, and the effort.

    Raises UsageError where they contradict each other.
    """

    kbps: float | None = None  # constant: no window above this rate
    experts: int | None = None  # constant: experts per window and signal
    average_kbps: float | None = None  # the file as a whole stays below this rate
    quality: float | None = None  # 0..10, as many experts as each window needs
    max_kbps: float | None = None  # ceiling per window, with average_kbps or quality
    effort: int = DEFAULT_EFFORT

    def __post_init__(self) -> None:
        given = [
            name
            for name, value in (
                ("a constant rate in kbps", self.kbps),
                ("a number of experts", self.experts),
                ("an average rate", self.average_kbps),
                ("a quality", self.quality),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} contradict each other: give one of them")
        if self.max_kbps is not None and self.constant:
            raise UsageError(
                "a ceiling is for an average rate or a quality; a constant rate is never above what it says"
            )
        for name, rate in (("an average rate", self.average_kbps), ("a ceiling", self.max_kbps)):
            if rate is not None and not (math.isfinite(rate) and rate > 0):
                raise UsageError(f"{name} is a positive number of kbps, not {rate}")
        if self.quality is not None and not 0 <= self.quality <= BEST_QUALITY:
            raise UsageError(f"a quality is a number from 0 to {BEST_QUALITY:g}, not {self.quality}")
        if isinstance(self.effort, bool) or self.effort not in EFFORTS:
            raise UsageError(f"the effort is one of {', '.join(map(str, EFFORTS))}, not {self.effort!r}")

    @property
    def constant(self) -> bool:
        """Whether every window uses the same number of experts."""
        return self.average_kbps is None and self.quality is None

    @property
    def rate_mode(self) -> RateMode:
        """The mode for the header of the stream."""
        if self.constant:
            return RateMode.CONSTANT
        return RateMode.QUALITY if self.average_kbps is None else RateMode.AVERAGE

    @property
    def nominal_bits_per_second(self) -> int:
        """The rate that was asked for, 0 where none was."""
        rate = self.kbps if self.average_kbps is None else self.average_kbps
        return 0 if rate is None else round(1000 * rate)

    def total_experts(self, parameters: StreamParameters, signals: int) -> int | None:
        """Experts per window over all signals of a constant rate; None for the other modes.

        Raises UsageError where these parameters cannot have the rate.
        """
        if not self.constant:
            return None
        if self.experts is not None:
            if not 0 <= self.experts <= parameters.experts:
                raise UsageError(f"experts must be 0 to {parameters.experts}, not {self.experts}")
            return self.experts * signals
        return largest_experts(DEFAULT_KBPS if self.kbps is None else self.kbps, parameters, signals)

    def most_bytes(self, parameters: StreamParameters, signals: int) -> int:
        """The largest packet, in bytes, of a full window that the ceiling or the constant rate allows.

        Raises UsageError where even the smallest packet with sound in it is above the ceiling.
        """
        most = parameters.packet_bytes(coded_modes([parameters.experts] * signals))
        ceiling = self.max_kbps
        if self.constant and self.experts is None:
            ceiling = DEFAULT_KBPS if self.kbps is None else self.kbps
        if ceiling is None:
            return most
        largest_experts(ceiling, parameters, signals)
        return min(most, int(ceiling * 1000 * parameters.window_seconds / 8 * (1 + 1e-9)))

    def check(self, parameters: StreamParameters, signals: int) -> None:
        """Raises UsageError where no sound at all could be coded this way."""
        self.total_experts(parameters, signals)
        self.most_bytes(parameters, signals)
        least = attainable_rates(parameters, signals)[0].real_kbps
        if self.average_kbps is not None and self.average_kbps < least:
            raise UsageError(
                f"an average of {self.average_kbps:g} kbps is below the least possible: "
                f"ask for {format_kbps(least)} kbps or more" + (", or for mono" if signals > 1 else "")
            )
        if self.average_kbps is not None and (self.max_kbps or math.inf) < self.average_kbps:
            raise UsageError(
                f"a ceiling of {self.max_kbps:g} kbps is below the average of {self.average_kbps:g} kbps: "
                "raise it or ask for less"
            )
