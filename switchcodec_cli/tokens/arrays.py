"""Windows to arrays and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from ..bitstream import (
    COPY,
    LEVEL_BANDS,
    SILENT,
    Block,
    BlockKind,
    StreamParameters,
    Window,
    coded_block,
    intensity_block,
)
from ..errors import BadInputError

FILL = -1
"""Stands for an index or a level that is not sent."""

KINDS = tuple(BlockKind)
"""The kinds of blocks; `kinds` arrays hold positions in this tuple: coded, silent, copy, intensity."""

MAX_INDICES = 1 << 30
"""Size of the largest array of indices, 4 GB: almost 400 hours with the default weights."""

CODED, INTENSITY = KINDS.index(BlockKind.CODED), KINDS.index(BlockKind.INTENSITY)


@dataclass(frozen=True, eq=False)
class BlockArrays:
    """The blocks of W windows of C signals as arrays; see `Tokens`."""

    kinds: npt.NDArray[np.uint8]  # (W, C)
    masks: npt.NDArray[np.bool_]  # (W, C, Nr)
    indices: npt.NDArray[np.int32]  # (W, C, 1 + Nr, S, F)
    levels: npt.NDArray[np.int8]  # (W, C, bands)
    layers: npt.NDArray[np.object_]  # (W, C) bytes

    @classmethod
    def unsent(cls, parameters: StreamParameters, signals: int, windows: int) -> BlockArrays:
        """Arrays of silent blocks.

        Raises:
            BadInputError: they would be too large.
        """
        quantizers, codebooks = 1 + parameters.experts, parameters.codebooks_per_quantizer
        shape = (windows, signals, quantizers, codebooks, parameters.frames_per_window)
        if prod(shape) > MAX_INDICES:
            raise BadInputError(f"{windows} windows have too many indices for one array (more than 2^30)")
        return cls(
            np.full((windows, signals), KINDS.index(BlockKind.SILENT), np.uint8),
            np.zeros((windows, signals, parameters.experts), bool),
            np.full(shape, FILL, np.int32),
            np.full((windows, signals, LEVEL_BANDS), FILL, np.int8),
            np.full((windows, signals), b"", object),
        )


def windows_to_arrays(parameters: StreamParameters, signals: int, windows: Sequence[Window]) -> BlockArrays:
    """The blocks of windows as arrays."""
    arrays = BlockArrays.unsent(parameters, signals, len(windows))
    for number, window in enumerate(windows):
        for signal, block in enumerate(window.blocks):
            arrays.kinds[number, signal] = KINDS.index(block.kind)
            if block.kind is BlockKind.CODED:
                rows = [0, *(1 + expert for expert in block.experts)]
                arrays.masks[number, signal, list(block.experts)] = True
                arrays.indices[number, signal, rows, :, : window.frames] = block.indices
                arrays.layers[number, signal] = block.waveform
            elif block.kind is BlockKind.INTENSITY:
                arrays.levels[number, signal] = block.levels
    return arrays


def arrays_to_windows(arrays: BlockArrays, last_frames: int) -> Iterator[Window]:
    """The windows of arrays.

    Args:
        arrays: the blocks.
        last_frames: latent frames in the last window.
    """
    windows, signals = arrays.kinds.shape
    for number in range(windows):
        frames = last_frames if number == windows - 1 else arrays.indices.shape[-1]
        yield Window(frames, tuple(_block(arrays, number, signal, frames) for signal in range(signals)))


def _block(arrays: BlockArrays, window: int, signal: int, frames: int) -> Block:
    kind = KINDS[arrays.kinds[window, signal]]
    if kind is BlockKind.SILENT:
        return SILENT
    if kind is BlockKind.COPY:
        return COPY
    if kind is BlockKind.INTENSITY:
        return intensity_block(arrays.levels[window, signal].tolist())
    experts = np.flatnonzero(arrays.masks[window, signal])
    indices = arrays.indices[window, signal, [0, *(1 + experts)], :, :frames]
    return coded_block(experts.tolist(), indices, arrays.layers[window, signal])


def sent_indices(arrays: BlockArrays, last_frames: int) -> npt.NDArray[np.bool_]:
    """Which indices are sent, by kinds, masks and frames alone. # (W, C, 1 + Nr, 1, F)"""
    coded = arrays.kinds == CODED
    quantizers = np.concatenate([coded[..., None], arrays.masks & coded[..., None]], -1)
    frames = np.ones((len(arrays.kinds), arrays.indices.shape[-1]), bool)
    frames[-1:, last_frames:] = False
    sent: npt.NDArray[np.bool_] = quantizers[..., None, None] & frames[:, None, None, None]
    return sent
