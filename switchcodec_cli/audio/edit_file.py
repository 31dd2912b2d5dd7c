"""Changing the middle of a file in constant memory."""

from __future__ import annotations

import os
from pathlib import Path

_PIECE = 1 << 20  # bytes


def replace_bytes(path: Path, position: int, length: int, data: bytes) -> None:
    """Replace `length` bytes of a file by at least as many others; what follows is moved.

    Args:
        path: the file.
        position: of the first byte that is replaced.
        length: number of bytes that are replaced.
        data: what replaces them.

    Raises:
        OSError: the file cannot be written.
        ValueError: `data` is shorter than what it replaces.
    """
    if len(data) < length:
        raise ValueError("a file cannot be shortened in its middle")
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        start = position + length
        shift = len(data) - length
        while shift and end > start:  # from the end, so that nothing is overwritten before it was moved
            begin = max(start, end - _PIECE)
            file.seek(begin)
            piece = file.read(end - begin)
            file.seek(begin + shift)
            file.write(piece)
            end = begin
        file.seek(position)
        file.write(data)
