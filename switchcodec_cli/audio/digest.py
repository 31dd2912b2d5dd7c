"""Digests that identify a recording: over its samples, or over the bytes of its file."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

import numpy as np

DIGEST_BYTES = 16
_PIECE_BYTES = 1 << 20


class SampleDigest:
    """BLAKE2b over samples as little-endian float32, interleaved; it does not depend on the blocks."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)

    def update(self, block: np.ndarray) -> None:
        """Add the next samples. # (n, channels) float32"""
        self._hash.update(np.ascontiguousarray(block, "<f4").data.cast("B") if block.size else b"")

    def value(self) -> bytes:
        """The digest of all samples so far."""
        return self._hash.digest()


def file_digest(file: str | os.PathLike[str] | BinaryIO) -> bytes:
    """BLAKE2b over the bytes of a file.

    Args:
        file: path, or seekable file object, whose position is kept.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            return file_digest(opened)
    position = file.tell()
    file.seek(0)
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    file.seek(position)
    return digest.digest()
