"""The index model with matrix products by PyTorch, checked against integers before use.

All sums are integers below 2^24, which float32 holds exactly, so a product is exact in any order of
summation, with fused multiply-adds, and with operands rounded to bfloat16 or TF32, which hold integers up to
127. The result must be accumulated and returned in float32: a known-answer test makes sure of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from ..bitstream.index_model import (
    LIMIT,
    Arithmetic,
    Float32Arithmetic,
    IndexModel,
    IndexModelTensors,
    Numbers,
)

TESTED_ROWS = (1, 2, 3, 8, 43, 64, 300)
"""Numbers of rows of the known-answer test; some libraries choose another algorithm for more than one."""


class TorchArithmetic(Float32Arithmetic):
    """Float32 with matrix products by PyTorch."""

    def product(self, x: Numbers, weight: Numbers) -> Numbers:
        """Products with the rows of a weight matrix, (n, columns) x (rows, columns) -> (n, rows)."""
        result = np.empty((len(x), len(weight)), np.float32)
        # autocast does not apply to calls with `out`
        torch.mm(torch.from_numpy(x), torch.from_numpy(weight).mT, out=torch.from_numpy(result))
        return result


class Float64Arithmetic(Float32Arithmetic):
    """The same operations in float64 by NumPy."""

    dtype = np.float64


def is_exact(
    arithmetic: Arithmetic, shapes: Iterable[tuple[int, int]], rows: Sequence[int] = TESTED_ROWS
) -> bool:
    """Whether products of matrices of some shapes (rows, columns) are exact.

    Operands are at the ends of their ranges and odd, so that sums use all of their bits.
    """
    generator = np.random.default_rng(0)
    reference = Arithmetic()
    for shape in shapes:
        weight = generator.choice([-LIMIT, LIMIT - 2, LIMIT], shape)
        x = generator.choice([-LIMIT, 1, LIMIT - 2, LIMIT], (3, shape[1]))
        x[0], weight[0] = LIMIT, LIMIT
        expected = reference.product(x, weight)
        loaded = arithmetic.load(weight)
        for n in rows:
            pattern = np.arange(n) % len(x)
            found = arithmetic.product(arithmetic.load(x[pattern]), loaded)
            if not np.array_equal(found, expected[pattern]):
                return False
            matrices = np.broadcast_to(loaded, (n, *shape))[:, : min(8, shape[0])]
            found = arithmetic.products(arithmetic.load(x[pattern]), matrices)
            if not np.array_equal(found, expected[pattern, : min(8, shape[0])]):
                return False
    return True


def exact_arithmetic(tensors: IndexModelTensors) -> Arithmetic:
    """The fastest arithmetic that is exact on this machine for the matrices of an index model."""
    matrices = (
        tensors.input_weight,
        tensors.gate1_weight,
        tensors.gate2_weight,
        tensors.context_weight,
        tensors.head_weight,
        tensors.feature_weight,
        tensors.group_weight[0],
        tensors.member_weight[0, : tensors.members],
    )
    shapes = {matrix.shape for matrix in matrices}
    for arithmetic in (TorchArithmetic(), Float64Arithmetic()):
        if is_exact(arithmetic, shapes):
            return arithmetic
    return Arithmetic()


def load_index_model(path: Path) -> IndexModel:
    """Read an index model from a safetensors file.

    Raises:
        WeightsError: The file is not an index model.
    """
    tensors = IndexModelTensors.load(path)
    return IndexModel(tensors, exact_arithmetic(tensors))
