"""Index models with random integers, up to the ends of their ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from plain_index_model import nested

from switchcodec_cli.bitstream.index_model import LIMIT, ROOM, IndexModelTensors
from switchcodec_cli.bitstream.waveform_model import WaveformModelTensors


@dataclass(frozen=True)
class Sizes:
    """Of a model."""

    experts: int = 3
    per_quantizer: int = 2
    size: int = 64
    groups: int = 8
    embedding: int = 6
    width: int = 12
    hidden: int = 16
    features: int = 8


TINY = Sizes()
FULL = Sizes(8, 2, 1024, 32, 32, 192, 256, 192)


def random_tensors(sizes: Sizes, seed: int, extreme: bool = False) -> IndexModelTensors:
    """A random model; an extreme one has the largest weights and biases that are allowed."""
    random = np.random.default_rng(seed)
    s, c = sizes, (sizes.experts + 1) * sizes.per_quantizer
    head = s.hidden + s.features

    def weight(*shape: int) -> np.ndarray:
        if extreme:
            return random.choice(np.array([-LIMIT, LIMIT], np.int8), shape)
        return np.clip(random.normal(0, 40, shape).round(), -LIMIT, LIMIT).astype(np.int8)

    def bias(columns: int, share: int, *shape: int) -> np.ndarray:
        room = (ROOM - 1 - columns * LIMIT * LIMIT) // share if extreme else 4000
        return random.integers(-room, room, shape, endpoint=True).astype(np.int32)

    columns = s.embedding * 4 + 2 * s.width + s.hidden
    arrays = {
        "order": np.stack([random.permutation(s.size) for _ in range(c)]).astype(np.int32),
        "embedding": weight(c, s.size, s.embedding),
        "previous": weight(c, s.size, s.embedding),
        "preceding": weight(c, s.size, s.embedding),
        "input_weight": weight(s.width, 2 * s.embedding),
        "input_bias": bias(2 * s.embedding, s.experts + 1, s.width),
        "input_mask": bias(2 * s.embedding, s.experts + 1, s.experts, s.width),
        "gate1_weight": weight(2 * s.width, s.width),
        "gate1_bias": bias(s.width, 1, 2 * s.width),
        "gate2_weight": weight(2 * s.width, 2 * s.width),
        "gate2_bias": bias(2 * s.width, 1, 2 * s.width),
        "context_weight": weight(head, s.embedding + 2 * s.width),
        "context_bias": bias(columns, s.experts + 2, head),
        "context_mask": bias(columns, s.experts + 2, s.experts, head),
        "head_weight": weight(head, 3 * s.embedding),
        "head_bias": bias(columns, s.experts + 2, c, s.experts, head),
        "feature_weight": weight(s.features, s.hidden),
        "group_weight": weight(c, s.groups, s.features),
        "group_bias": bias(s.features, 1, c, s.experts, s.groups),
        "member_weight": weight(c, s.size, s.features),
        "member_bias": bias(s.features, 1, c, s.experts, s.size),
    }
    return IndexModelTensors.from_arrays(arrays)


def plain(tensors: IndexModelTensors | WaveformModelTensors) -> dict[str, list]:
    """The tensors as nested lists."""
    return {name: nested(array.ravel().tolist(), list(array.shape)) for name, array in tensors.arrays.items()}


def random_blocks(
    tensors: IndexModelTensors, count: int, seed: int, frames: int = 5
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random masks (count, Nr), and indices (S, T) of blocks of up to `frames` frames."""
    random = np.random.default_rng(seed)
    masks = random.random((count, tensors.experts)) < random.random((count, 1))
    indices = [
        random.integers(0, tensors.size, (len(tensors.codebooks_of(mask)), random.integers(1, frames + 1)))
        for mask in masks
    ]
    return masks, indices
