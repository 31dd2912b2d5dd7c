"""Allocation of experts to windows by distortion and size. Needs numpy alone.

An *option* is a way to code one window: a mode for the block of each signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...bitstream import BlockKind, BlockMode, PacketLayout, keeps_constant_rate

BISECTIONS = 60

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_KINDS = list(BlockKind)
_DERIVED = (BlockKind.COPY, BlockKind.INTENSITY)  # from the other signal


@dataclass(frozen=True)
class CodingOptions:
    """The options of a window."""

    layout: PacketLayout
    modes: tuple[tuple[BlockMode, ...], ...]  # of each option

    @classmethod
    def of(cls, layout: PacketLayout, experts_total: int | None, max_bytes: int) -> CodingOptions:
        """The options with packets of at most `max_bytes` that keep a constant number of experts.

        Args:
            layout: Of the packets.
            experts_total: Experts per window over all signals, None where they may vary.
            max_bytes: Size limit for the packet of a whole window with plain indices.
        """
        parameters = layout.parameters
        modes = [
            each
            for each in parameters.all_modes(layout.signals)
            if keeps_constant_rate(parameters, experts_total, each)
            and layout.packet_bytes(each, parameters.frames_per_window, _plain(each)) <= max_bytes
        ]
        return cls(layout, tuple(modes))

    def possible(self, silent: BoolArray, same: BoolArray, intensity: BoolArray) -> BoolArray:
        """Which options fit windows with these properties.

        Args:
            silent: Whether a block is silent. # (signals, W)
            same: Whether the second signal can be a copy of the first. # (W,)
            intensity: Whether a signal is the other one at other levels. # (signals, W)

        Returns:
            Whether an option is possible. # (W, O)
        """
        wanted = np.where(silent, _KINDS.index(BlockKind.SILENT), _KINDS.index(BlockKind.CODED))
        audible = ~silent.any(0)
        for signal in range(len(silent)):
            wanted[signal, intensity[signal] & audible] = _KINDS.index(BlockKind.INTENSITY)
        if len(silent) == 2:
            copied = same & audible
            wanted[0, copied] = _KINDS.index(BlockKind.CODED)
            wanted[1, copied] = _KINDS.index(BlockKind.COPY)
        kinds = np.array([[_KINDS.index(mode.kind) for mode in each] for each in self.modes])  # (O, signals)
        fits: BoolArray = (kinds.reshape(1, len(self.modes), -1) == wanted.T[:, None]).all(2)
        return fits

    def distortion(self, tables: FloatArray, possible: BoolArray) -> FloatArray:
        """Distortion of every option, infinite for impossible ones.

        Silent blocks have none; blocks derived from the other signal have that signal's.

        Args:
            tables: Distortion by number of experts. # (signals, W, Nr + 1)
            possible: Which options are possible. # (W, O)

        Returns:
            Distortion. # (W, O)
        """
        none = self.layout.parameters.experts + 1  # the column of zeros behind the table
        padded = np.pad(tables, ((0, 0), (0, 0), (0, 1)))
        total = np.zeros(possible.shape)
        for signal in range(len(tables)):
            source, column = [], []
            for option in self.modes:
                derived = option[signal].kind in _DERIVED
                mode = option[-1 - signal] if derived else option[signal]
                source.append(len(tables) - 1 - signal if derived else signal)
                column.append(mode.experts if mode.kind is BlockKind.CODED else none)
            total += padded[source, :, column].T
        return np.where(possible, total, np.inf)

    def window_sizes(self, windows: int, last_frames: int, payload_bytes: IntArray | None = None) -> IntArray:
        """Sizes of the packets of windows.

        Args:
            windows: Number of windows.
            last_frames: Latent frames of the last one.
            payload_bytes: Expected bytes of indices and layers by number of experts; None for plain indices.
                # (signals, W, Nr + 1)

        Returns:
            Bytes. # (W, O)
        """
        whole = self.layout.parameters.frames_per_window
        sizes = np.repeat(self._sizes(whole)[None], windows, 0)
        if windows and last_frames < whole:
            sizes[-1] = self._sizes(last_frames)
        if payload_bytes is not None:
            frames = np.full(windows, whole)
            frames[-1:] = last_frames
            for option, modes in enumerate(self.modes):
                for signal, mode in enumerate(modes):
                    if mode.kind is BlockKind.CODED:
                        plain = [self.layout.parameters.plain_bytes(mode.experts, int(f)) for f in frames]
                        sizes[:, option] += payload_bytes[signal, :, mode.experts] - plain
        return sizes

    def _sizes(self, frames: int) -> IntArray:
        """Sizes of the packets of windows of so many frames with plain indices. # (O,)"""
        return np.array([self.layout.packet_bytes(each, frames, _plain(each)) for each in self.modes])


def _plain(modes: tuple[BlockMode, ...]) -> list[int]:
    """The sizes of modelled indices where all are plain."""
    return [0] * sum(mode.kind is BlockKind.CODED for mode in modes)


def minimise_cost(distortion: FloatArray, sizes: IntArray, multiplier: float) -> IntArray:
    """For each window the option with the least distortion + multiplier * size; (W, O) both -> (W,)."""
    best: IntArray = (distortion + multiplier * sizes).argmin(1)
    return best


def minimise_distortion(distortion: FloatArray, sizes: IntArray, budget: float) -> IntArray:
    """For each window an option, so that the total distortion is least within a budget.

    One Lagrange multiplier for all windows is found by bisection; what it leaves of the budget is spent where
    it lowers the distortion most per byte. Where the smallest options exceed the budget, they are taken.

    Args:
        distortion: Of every option, infinite for impossible ones. # (W, O)
        sizes: In bytes. # (W, O)
        budget: Bytes in total.

    Returns:
        The number of each window's option. # (W,)
    """
    rows = np.arange(len(sizes))
    if not len(sizes):
        return rows
    smallest = np.where(np.isfinite(distortion), sizes, np.iinfo(np.int64).max).argmin(1)
    chosen = minimise_cost(distortion, sizes, 0.0)
    if sizes[rows, chosen].sum() <= budget:
        return chosen
    low, high = 1e-12, 1e12
    chosen = smallest
    for _ in range(BISECTIONS):
        multiplier = (low * high) ** 0.5
        trial = minimise_cost(distortion, sizes, multiplier)
        if sizes[rows, trial].sum() <= budget:
            chosen, high = trial, multiplier
        else:
            low = multiplier
    return _spend_remainder(distortion, sizes, chosen, budget)


def _spend_remainder(distortion: FloatArray, sizes: IntArray, chosen: IntArray, budget: float) -> IntArray:
    """Replace chosen options by better ones within the budget, those with the largest gain per byte first."""
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
        # each window changes at most once per round, while the sum fits
        take = order[np.cumsum(np.maximum(cost[order, best[order]], 0)) <= left]
        if not len(take):
            return chosen
        chosen[take] = best[take]
