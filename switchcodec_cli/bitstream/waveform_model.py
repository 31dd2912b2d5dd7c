"""The waveform model: expected sizes of the MDCT coefficients of a block, from the block's own indices.

The model is a network of three layers over the sums of the embeddings of a few neighbouring frames, in
integers throughout. Sums stay below 2^24, so every operation is exact in float32 too (see
`WaveformModelTensors.check`); `index_model.Arithmetic` and its subclasses do the operations.

Sizes and steps are in quarter octaves: size n stands for the magnitude 2^((n - 64) / 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import WeightsError
from .index_model import (
    ACTIVATION_SHIFT,
    LIMIT,
    ROOM,
    Arithmetic,
    Integers,
    Masks,
    Numbers,
    bound_of_sums,
)
from .rans import TOTAL

EMBEDDING_SHIFT = 4  # embeddings are finer than activations
LARGEST_SIZE = 255
UNITY_SIZE = 64  # the size of magnitude 1
STEPS_PER_OCTAVE = 4
LARGEST_VALUE = 127  # greatest Q
LARGEST_CLASSES = LARGEST_SIZE + 1
GROUP_FRAMES = 4096  # frames of blocks that go through the network together, which bounds the memory

_DIMENSIONS = {
    "embedding": 3,
    "hidden1_weight": 2,
    "hidden1_bias": 1,
    "hidden2_weight": 2,
    "hidden2_bias": 1,
    "output_weight": 2,
    "output_bias": 1,
    "offset": 1,
    "frequencies": 2,
    "levels": 2,
}
_INT8 = ("hidden1_weight", "hidden2_weight", "output_weight")
_TYPES: dict[str, npt.DTypeLike] = {
    "embedding": np.int16,
    "levels": np.float32,
    **dict.fromkeys(_INT8, np.int8),
}  # all others int32


@dataclass(frozen=True)
class WaveformModelTensors:
    """The numbers of a waveform model.

    C codebooks of K indices in the order in which quantizers are applied, E dimensions of an embedding, a
    reach of R frames to either side, A1 and A2 hidden units, B bins, G classes of coefficients, and quantized
    values from -Q to Q.
    """

    embedding: npt.NDArray[np.int16]  # (C, K, E)
    hidden1_weight: npt.NDArray[np.int8]  # (A1, (2 R + 1) E)
    hidden1_bias: npt.NDArray[np.int32]  # (A1,)
    hidden2_weight: npt.NDArray[np.int8]  # (A2, A1)
    hidden2_bias: npt.NDArray[np.int32]  # (A2,)
    output_weight: npt.NDArray[np.int8]  # (B, A2)
    output_bias: npt.NDArray[np.int32]  # (B,)
    offset: npt.NDArray[np.int32]  # added to the step of each bin, in quarter octaves, (B,)
    frequencies: npt.NDArray[np.int32]  # of the values -Q ... Q in each class, (G, 2 Q + 1)
    levels: npt.NDArray[np.float32]  # magnitude of the values 0 ... Q in units of the step, (G, Q + 1)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Numbers]) -> WaveformModelTensors:
        """Check arrays by name.

        Raises:
            WeightsError: They are not a waveform model.
        """
        names = [field.name for field in fields(cls)]
        if missing := sorted(set(names) - arrays.keys()):
            raise WeightsError(f"waveform model: tensor {missing[0]} is missing")
        tensors = cls(**{name: arrays[name] for name in names})
        tensors.check()
        return tensors

    @property
    def arrays(self) -> dict[str, Numbers]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def codebooks(self) -> int:
        """C."""
        return len(self.embedding)

    @property
    def size(self) -> int:
        """K."""
        return int(self.embedding.shape[1])

    @property
    def bins(self) -> int:
        """B."""
        return len(self.output_bias)

    @property
    def classes(self) -> int:
        """G."""
        return len(self.frequencies)

    @property
    def largest(self) -> int:
        """Q."""
        return int(self.levels.shape[1]) - 1

    @property
    def reach(self) -> int:
        """R."""
        return (int(self.hidden1_weight.shape[1]) // int(self.embedding.shape[2]) - 1) // 2

    @property
    def matrices(self) -> tuple[npt.NDArray[np.int8], ...]:
        """The matrices that products are taken with, the largest first."""
        return (self.hidden1_weight, self.hidden2_weight, self.output_weight)

    @cached_property
    def symbols_of_slots(self) -> npt.NDArray[np.uint8]:
        """The symbol, a value plus Q, of each slot of the coder, by class * 2^16 + slot. # (G * 2^16,)"""
        symbols = np.arange(2 * self.largest + 1, dtype=np.uint8)
        return np.concatenate([np.repeat(symbols, row) for row in self.frequencies])

    @cached_property
    def starts(self) -> Integers:
        """Sums of the frequencies before each value. # (G, 2 Q + 1)"""
        frequencies = self.frequencies.astype(np.int64)
        sums: Integers = frequencies.cumsum(1) - frequencies
        return sums

    def codebooks_of(self, mask: npt.NDArray[np.bool_]) -> Integers:
        """The codebooks that a block with this mask (Nr,) uses, in the order of their indices."""
        per_quantizer = self.codebooks // (len(mask) + 1)
        return np.flatnonzero(np.repeat(np.concatenate([[True], mask]), per_quantizer))

    def check(self) -> None:
        """Check types, shapes, values and the bounds that make every operation exact.

        Inputs of products are at most 127 in magnitude, so a sum of products is at most 127 * sum |w|; with
        its bias it must stay below 2^24 - 2^13, and so must a sum of embeddings of all codebooks.

        Raises:
            WeightsError: A check failed.
        """
        for name, dimensions in _DIMENSIONS.items():
            tensor, dtype = getattr(self, name), _TYPES.get(name, np.int32)
            if len(tensor.shape) != dimensions or 0 in tensor.shape or tensor.dtype != dtype:
                raise WeightsError(f"waveform model: {name} is {tensor.dtype} {tensor.shape}")
        self._check_shapes()
        for name in _INT8:
            if int(getattr(self, name).min()) < -LIMIT:
                raise WeightsError(f"waveform model: {name} holds -128")
        if self.offset.min() < 0 or self.offset.max() > LARGEST_SIZE:
            raise WeightsError(f"waveform model: offset is not within 0..{LARGEST_SIZE}")
        sums = self.frequencies.astype(np.int64).sum(1)
        if self.frequencies.min() < 1 or (sums != TOTAL).any():
            raise WeightsError("waveform model: the frequencies of a class are not positive or do not add up")
        levels = self.levels
        rising = np.isfinite(levels).all() and (levels[:, 0] == 0).all() and (np.diff(levels) >= 0).all()
        if not rising or levels.max() > 2 * self.largest:
            raise WeightsError(
                f"waveform model: the levels of a class do not ascend from 0 to at most {2 * self.largest}"
            )
        bounds = {
            "embedding": np.abs(self.embedding.astype(np.int64)).max(1).sum(0),
            "hidden1": bound_of_sums(self.hidden1_weight, self.hidden1_bias),
            "hidden2": bound_of_sums(self.hidden2_weight, self.hidden2_bias),
            "output": bound_of_sums(self.output_weight, self.output_bias),
        }
        for name, bound in bounds.items():
            if bound.max() >= ROOM:
                raise WeightsError(
                    f"waveform model: sums of layer {name} can reach {bound.max()}, {ROOM} or more"
                )

    def _check_shapes(self) -> None:
        width = self.embedding.shape[2]
        frames, rest = divmod(self.hidden1_weight.shape[1], width)
        if rest or frames % 2 == 0:
            raise WeightsError(
                f"waveform model: hidden1_weight has {self.hidden1_weight.shape[1]} columns, "
                f"which is not an odd multiple of {width}"
            )
        first, second = len(self.hidden1_weight), len(self.hidden2_weight)
        shapes = {
            "hidden1_bias": (first,),
            "hidden2_weight": (second, first),
            "hidden2_bias": (second,),
            "output_weight": (self.bins, second),
            "offset": (self.bins,),
            "frequencies": (self.classes, 2 * self.largest + 1),
            "levels": (self.classes, self.largest + 1),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise WeightsError(
                    f"waveform model: {name} has the shape {getattr(self, name).shape}, not {shape}"
                )
        if self.classes > LARGEST_CLASSES or not 1 <= self.largest <= LARGEST_VALUE:
            raise WeightsError(
                f"waveform model: {self.classes} classes of values up to {self.largest} are not supported"
            )


class WaveformModel:
    """Tensors of a waveform model together with an arithmetic.

    Args:
        tensors: The numbers.
        arithmetic: How to calculate.
    """

    def __init__(self, tensors: WaveformModelTensors, arithmetic: Arithmetic | None = None) -> None:
        self.tensors = tensors
        self.arithmetic = Arithmetic() if arithmetic is None else arithmetic
        load, load_matrix = self.arithmetic.load, self.arithmetic.load_matrix
        self._embedding = tensors.embedding.reshape(-1, tensors.embedding.shape[2])  # by codebook * K + index
        self._layers = [
            (load_matrix(weight), load(bias))
            for weight, bias in (
                (tensors.hidden1_weight, tensors.hidden1_bias),
                (tensors.hidden2_weight, tensors.hidden2_bias),
                (tensors.output_weight, tensors.output_bias),
            )
        ]

    def sizes(self, masks: Masks, indices: Sequence[Integers]) -> list[Integers]:
        """Expected sizes of the coefficients of blocks.

        Args:
            masks: Of the blocks. # (n, Nr)
            indices: Of each block, the codebooks of the shared quantizer and of the mask's experts. # (S, T)

        Returns:
            Sizes of each block in quarter octaves, 0 to 255. # (T, B)
        """
        result: list[Integers] = []
        for first, last in _groups([block.shape[1] for block in indices]):
            result += self._sizes(masks[first:last], indices[first:last])
        return result

    def _sizes(self, masks: Masks, indices: Sequence[Integers]) -> list[Integers]:
        reach, width = self.tensors.reach, self._embedding.shape[1]
        frames = [block.shape[1] for block in indices]
        padded = np.zeros((sum(frames) + reach * (len(frames) + 1), width), np.int64)
        rows, at = [], reach  # `reach` zero frames before, between and after the blocks
        for mask, block in zip(masks, indices, strict=True):
            codebooks = self.tensors.codebooks_of(mask)
            entries = block.astype(np.int64) + self.tensors.size * codebooks[:, None]
            end = at + block.shape[1]
            padded[at:end] = self._embedding[entries].sum(0, dtype=np.int64)
            rows.append(np.arange(at, end))
            at = end + reach
        vectors = np.clip((padded + (1 << (EMBEDDING_SHIFT - 1))) >> EMBEDDING_SHIFT, -LIMIT, LIMIT)
        window = np.concatenate(rows)[:, None] + np.arange(-reach, reach + 1)
        x = self.arithmetic.load(vectors)[window].reshape(len(window), -1)
        for weight, bias in self._layers[:-1]:
            x = self.arithmetic.clip(self._layer(x, weight, bias), 0, LIMIT)
        sizes = self.arithmetic.clip(self._layer(x, *self._layers[-1]), 0, LARGEST_SIZE).astype(np.int64)
        return np.split(sizes, np.cumsum(frames)[:-1])

    def _layer(self, x: Numbers, weight: object, bias: Numbers) -> Numbers:
        """(weight x + bias) >> 7, (n, columns) -> (n, rows)."""
        sums = self.arithmetic.product(x, weight)
        sums += bias
        return self.arithmetic.shift(sums, ACTIVATION_SHIFT)


def _groups(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Blocks to calculate together: the first of each group and the one after its last."""
    first, total = 0, 0
    for number, count in enumerate(frames):
        if total and total + count > GROUP_FRAMES:
            yield first, number
            first, total = number, 0
        total += count
    if total:
        yield first, len(frames)
