"""Which window gets how many experts. Torch-free: works on tables of distortion.

A *choice* is what the signals of one window can be coded as: a number of experts each, silent, or what is
*derived* from the other signal, a copy or a panned one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...bitstream import BlockKind, BlockMode, StreamParameters, keeps_constant_rate

_BISECTIONS = 60


@dataclass(frozen=True)
class Choices:
    """All choices for a window, with their sizes."""

    parameters: StreamParameters
    codes: np.ndarray  # (O, signals), mode fields of the packets
    sizes: np.ndarray  # (O,) bytes of a full window's packet

    @classmethod
    def of(
        cls, parameters: StreamParameters, signals: int, experts_total: int | None, most_bytes: int
    ) -> Choices:
        """Those that keep a constant rate of `experts_total` (None: any), and packets of `most_bytes`."""
        choices = [
            modes
            for modes in parameters.all_modes(signals)
            if keeps_constant_rate(parameters, experts_total, modes)
            and parameters.packet_bytes(modes) <= most_bytes
        ]
        sizes = np.array([parameters.packet_bytes(each) for each in choices], np.int64)
        codes = [[parameters.mode_field(mode) for mode in modes] for modes in choices]
        return cls(parameters, np.array(codes, np.int64).reshape(-1, signals), sizes)

    def possible(self, silent: np.ndarray, same: np.ndarray, panned: np.ndarray) -> np.ndarray:
        """Which choices fit windows whose signals are `silent` (signals, W), the `same` (W,) or `panned`.

        panned (signals, W): which signal, if any, is a panned version of the other one. Returns (W, O).
        """
        parameters = self.parameters
        silent_field, copy_field, intensity_field = (
            parameters.mode_field(BlockMode(kind))
            for kind in (BlockKind.SILENT, BlockKind.COPY, BlockKind.INTENSITY)
        )
        wanted = np.where(silent, silent_field, 0)  # 0 stands for any number of experts
        heard = ~silent.any(0)
        for signal in range(len(silent)):
            wanted[signal, panned[signal] & heard] = intensity_field
        if len(silent) == 2:
            wanted[:, same & heard] = np.array([[0], [copy_field]])
        kinds = np.where(self.codes <= parameters.experts, 0, self.codes)  # (O, signals)
        return (kinds[None] == wanted.T[:, None]).all(2)

    def distortion(self, tables: np.ndarray, possible: np.ndarray) -> np.ndarray:
        """Distortion of every choice, infinite for impossible ones.

        tables: (signals, W, Nr + 1), by number of experts. Returns (W, O).
        """
        experts = self.parameters.experts
        total = np.zeros(possible.shape)
        # silent signals cost nothing; what is derived from the other signal fares as that does
        padded = np.pad(tables, ((0, 0), (0, 0), (0, 1)))
        for signal, codes in enumerate(self.codes.T):
            derived = codes > self.parameters.mode_field(BlockMode(BlockKind.SILENT))
            other = np.minimum(self.codes[:, -1 - signal], experts + 1)
            own = padded[signal][:, np.where(derived, experts + 1, codes)]
            total += np.where(derived, padded[-1 - signal][:, other], own)
        return np.where(possible, total, np.inf)

    def sizes_of(self, windows: int, last_frames: int) -> np.ndarray:
        """Sizes of the packets of so many windows, the last of `last_frames` frames: (W, O)."""
        sizes = np.repeat(self.sizes[None], windows, 0)
        if windows and last_frames < self.parameters.frames_per_window:
            sizes[-1] = [
                self.parameters.packet_bytes(tuple(map(self.parameters.mode_of_field, each)), last_frames)
                for each in self.codes.tolist()
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
