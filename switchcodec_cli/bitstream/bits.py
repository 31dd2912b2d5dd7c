"""Unsigned integers of any width, packed most significant bit first."""

from __future__ import annotations

import numpy as np
from bitarray import bitarray
from bitarray.util import ba2int, int2ba

MAX_ARRAY_WIDTH = 32  # bits of a value that is written from or read into an array


def _array_type(width: int) -> np.dtype[np.unsignedinteger]:
    """Big-endian type that holds values of this width."""
    return np.dtype(">u2") if width <= 16 else np.dtype(">u4")


class BitWriter:
    """Packs integers without gaps."""

    def __init__(self) -> None:
        self._bits = bitarray(endian="big")

    def write(self, value: int, width: int) -> None:
        """Appends one integer; a width of 0 appends nothing."""
        if width:
            self._bits += int2ba(value, width, "big")

    def write_array(self, values: np.ndarray, width: int) -> None:
        """Appends all values of an array in C order, each with ``width`` bits (at most MAX_ARRAY_WIDTH)."""
        dtype = _array_type(width)
        raw = np.ascontiguousarray(values, dtype=dtype).reshape(-1, 1).view(np.uint8)  # (N, 2 or 4)
        single = np.unpackbits(raw, axis=1)[:, 8 * dtype.itemsize - width :]  # (N, width)
        packed = bitarray(endian="big")
        packed.frombytes(np.packbits(single).tobytes())
        self._bits += packed[: values.size * width]

    def to_bytes(self) -> bytes:
        """Everything written so far, with zero bits up to the end of the last byte."""
        return self._bits.tobytes()


class BitReader:
    """Unpacks what BitWriter packed. The caller must not read beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = bitarray(endian="big")
        self._bits.frombytes(data)
        self._at = 0

    @property
    def position(self) -> int:
        """Number of bits read so far."""
        return self._at

    def read(self, width: int) -> int:
        """The next integer; a width of 0 gives 0."""
        return ba2int(self._take(width)) if width else 0

    def read_array(self, count: int, width: int) -> np.ndarray:
        """The next ``count`` integers of ``width`` bits each (at most MAX_ARRAY_WIDTH).

        Returns:
            Unsigned integers of 16 bits if the width permits, else of 32  # (count,)
        """
        dtype = _array_type(width)
        packed = np.frombuffer(self._take(count * width).tobytes(), np.uint8)
        wide = np.zeros((count, 8 * dtype.itemsize), np.uint8)
        wide[:, wide.shape[1] - width :] = np.unpackbits(packed, count=count * width).reshape(count, width)
        return np.packbits(wide, axis=1).view(dtype).ravel().astype(dtype.newbyteorder("="))

    def read_bytes(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        return self._take(8 * count).tobytes()

    def rest_is_zero(self) -> bool:
        """Whether all bits that were not read are zero."""
        return not self._bits[self._at :].any()

    def _take(self, width: int) -> bitarray:
        start, self._at = self._at, self._at + width
        return self._bits[start : self._at]
