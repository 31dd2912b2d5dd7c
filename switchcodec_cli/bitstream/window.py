"""Windows and their blocks: the content of a packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .intensity import LEVEL_BANDS, LEVEL_BITS
from .modes import BlockKind, BlockMode
from .parameters import MAX_LAYER_BYTES, StreamParameters


def _no_indices() -> np.ndarray:
    return np.zeros((0, 0, 0), np.uint16)


@dataclass(frozen=True, eq=False)
class Block:
    """One signal in one window.

    Attributes:
        kind: how the block is coded
        experts: mask of a coded block, ascending
        indices: codebook indices of a coded block, the shared quantizer first, then the experts in the order
            of the mask; empty while they are modelled  # (1 + len(experts), codebooks per quantizer, frames)
        levels: levels of an intensity stereo block, one for each band, 0 (silence) to 31
        modelled: indices of a coded block as the index model codes them, in place of ``indices``
        waveform: waveform layer of a coded block as it is stored; empty if there is none
        coefficients: what the waveform layer decodes to, in units of full scale; None if there is none or it
            has not been decoded  # (frames, bins) float32
    """

    kind: BlockKind
    experts: tuple[int, ...] = ()
    indices: np.ndarray = field(default_factory=_no_indices)
    levels: tuple[int, ...] = ()
    modelled: bytes = b""
    waveform: bytes = b""
    coefficients: np.ndarray | None = None  # follows from the rest, so it is not compared

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Block):
            return NotImplemented
        mine = (self.kind, self.experts, self.levels, self.modelled, self.waveform)
        others = (other.kind, other.experts, other.levels, other.modelled, other.waveform)
        return mine == others and np.array_equal(self.indices, other.indices)

    @property
    def mode(self) -> BlockMode:
        """Kind and number of experts."""
        return BlockMode(self.kind, len(self.experts))


SILENT = Block(BlockKind.SILENT)
COPY = Block(BlockKind.COPY)


def coded_block(experts: Sequence[int], indices: np.ndarray, waveform: bytes = b"") -> Block:
    """A block coded by the shared quantizer and these experts; see Block."""
    return Block(BlockKind.CODED, tuple(int(expert) for expert in experts), indices, waveform=waveform)


def modelled_block(experts: Sequence[int], payload: bytes, waveform: bytes = b"") -> Block:
    """A block coded by the shared quantizer and these experts, its indices by the index model; see Block."""
    mask = tuple(int(expert) for expert in experts)
    return Block(BlockKind.CODED, mask, modelled=payload, waveform=waveform)


def intensity_block(levels: Sequence[int]) -> Block:
    """A block of intensity stereo with these levels; see Block."""
    return Block(BlockKind.INTENSITY, levels=tuple(int(level) for level in levels))


@dataclass(frozen=True)
class Window:
    """One window: its number of latent frames and one block per signal."""

    frames: int
    blocks: tuple[Block, ...]

    @property
    def modes(self) -> tuple[BlockMode, ...]:
        """The mode of each block."""
        return tuple(block.mode for block in self.blocks)

    @property
    def resolved(self) -> tuple[Block, ...]:
        """The blocks, with copies and intensity stereo replaced by the block of the other signal.

        Only coded and silent blocks remain.
        """
        derived = (BlockKind.COPY, BlockKind.INTENSITY)
        return tuple(
            self.blocks[1 - signal] if block.kind in derived else block
            for signal, block in enumerate(self.blocks)
        )


def check_window(parameters: StreamParameters, signals: int, window: Window) -> None:
    """Raises ValueError unless the window can be written to a stream with these parameters."""
    if not 1 <= window.frames <= parameters.frames_per_window:
        raise ValueError(f"a window has 1 to {parameters.frames_per_window} frames, not {window.frames}")
    if len(window.blocks) != signals:
        raise ValueError(f"a window of this stream has {signals} blocks, not {len(window.blocks)}")
    for block in window.blocks:
        _check_levels(block)
        if block.kind is BlockKind.CODED:
            _check_coded(parameters, block, window.frames)
        elif block.experts or block.indices.size or block.modelled or block.waveform:
            raise ValueError(f"a {block.kind.value} block has no experts, no indices and no waveform layer")
    error = parameters.mode_error(window.modes)
    if error:
        raise ValueError(error)


def _check_levels(block: Block) -> None:
    count = LEVEL_BANDS if block.kind is BlockKind.INTENSITY else 0
    in_range = all(0 <= level < 1 << LEVEL_BITS for level in block.levels)
    if len(block.levels) != count or not in_range:
        raise ValueError(f"a block of kind {block.kind.value} has {count} levels of {LEVEL_BITS} bits")


def _check_coded(parameters: StreamParameters, block: Block, frames: int) -> None:
    experts, indices = block.experts, block.indices
    if len(block.waveform) > MAX_LAYER_BYTES:
        raise ValueError(f"a waveform layer has at most {MAX_LAYER_BYTES} bytes, not {len(block.waveform)}")
    in_range = all(0 <= expert < parameters.experts for expert in experts)
    if list(experts) != sorted(set(experts)) or not in_range:
        raise ValueError(f"experts must ascend within 0..{parameters.experts - 1}, not {experts}")
    if block.modelled:
        plain = parameters.plain_bytes(len(experts), frames)
        if indices.size or len(block.modelled) >= plain:
            raise ValueError(f"modelled indices take the place of plain ones and fewer than {plain} bytes")
        return
    shape = (1 + len(experts), parameters.codebooks_per_quantizer, frames)
    if indices.shape != shape:
        raise ValueError(f"the indices must have the shape {shape}, not {indices.shape}")
    if indices.dtype.kind not in "iu":
        raise ValueError(f"the indices must be integers, not {indices.dtype}")
    if indices.min() < 0 or indices.max() >= parameters.codebook_size:
        raise ValueError(f"the indices must be within 0..{parameters.codebook_size - 1}")
