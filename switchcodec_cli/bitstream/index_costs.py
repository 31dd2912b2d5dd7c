"""What the indices of a stream cost with the index model, codebook by codebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from .header import Header
from .index_model import IndexModel
from .modelled_payload import index_intervals, masks_of, restored_windows
from .modes import BlockKind
from .rans import TOTAL_BITS
from .raw_packet import DamagedWindow
from .reader import StreamReader
from .window import Block

LANES = 32  # blocks whose indices are evaluated together


@dataclass(frozen=True)
class IndexCosts:
    """Bits and numbers of the indices of each codebook, the shared quantizer's first.

    The last index of a block is included as if it were modelled; the coder stores it without.
    """

    bits: npt.NDArray[np.float64]  # (1 + Nr, S)
    count: npt.NDArray[np.int64]  # (1 + Nr, S)

    @property
    def mean(self) -> list[list[float | None]]:
        """Bits per index by quantizer and codebook; None where a codebook is not used."""
        return [
            [float(bits / count) if count else None for bits, count in zip(*rows, strict=True)]
            for rows in zip(self.bits, self.count, strict=True)
        ]


def index_costs(file: BinaryIO, load: Callable[[Header], IndexModel]) -> IndexCosts:
    """Evaluate the index model on all sound windows of a stream.

    Args:
        file: The stream.
        load: Gives the index model.

    Raises:
        BadInputError: The stream is invalid as a whole.
    """
    reader = StreamReader(file)
    parameters, model = reader.header.parameters, load(reader.header)
    shape = (1 + parameters.experts, parameters.codebooks_per_quantizer)
    costs = IndexCosts(np.zeros(shape), np.zeros(shape, np.int64))
    blocks: list[Block] = []
    for window in restored_windows(reader.header, lambda: model, None, iter(reader), 0, LANES):
        if isinstance(window, DamagedWindow):
            continue
        blocks += [block for block in window.blocks if block.kind is BlockKind.CODED]
        if len(blocks) >= LANES:
            _add(costs, model, blocks)
            blocks = []
    _add(costs, model, blocks)
    return costs


def _add(costs: IndexCosts, model: IndexModel, blocks: list[Block]) -> None:
    if not blocks:
        return
    flat = [block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64) for block in blocks]
    bits = TOTAL_BITS - np.log2(index_intervals(model, masks_of(model, blocks), flat)[1])
    for block, row in zip(blocks, bits, strict=True):
        quantizers = [0, *(1 + expert for expert in block.experts)]
        codebooks = block.indices.shape[0] * block.indices.shape[1]
        costs.bits[quantizers] += (
            row[:codebooks, : block.indices.shape[2]].sum(1).reshape(len(quantizers), -1)
        )
        costs.count[quantizers] += block.indices.shape[2]
