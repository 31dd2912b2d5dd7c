"""Which window gets how many experts. Torch-free: works on tables of distortion.

A *choice* is what the signals of one window can be coded as: a number of experts each, silent, or a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..bitstream import StreamParameters
from ..bitstream.header import keeps_constant_rate

_BISECTIONS = 60


@dataclass(frozen=True)
class Choices:
    """All choices for a window, with their sizes."""

    parameters: StreamParameters
    codes: np.ndarray  # (O, signals), the codes of the packets
    sizes: np.ndarray  # (O,) bytes of a full window's packet

    @classmethod
    def of(
        cls, parameters: StreamParameters, signals: int, experts_total: int | None, most_bytes: int
    ) -> Choices:
        """Those that keep a constant rate of `experts_total` (None: any), and packets of `most_bytes`."""
        copy, silent = parameters.copy_code, parameters.silent_code
        codes = [
            codes
            for codes in product(range(copy + 1), repeat=signals)
            if codes[0] != copy
            and codes != (silent, copy)
            and keeps_constant_rate(parameters, experts_total, codes)
            and parameters.packet_bytes(codes) <= most_bytes
        ]
        sizes = np.array([parameters.packet_bytes(each) for each in codes], np.int64)
        return cls(parameters, np.array(codes, np.int64).reshape(-1, signals), sizes)

    def possible(self, silent: np.ndarray, same: np.ndarray) -> np.ndarray:
        """Which choices fit windows whose signals are `silent` (signals, W) or the `same` (W,): (W, O)."""
        is_silent = self.codes == self.parameters.silent_code  # (O, signals)
        is_copy = (self.codes == self.parameters.copy_code).any(1)  # (O,)
        fits = (is_silent[None] == silent.T[:, None]).all(2)
        copied = same & ~silent.any(0)
        # what is copied is not silent by itself
        copies = is_copy[None] & ~is_silent[:, 0][None] & copied[:, None]
        return np.where(copied[:, None], copies, fits & ~is_copy[None])

    def distortion(self, tables: np.ndarray, possible: np.ndarray) -> np.ndarray:
        """Distortion of every choice, infinite for impossible ones.

        tables: (signals, W, Nr + 1), by number of experts. Returns (W, O).
        """
        experts = self.parameters.experts
        total = np.zeros(possible.shape)
        for signal, codes in enumerate(self.codes.T):
            padded = np.pad(tables[signal], ((0, 0), (0, 2)))  # silent and copied signals cost nothing
            total += padded[:, np.minimum(codes, experts + 2)]
        return np.where(possible, total, np.inf)

    def sizes_of(self, windows: int, last_frames: int) -> np.ndarray:
        """Sizes of the packets of so many windows, the last of `last_frames` frames: (W, O)."""
        sizes = np.repeat(self.sizes[None], windows, 0)
        if windows and last_frames < self.parameters.frames_per_window:
            sizes[-1] = [
                self.parameters.packet_bytes(tuple(each), last_frames) for each in self.codes.tolist()
            ]
        return sizes


def at_price(distortion: np.ndarray, sizes: np.ndarray, price: float) -> np.ndarray:
    """The best choice (W,) of each window where a byte costs `price`; (W, O) both."""
    return (distortion + price * sizes).argmin(1)


def within_budget(distortion: np.ndarray, sizes: np.ndarray, budget: float) -> np.ndarray:
    """The choice (W,) of each window that gives the least distortion in all within `budget` bytes.

    distortion, sizes: (W, O). One price for all windows, found by bisection; what is left over then goes
    where it does most. Where the least sizes are above the budget already, they are taken.
    """
    rows = np.arange(len(sizes))
    if not len(sizes):
        return rows
    least = np.where(np.isfinite(distortion), sizes, np.iinfo(np.int64).max).argmin(1)
    chosen = at_price(distortion, sizes, 0.0)
    if sizes[rows, chosen].sum() <= budget:
        return chosen
    low, high = 1e-12, 1e12
    chosen = least
    for _ in range(_BISECTIONS):
        price = (low * high) ** 0.5
        trial = at_price(distortion, sizes, price)
        if sizes[rows, trial].sum() <= budget:
            chosen, high = trial, price
        else:
            low = price
    return _spend_rest(distortion, sizes, chosen, budget)


def _spend_rest(distortion: np.ndarray, sizes: np.ndarray, chosen: np.ndarray, budget: float) -> np.ndarray:
    """Better choices for what a common price leaves of the budget, the most gain per byte first."""
    rows, chosen = np.arange(len(sizes)), chosen.copy()
    while True:
        left = budget - sizes[rows, chosen].sum()
        cost = sizes - sizes[rows, chosen][:, None]
        gain = distortion[rows, chosen][:, None] - distortion
        useful = (gain > 0) & (cost <= left)
        ratio = np.where(useful, gain / np.maximum(cost, 0.5), -1)
        best = ratio.argmax(1)
        order = np.argsort(-ratio[rows, best], kind="stable")
        order = order[ratio[order, best[order]] > 0]
        # each window is taken once a round, while the sum still fits
        take = order[np.cumsum(np.maximum(cost[order, best[order]], 0)) <= left]
        if not len(take):
            return chosen
        chosen[take] = best[take]
