"""What every window is coded as, under a constant rate, an average rate or a quality."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...bitstream import Header, RateMode, coded_modes, header_bytes, trailer_bytes
from ..settings import EncoderSettings
from .allocation import Choices, at_price, within_budget

if TYPE_CHECKING:
    from ..analysis import Chunk

LOOK_AHEAD_CHUNKS = 4  # of 8 windows: an average rate is kept with some 32 seconds in view
PRICE_AT_0, PRICE_FALL = 0.22, 10**0.25  # distortion per kbps at quality 0; by so much less a step


@dataclass(frozen=True)
class RateAllocation:
    """The codes of all windows, from a first pass over the whole input."""

    codes: np.ndarray  # (W, signals)


@dataclass
class _Waiting:
    """A chunk's part in the allocation."""

    possible: np.ndarray  # (W, O)
    distortion: np.ndarray  # (W, O)
    sizes: np.ndarray  # (W, O)


class RateControl:
    """Decides for chunks in order, each as soon as enough of what follows is known."""

    def __init__(self, settings: EncoderSettings, header: Header, look_ahead: int | None = LOOK_AHEAD_CHUNKS):
        """look_ahead: chunks for an average rate; None waits for the end."""
        self.settings, self.header = settings, header
        self.parameters, self.look_ahead = header.parameters, look_ahead
        most = settings.most_bytes(header.parameters, header.signals)
        self.choices = Choices.of(header.parameters, header.signals, header.experts_total, most)
        self.waiting: deque[_Waiting] = deque()
        self.windows = self.frames = 0  # in all chunks so far
        # of a short window that may follow, with what it adds to the trailer
        self.reserve = header.parameters.packet_bytes(coded_modes([0] * header.signals), 1) + 8
        self.spent = 0  # bytes of packets decided on

    def push(self, chunk: Chunk) -> list[np.ndarray]:
        """The next chunk; out come the codes (W, signals) of those that can be decided now."""
        size = self.parameters.frames_per_window
        possible = self.choices.possible(chunk.silent, chunk.same, chunk.panned)
        tables = chunk.tables
        if tables is None:  # nothing to weigh up: as many experts as there may be
            tables = np.broadcast_to(
                -np.arange(self.parameters.experts + 1.0), (*chunk.silent.shape, self.parameters.experts + 1)
            )
        last_frames = (chunk.z.shape[1] - 1) % size + 1
        sizes = self.choices.sizes_of(chunk.windows, last_frames)
        self.windows += chunk.windows
        self.frames += chunk.z.shape[1]
        self.waiting.append(_Waiting(possible, self.choices.distortion(tables, possible), sizes))
        if self.header.rate_mode != RateMode.AVERAGE:
            return [self._at_once(self.waiting.popleft())]
        if self.look_ahead is None or len(self.waiting) <= self.look_ahead:
            return []
        # the last frame may be padded
        seconds = (self.frames - 1) * self.parameters.hop / self.parameters.sample_rate
        return self._decide(seconds, 1, self.reserve)

    def finish(self, samples: int) -> list[np.ndarray]:
        """The codes of the chunks that wait, after the end of an input of so many samples per channel."""
        return self._decide(samples / self.header.original_rate, len(self.waiting))

    def _at_once(self, chunk: _Waiting) -> np.ndarray:
        price = 0.0
        if self.settings.quality is not None:
            per_byte = 8e-3 / self.parameters.window_seconds  # kbps
            price = PRICE_AT_0 * PRICE_FALL**-self.settings.quality * per_byte
        return self.choices.codes[at_price(chunk.distortion, chunk.sizes, price)]

    def _decide(self, seconds: float, count: int, reserve: int = 0) -> list[np.ndarray]:
        """Codes of the `count` chunks that wait longest, where `seconds` of audio are known so far.

        reserve: bytes to be left over.
        """
        if not count:
            return []
        container = header_bytes(self.header) + trailer_bytes(self.header, self.windows)
        budget = self.settings.average_kbps * 125 * seconds - container - reserve - self.spent
        distortion = np.concatenate([each.distortion for each in self.waiting])
        sizes = np.concatenate([each.sizes for each in self.waiting])
        chosen = within_budget(distortion, sizes, budget)
        decided = []
        for _ in range(count):
            windows = len(self.waiting.popleft().sizes)
            decided.append(self.choices.codes[chosen[:windows]])
            self.spent += int(sizes[np.arange(windows), chosen[:windows]].sum())
            chosen, sizes = chosen[windows:], sizes[windows:]
        return decided
