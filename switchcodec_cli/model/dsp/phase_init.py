"""Where the phase search starts: phases that follow the peaks of the magnitudes.

A line of the spectrum turns by its frequency times the hop from one spectrum to the next, and all bins of its
main lobe turn with it (the peak-locked phases of Laroche and Dolson 1999, "Improved phase vocoder time-scale
modification of audio"); a click in the middle of a frame has the same phase everywhere, and elsewhere a slope
along frequency. Both can be read from magnitudes: a line's frequency from the bins beside its peak, the place
of energy within a frame from the frames before and after. Griffin-Lim never finds low tones
and clicks from random phases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

RESTART = 64  # spectra after which phases begin anew, at multiples of it, so that decoding can begin anywhere
ROWS = 64  # the phases to begin with repeat after so many restarts
LEAST = 1e-6  # magnitudes below are as good as nothing
PROMINENCE = 0.02  # nepers that a peak stands above the bins two further; a flat spectrum has none
FAR = 1 << 20


class PhaseInitializer:
    """Unit phasors for a stream of magnitudes (Hann windows of `length` samples, `hop` apart).

    `number` is the absolute number of the next spectrum. A stream that begins elsewhere has the phases of one
    that began at zero from the next multiple of RESTART on. Runs one spectrum behind its input.
    """

    def __init__(self, length: int, hop: int):
        self.length, self.hop = length, hop
        self.number = 0
        self.recent: Tensor | None = None  # the last spectrum that left, if any, and one that waits
        self.left = False
        self.phase: Tensor | None = None  # of the last spectrum, (B, bins) in cycles

    def push(self, magnitude: Tensor, last: bool = False) -> tuple[Tensor, Tensor]:
        """Magnitudes (B, T, bins) in; phasors and magnitudes (B, n, bins) out."""
        joined = magnitude if self.recent is None else torch.cat([self.recent, magnitude], 1)
        begin = 1 if self.left else 0
        end = joined.shape[1] if last else max(begin, joined.shape[1] - 1)
        ready = joined[:, begin:end]
        if not ready.shape[1]:
            self.recent = joined
            return torch.complex(ready, ready), ready
        log = joined.clamp(min=LEAST).log()
        growth = pad(log.mT, (1, 1), mode="replicate").mT
        growth = (growth[:, 2:] - growth[:, :-2])[:, begin:end]
        self.recent, self.left = joined[:, end - 1 :], True
        return self._phasors(log[:, begin:end], growth), ready

    def _phasors(self, log: Tensor, growth: Tensor) -> Tensor:
        """Log-magnitudes, and how much they grow from the spectrum before to the one after -> phasors."""
        bins = torch.arange(log.shape[2], device=log.device)
        offset, owner = self._peaks(log, bins)
        turn = (bins + offset) * (self.hop / self.length)
        turn = (turn - turn.floor()).gather(2, owner)  # cycles a hop
        table = _first_phases(len(bins), log.device)
        phases = []
        # a recurrence, and a cheap one: two small operations a spectrum beat a parallel scan tenfold
        for index in range(log.shape[1]):
            if self.phase is None or self.number % RESTART == 0:
                row = self.number // RESTART % ROWS
                self.phase = table[row].expand(len(log), -1).gather(1, owner[:, index])
            else:
                self.phase = (self.phase.gather(1, owner[:, index]) + turn[:, index]).frac()
            self.number += 1
            phases.append(self.phase)
        phase = torch.stack(phases, 1)
        # an impulse `place` frame lengths from the middle of a frame is seen by the windows of the frames
        # before and after in the ratio whose logarithm is `growth`
        place = ((growth / 4).tanh() / math.tan(math.pi * self.hop / self.length)).atan() / math.pi
        phase = phase - (bins - owner) * place
        # phases so far are those at the middle of the frame
        phase = (phase + 0.5 * (bins % 2)) * (2 * math.pi)
        return torch.complex(phase.cos(), phase.sin())

    @staticmethod
    def _peaks(log: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """For all bins: how far a peak here is from its bin's frequency, in bins; the nearest one, or 0."""
        beside = pad(log, (1, 1), mode="replicate")
        below, above = beside[..., :-2], beside[..., 2:]
        wide = pad(log, (2, 2), mode="replicate")
        standing = log > torch.maximum(wide[..., :-4], wide[..., 4:]) + PROMINENCE
        peak = (log >= below) & (log > above) & standing
        # the vertex of the parabola through three bins
        curvature = (below - 2 * log + above).clamp(max=-1e-3)
        offset = (0.5 * (below - above) / curvature).clamp(-0.5, 0.5) * peak
        # the peak at or below a bin, and the one at or above it
        number = bins.int().expand_as(log)
        under = number.masked_fill(~peak, -FAR).cummax(-1).values
        over = number.masked_fill(~peak, FAR).flip(-1).cummin(-1).values.flip(-1)
        owner = torch.where(under + over >= 2 * number, under, over)
        return offset, torch.where(owner.abs() == FAR, 0, owner).long()


_tables: dict[tuple[int, torch.device], Tensor] = {}


def _first_phases(bins: int, device: torch.device) -> Tensor:
    """Fixed pseudo-random phases (ROWS, bins) in cycles, the same on every machine."""
    if (bins, device) not in _tables:
        # integer arithmetic only, so that every machine and version gets the same phases
        state = torch.arange(ROWS * bins, dtype=torch.int64)
        for multiplier in (0x45D9F3B, 0x119DE1F3, 0x2C1B3C6D):
            state = ((state ^ (state >> 16)) * multiplier + 0x9E3779B9) & 0xFFFFFFFF
        _tables[bins, device] = ((state >> 8).float() / 2**24).view(ROWS, bins).to(device)
    return _tables[bins, device]
