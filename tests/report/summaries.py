"""Summaries of streams, for the tests of the routing pictures."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from switchcodec_cli.bitstream import BlockKind, BlockMode

CODED, SILENT, COPY, INTENSITY = map(
    BlockMode, (BlockKind.CODED, BlockKind.SILENT, BlockKind.COPY, BlockKind.INTENSITY)
)

Modes = Sequence[tuple[BlockMode, ...] | None]


def make_summary(
    modes: Modes,
    masks: np.ndarray,
    coding: str = "MONO",
    seconds: float | None = None,
    layers: np.ndarray | None = None,
) -> SimpleNamespace:
    """A summary of a stream with four experts and windows of one second.

    Args:
        modes: Of each window one per signal; None if it is damaged.
        masks: The experts in use. # (windows, signals, 4)
        coding: Name of the channel coding.
        seconds: Length of the recording; that of all windows by default.
        layers: Bytes of waveform layers; None for a stream without them. # (windows, signals)
    """
    return SimpleNamespace(
        header=SimpleNamespace(
            signals=masks.shape[1],
            channel_coding=SimpleNamespace(name=coding),
            parameters=SimpleNamespace(experts=4, window_seconds=1.0),
            waveform_layers=layers is not None,
        ),
        windows=len(modes),
        modes=tuple(modes),
        masks=np.array(masks, bool),
        window_bytes=np.full(len(modes), 100),
        layer_bytes=np.zeros(masks.shape[:2], np.int64) if layers is None else layers,
        seconds=float(len(modes)) if seconds is None else seconds,
    )
