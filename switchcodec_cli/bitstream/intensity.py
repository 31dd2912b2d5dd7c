"""Levels of intensity stereo: one for each band of the spectrum."""

from __future__ import annotations

from collections.abc import Sequence

LEVEL_BITS = 5
LEVEL_EDGES = (200, 400, 800, 1600, 3200, 6400, 12800)  # Hz, between the bands
LEVEL_BANDS = len(LEVEL_EDGES) + 1
LEVELS_BITS = LEVEL_BITS * LEVEL_BANDS  # of all levels of a block
LEVEL_STEP = 1.5  # dB
LEVEL_UNITY = 24  # the level of gain 1; level 0 is silence


def level_gains(levels: Sequence[int]) -> tuple[float, ...]:
    """Gains to apply to the spectrum of the other signal, one for each band."""
    return tuple(10 ** (LEVEL_STEP * (level - LEVEL_UNITY) / 20) if level else 0.0 for level in levels)
