"""The index model with matrix products by PyTorch, checked against integers before use.

Products of int8 matrices are exact by nature. So are products in float32: all sums are integers below 2^24,
which float32 holds exactly, in any order of summation, with fused multiply-adds, and with operands rounded to
bfloat16 or TF32, which hold integers up to 127. Only their results must stay float32, which a known-answer
test makes sure of.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream.index_model import (
    LIMIT,
    Arithmetic,
    Float32Arithmetic,
    Float64Arithmetic,
    IndexModel,
    IndexModelTensors,
    Numbers,
)

TESTED_ROWS = (1, 2, 3, 8, 43, 64, 300)
"""Numbers of rows of the known-answer test; some libraries choose another algorithm for more than one."""


class Int8Arithmetic(Arithmetic):
    """Integers, with products of int8 matrices by PyTorch."""

    dtype = np.int32

    def load_matrix(self, weight: npt.NDArray[np.int8]) -> Tensor:
        """A weight matrix, transposed. # (columns, rows)"""
        return torch.from_numpy(np.ascontiguousarray(weight)).mT

    def product(self, x: Numbers, matrix: Tensor) -> Numbers:
        """Products of activations with the rows of a loaded matrix, (n, columns) -> (n, rows)."""
        result: Numbers = torch._int_mm(torch.from_numpy(x.astype(np.int8)), matrix).numpy()
        return result

    def products(self, x: Numbers, weights: npt.NDArray[np.int8]) -> Numbers:
        """Products with a matrix of each lane, (n, columns) and (n, rows, columns) -> (n, rows)."""
        result = np.matmul(weights.astype(np.float32), x.astype(np.float32)[:, :, None])
        sums: Numbers = result[:, :, 0].astype(np.int32)
        return sums


class TorchArithmetic(Float32Arithmetic):
    """Float32, with products by PyTorch."""

    def load_matrix(self, weight: npt.NDArray[np.int8]) -> Tensor:
        """A weight matrix, transposed. # (columns, rows)"""
        return torch.from_numpy(self.load(weight)).mT

    def product(self, x: Numbers, matrix: Tensor) -> Numbers:
        """Products of activations with the rows of a loaded matrix, (n, columns) -> (n, rows)."""
        result = np.empty((len(x), matrix.shape[1]), np.float32)
        # autocast does not apply to calls with `out`
        torch.mm(torch.from_numpy(x), matrix, out=torch.from_numpy(result))
        return result


def is_exact(
    arithmetic: Arithmetic, shapes: Iterable[tuple[int, int]], rows: Sequence[int] = TESTED_ROWS
) -> bool:
    """Whether products of matrices of some shapes (rows, columns) are exact.

    Operands are at the ends of their ranges and odd, so that sums use all of their bits.
    """
    generator = np.random.default_rng(0)
    reference = Arithmetic()
    for shape in shapes:
        weight = generator.choice(np.array([-LIMIT, LIMIT - 2, LIMIT], np.int8), shape)
        x = generator.choice([-LIMIT, 1, LIMIT - 2, LIMIT], (3, shape[1]))
        x[0], weight[0] = LIMIT, LIMIT
        expected = reference.product(x, reference.load_matrix(weight))
        matrix = arithmetic.load_matrix(weight)
        few = min(32, shape[0])
        for n in rows:
            pattern = np.arange(n) % len(x)
            operand = arithmetic.load(x[pattern])
            if not np.array_equal(arithmetic.product(operand, matrix), expected[pattern]):
                return False
            lanes = min(n, 8)
            matrices = np.broadcast_to(weight[:few], (lanes, few, shape[1]))
            if not np.array_equal(
                arithmetic.products(operand[:lanes], matrices), expected[pattern[:lanes], :few]
            ):
                return False
    return True


def _available(arithmetic: Arithmetic, shapes: Iterable[tuple[int, int]]) -> bool:
    """Whether an arithmetic is implemented on this machine, and exact."""
    try:
        return is_exact(arithmetic, shapes)
    except (AttributeError, RuntimeError):  # PyTorch has no such product for this processor
        return False


def _seconds(arithmetic: Arithmetic, shape: tuple[int, int], rows: int) -> float:
    """Least time of a product."""
    matrix = arithmetic.load_matrix(np.ones(shape, np.int8))
    x = arithmetic.load(np.ones((rows, shape[1])))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        arithmetic.product(x, matrix)
        times.append(time.perf_counter() - start)
    return min(times)


def exact_arithmetic(matrices: Sequence[npt.NDArray[np.int8]], rows: int = 8) -> Arithmetic:
    """A fast arithmetic that is exact on this machine for the matrices of a model.

    Which one is taken does not change any result.

    Args:
        matrices: One of each shape; the product with the first is timed. # (rows, columns) each
        rows: Rows of activations in that product.
    """
    shapes = {matrix.shape for matrix in matrices}
    exact = [a for a in (Int8Arithmetic(), TorchArithmetic()) if _available(a, shapes)]
    if exact:  # products of int8 are quick on processors with instructions for them, and slow on others
        return min(exact, key=lambda a: _seconds(a, matrices[0].shape, rows))
    return Float64Arithmetic() if _available(Float64Arithmetic(), shapes) else Arithmetic()


def load_index_model(path: Path) -> IndexModel:
    """Read an index model from a safetensors file.

    Raises:
        WeightsError: The file is not an index model.
    """
    tensors = IndexModelTensors.load(path)
    return IndexModel(tensors, exact_arithmetic(tensors.matrices))
