"""The routing of a stream as a small picture in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..bitstream import Summary

SHADES = " ░▒▓█"
HEIGHTS = " ▁▂▃▄▅▆▇█"
ASCII_SHADES = " .:+#"
ASCII_HEIGHTS = " .:-=+*%#"
LABEL = 16  # characters before each row


def routing_picture(summary: Summary, width: int, plain: bool = False) -> Iterator[str]:
    """Lines that show, over time, how many experts code a window, which, and how many bits it takes.

    width: of the lines, in characters. plain: ASCII alone. Where a column stands for several windows, a row
    of an expert is as dark as the share of them that use it.
    """
    if not summary.windows:
        return
    shades, heights = (ASCII_SHADES, ASCII_HEIGHTS) if plain else (SHADES, HEIGHTS)
    parameters = summary.header.parameters
    room = max(1, width - LABEL - 7)
    columns = min(summary.windows, room)
    repeat = max(1, min(4, room // columns))  # characters a column is wide, for short recordings
    edges = np.linspace(0, summary.windows, columns + 1).astype(int)
    lengths = np.diff(edges)

    def binned(values: np.ndarray) -> np.ndarray:
        """Means over the windows of each column. # (windows,) -> (columns,)"""
        return np.add.reduceat(values.astype(float), edges[:-1]) / lengths

    def row(label: str, values: np.ndarray, most: float, levels: str, note: str) -> str:
        """Values 0 to `most` as characters; anything above 0 is visible."""
        steps = len(levels) - 1
        level = np.ceil(np.clip(values / most, 0, 1) * steps - 1e-9).astype(int) if most else values * 0
        cells = "".join(levels[int(value)] * repeat for value in level)
        return f"{label:<{LABEL}}{cells} {note}".rstrip()

    for signal in range(summary.header.signals):
        name = "" if summary.header.signals == 1 else f"{'left' if signal == 0 else 'right'} "
        if summary.header.channel_coding.name == "MID_SIDE":
            name = "mid " if signal == 0 else "side "
        masks = summary.masks[:, signal]  # (windows, experts)
        count = masks.sum(axis=1)
        yield row(f"{name}experts", binned(count), parameters.experts, heights, f"{count.mean():.1f}")
        for expert in range(parameters.experts):
            used = binned(masks[:, expert])
            share = f"{100 * masks[:, expert].mean():.0f} %"
            yield row(f"  expert {expert}", used, 1, shades, share)
    bits = 8 * summary.window_bytes
    yield row("bits", binned(bits), bits.max(), heights, f"{bits.mean():.0f}")
    end = f"{summary.seconds:.1f} s"
    yield f"{'':<{LABEL}}0 s{end:>{max(columns * repeat - 3, len(end) + 1)}}"


def mask_text(summary: Summary, window: int, signal: int) -> str:
    """One block in a line of text: the experts in use, or why there are none."""
    from ..bitstream import BlockKind

    modes = summary.modes[window]
    if modes is None:
        return "damaged"
    if modes[signal].kind is not BlockKind.CODED:
        return modes[signal].kind.value
    experts = np.flatnonzero(summary.masks[window, signal])
    return f"shared{''.join(f'+{expert}' for expert in experts)}"
