"""Initial phases for Griffin-Lim, derived from the peaks of the magnitudes.

A sinusoid advances by its frequency times the hop from one spectrum to the next, and all bins of its main
lobe advance with it (the peak-locked phases of Laroche and Dolson 1999, "Improved phase vocoder time-scale
modification of audio"). A click has the same phase in all bins if it is in the middle of the frame, and a
phase linear in frequency elsewhere. Both can be read from the magnitudes: the frequency of a sinusoid from
the bins beside its peak, the position of energy within a frame from the frames before and after. From
random phases Griffin-Lim reconstructs neither low tones nor clicks well.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

RESTART = 64  # spectra between the points at which phases start anew, so that decoding can begin anywhere
ROWS = 64  # restarts after which the pseudo-random start phases repeat
LEAST = 1e-6  # smaller magnitudes are treated as this
PROMINENCE = 0.02  # nepers by which a peak must exceed the bins two away; excludes flat spectra
FAR = 1 << 20  # farther than any bin


class PhaseInitializer:
    """Unit phasors for a stream of magnitudes; runs one spectrum behind its input.

    A stream that begins elsewhere than at spectrum 0 has the phases of one that began there from the next
    multiple of RESTART on.

    Args:
        length: Samples of the Hann window of the spectra.
        hop: Samples between spectra.
        first_spectrum: Absolute number of the first spectrum that will be pushed.
    """

    def __init__(self, length: int, hop: int, first_spectrum: int = 0) -> None:
        self.length, self.hop = length, hop
        self._number = first_spectrum  # of the next spectrum
        self._recent: Tensor | None = None  # the last spectrum returned, if any, and one that waits
        self._returned = False  # whether any spectrum was returned
        self._phase: Tensor | None = None  # of the last spectrum, (B, bins) in cycles

    def push(self, magnitude: Tensor, last: bool = False) -> tuple[Tensor, Tensor]:
        """Process the next spectra.

        Args:
            magnitude: Magnitudes (B, T, bins), behind which further values may follow in the last dimension.
            last: Whether the stream ends with them.

        Returns:
            Phasors (B, n, bins) and the values given for their spectra (B, n, ...).
        """
        bins = self.length // 2 + 1
        joined = magnitude if self._recent is None else torch.cat([self._recent, magnitude], 1)
        begin = 1 if self._returned else 0
        end = joined.shape[1] if last else max(begin, joined.shape[1] - 1)
        ready = joined[:, begin:end]
        if not ready.shape[1]:
            self._recent = joined
            return torch.complex(ready[..., :bins], ready[..., :bins]), ready
        log = joined[..., :bins].clamp(min=LEAST).log()
        beside = torch.cat([log[:, :1], log, log[:, -1:]], 1)
        growth = beside[:, begin + 2 : end + 2] - beside[:, begin:end]
        self._recent, self._returned = joined[:, end - 1 :], True
        return self._phasors(log[:, begin:end], growth), ready

    def _phasors(self, log: Tensor, growth: Tensor) -> Tensor:
        """Phasors from log-magnitudes and their increase from the spectrum before to the one after."""
        bins = torch.arange(log.shape[2], device=log.device)
        offset, owner = self._peaks(log, bins)
        advance = (bins + offset) * (self.hop / self.length)
        advance = (advance - advance.floor()).gather(2, owner)  # cycles per hop
        table = _start_phases(len(bins), log.device).to(log.dtype)
        phase = torch.empty_like(advance)
        # three small operations per spectrum; a parallel scan was measured to be ten times as slow
        for now, own, step in zip(phase.unbind(1), owner.unbind(1), advance.unbind(1), strict=True):
            if self._phase is None or self._number % RESTART == 0:
                row = self._number // RESTART % ROWS
                torch.gather(table[row].expand(len(log), -1), 1, own, out=now)
            else:
                torch.gather(self._phase, 1, own, out=now)
                now.add_(step).frac_()
            self._number += 1
            self._phase = now
        self._phase = phase[:, -1].clone()  # `phase` is changed below
        # an impulse `place` frame lengths from the middle of a frame is weighted by the analysis windows of
        # the frames before and after in the ratio whose logarithm is `growth`
        place = (growth / 4).tanh_().div_(math.tan(math.pi * self.hop / self.length)).atan_().div_(math.pi)
        phase -= place.mul_(bins - owner)
        # refer the phase to the start of the frame instead of its middle
        phase.add_(0.5 * (bins % 2)).mul_(2 * math.pi)
        return torch.complex(phase.cos(), phase.sin())

    @staticmethod
    def _peaks(log: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """Offset in bins of the peak at each bin, 0 where there is none, and the bin of the nearest peak."""
        wide = pad(log, (2, 2), mode="replicate")
        below, above = wide[..., 1:-3], wide[..., 3:-1]
        prominent = log > torch.maximum(wide[..., :-4], wide[..., 4:]) + PROMINENCE
        peak = (log >= below) & (log > above) & prominent
        # the vertex of the parabola through three bins
        curvature = (below - 2 * log + above).clamp(max=-1e-3)
        offset = (0.5 * (below - above) / curvature).clamp(-0.5, 0.5) * peak
        # the nearest peak at or below a bin, and at or above it
        number = bins.int().expand_as(log)
        under = number.masked_fill(~peak, -FAR).cummax(-1).values
        over = number.masked_fill(~peak, FAR).flip(-1).cummin(-1).values.flip(-1)
        owner = torch.where(under + over >= 2 * number, under, over)
        return offset, torch.where(owner.abs() == FAR, 0, owner).long()


@lru_cache(maxsize=8)
def _start_phases(bins: int, device: torch.device) -> Tensor:
    """Fixed pseudo-random phases (ROWS, bins) in cycles, the same on every machine."""
    # integer arithmetic only, so that the result does not depend on the machine or on torch's version
    state = torch.arange(ROWS * bins, dtype=torch.int64)
    for multiplier in (0x45D9F3B, 0x119DE1F3, 0x2C1B3C6D):
        state = ((state ^ (state >> 16)) * multiplier + 0x9E3779B9) & 0xFFFFFFFF
    return ((state >> 8).float() / 2**24).view(ROWS, bins).to(device)
