"""Matrices of weights files in eight bits. Needs numpy alone.

A tensor NAME of two or more dimensions, as a matrix of rows, is stored as the integers NAME and a scale for
each row and block of BLOCK columns, NAME.eight_bit_scale. A value is its integer times its scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 128  # columns that share a scale
SCALE_SUFFIX = ".eight_bit_scale"
LEAST_VALUES = 65_536  # smaller tensors stay as they are

Tensors = dict[str, npt.NDArray[Any]]


def to_eight_bits(tensors: Mapping[str, npt.NDArray[Any]], prefixes: Collection[str]) -> Tensors:
    """Tensors of which the large matrices with some prefixes are in eight bits.

    Args:
        tensors: By name.
        prefixes: Of the names of tensors to be stored in eight bits.

    Returns:
        Tensors by name, scales included.
    """
    stored: Tensors = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.size < LEAST_VALUES or not name.startswith(tuple(prefixes)):
            stored[name] = tensor
            continue
        rows = tensor.reshape(len(tensor), -1).astype(np.float32)
        largest = np.maximum.reduceat(np.abs(rows), np.arange(0, rows.shape[1], BLOCK), axis=1)
        scale = _scales(largest)
        integers = np.round(rows / _by_column(scale, rows.shape[1]))
        stored[name] = integers.astype(np.int8).reshape(tensor.shape)
        stored[name + SCALE_SUFFIX] = scale
    return stored


def from_eight_bits(tensors: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    """The inverse of `to_eight_bits`, with float32 in place of eight bits.

    Raises:
        ValueError: Scales do not belong to a tensor of eight bits, or have another shape.
    """
    values = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE_SUFFIX)}
    for name, scale in tensors.items():
        if not name.endswith(SCALE_SUFFIX):
            continue
        of = name.removesuffix(SCALE_SUFFIX)
        integers = values.get(of)
        if integers is None or integers.dtype != np.int8 or integers.ndim < 2 or not integers.size:
            raise ValueError(f"{name} does not belong to a matrix of eight bits")
        rows = integers.reshape(len(integers), -1)
        if scale.dtype != np.float32 or scale.shape != (len(rows), -(-rows.shape[1] // BLOCK)):
            raise ValueError(f"{name} has type {scale.dtype} and shape {scale.shape}, which do not fit {of}")
        values[of] = (rows * _by_column(scale, rows.shape[1])).reshape(integers.shape)
    return values


def _scales(largest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales for the largest magnitudes of blocks.

    They are rounded up to 11 bits, so that their products with integers are exact, and values that were
    stored and read get the same scales again.
    """
    mantissa, exponent = np.frexp(np.where(largest > 0, largest, 1) / 127)
    scale: npt.NDArray[np.float32] = np.ldexp(np.ceil(mantissa * 2048) / 2048, exponent).astype(np.float32)
    return scale


def _by_column(scale: npt.NDArray[np.float32], columns: int) -> npt.NDArray[np.float32]:
    """Scales (rows, blocks) for each column. # (rows, columns)"""
    return np.repeat(scale, BLOCK, axis=1)[:, :columns]
