"""Reading bytes from any binary file, pipes included."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

MAX_READ = 1 << 16  # bytes per call, so that memory follows what the file holds and not what a field claims

TakeBytes = Callable[[int], bytes]  # takes so many bytes from a file; returns fewer only at its end


class ByteSource:
    """Reads a file forward, with look-ahead."""

    def __init__(self, file: BinaryIO, position: int = 0) -> None:
        """``position`` is the number of bytes of the stream before the file's current position."""
        self._read: TakeBytes = getattr(file, "read1", None) or file.read
        self._buffer = bytearray()
        self.position = position  # of the next byte, from the start of the stream

    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes, without taking them; fewer only at the end of the file."""
        while len(self._buffer) < count:
            data = self._read(min(count - len(self._buffer), MAX_READ))
            if not data:
                break
            self._buffer += data
        return bytes(self._buffer[:count])

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only at the end of the file."""
        data = self.peek(count)
        del self._buffer[: len(data)]
        self.position += len(data)
        return data


def read_fully(file: BinaryIO, count: int) -> bytes:
    """The next ``count`` bytes of a file; fewer only at its end."""
    parts = []
    while count > 0:
        data = file.read(min(count, MAX_READ))
        if not data:
            break
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def is_seekable(file: BinaryIO) -> bool:
    """Whether the file supports seeking."""
    try:
        return bool(file.seekable())
    except (AttributeError, OSError, ValueError):
        return False
