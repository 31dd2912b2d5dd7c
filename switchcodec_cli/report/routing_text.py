"""The routing of a stream as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..bitstream import BlockKind

if TYPE_CHECKING:
    from ..bitstream import Header, Summary

_LABEL_WIDTH = 16  # characters before the cells of a row
_NOTE_WIDTH = 7  # characters reserved after them


@dataclass(frozen=True)
class _CharacterSet:
    """Characters for values from 0 to the maximum."""

    shades: str
    heights: str


_UNICODE = _CharacterSet(shades=" ░▒▓█", heights=" ▁▂▃▄▅▆▇█")
_ASCII = _CharacterSet(shades=" .:+#", heights=" .:-=+*%#")


class _Columns:
    """Assignment of windows to columns of text.

    Args:
        windows: number of windows, at least 1.
        room: available characters.
    """

    def __init__(self, windows: int, room: int) -> None:
        columns = min(windows, room)
        self._edges = np.linspace(0, windows, columns + 1).astype(int)
        self._repeat = max(1, min(4, room // columns))  # characters per column of a short recording
        self.width = columns * self._repeat

    def cells(self, values: np.ndarray, maximum: float, characters: str) -> str:
        """Means of values over the windows of each column, as characters. # values: (windows,)

        Every mean above 0 is visible.
        """
        means = np.add.reduceat(values.astype(float), self._edges[:-1]) / np.diff(self._edges)
        steps = len(characters) - 1
        relative = np.clip(means / maximum, 0, 1) if maximum else np.zeros_like(means)
        levels = np.ceil(relative * steps - 1e-9).astype(int)
        return "".join(characters[level] * self._repeat for level in levels)


def routing_picture(summary: Summary, width: int, ascii_only: bool = False) -> Iterator[str]:
    """Draw the routing over time: number of experts, use of each expert, and bits of every window.

    If a column stands for several windows, the shade of an expert is the share of windows that use it.

    Args:
        summary: of the stream.
        width: length of the lines in characters.
        ascii_only: use no characters beyond ASCII.

    Yields:
        Lines; none for a stream without windows.
    """
    if not summary.windows:
        return
    characters = _ASCII if ascii_only else _UNICODE
    columns = _Columns(summary.windows, max(1, width - _LABEL_WIDTH - _NOTE_WIDTH))

    def row(label: str, values: np.ndarray, maximum: float, levels: str, note: str) -> str:
        return f"{label:<{_LABEL_WIDTH}}{columns.cells(values, maximum, levels)} {note}".rstrip()

    experts = summary.header.parameters.experts
    for signal, name in enumerate(signal_names(summary.header)):
        masks = summary.masks[:, signal]  # (windows, experts)
        counts = masks.sum(axis=1)
        yield row(f"{name} experts".strip(), counts, experts, characters.heights, f"{counts.mean():.1f}")
        for expert in range(experts):
            note = f"{100 * masks[:, expert].mean():.0f} %"
            yield row(f"  expert {expert}", masks[:, expert], 1, characters.shades, note)
    bits = 8 * summary.window_bytes
    yield row("bits", bits, bits.max(), characters.heights, f"{bits.mean():.0f}")
    end = f"{summary.seconds:.1f} s"
    yield f"{'':<{_LABEL_WIDTH}}0 s{end:>{max(columns.width - 3, len(end) + 1)}}"


def signal_names(header: Header) -> tuple[str, ...]:
    """Names of the coded signals; an empty name if there is one only."""
    if header.signals == 1:
        return ("",)
    return ("mid", "side") if header.channel_coding.name == "MID_SIDE" else ("left", "right")


def block_coding(summary: Summary, window: int, signal: int) -> str:
    """How a block is coded: "damaged", "silent", "copy", "intensity" or "shared"."""
    modes = summary.modes[window]
    if modes is None:
        return "damaged"
    kind = modes[signal].kind
    return "shared" if kind is BlockKind.CODED else kind.value


def block_text(summary: Summary, window: int, signal: int) -> str:
    """How a block is coded, with its experts: "shared+2+5"."""
    experts = np.flatnonzero(summary.masks[window, signal])
    return "+".join([block_coding(summary, window, signal), *map(str, experts)])
