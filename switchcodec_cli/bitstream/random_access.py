"""Reading packets of a seekable file at any position (section 7.1 of the specification)."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from ..errors import BadInputError
from .byte_source import read_fully
from .header import Header
from .packet import MIN_PACKET_BYTES
from .packet_positions import PacketPositions, packet_positions
from .raw_packet import DamagedWindow, RawPacket, check_packet, damaged_window
from .trailer import (
    LENGTH_AND_MAGIC_BYTES,
    MIN_TRAILER_BYTES,
    WRONG_PACKETS_CRC,
    Trailer,
    read_trailer,
    trailer_size_at_end,
)


class RandomAccess:
    """Reads packets from the positions that the trailer gives."""

    def __init__(
        self, file: BinaryIO, start: int, header: Header, trailer: Trailer, positions: PacketPositions
    ) -> None:
        """``start`` is the position of the first packet in the file."""
        self._file, self._start, self._header = file, start, header
        self._positions = positions
        self.trailer = trailer

    def packets(self, first: int, last: int) -> Iterator[RawPacket | DamagedWindow]:
        """The packets ``first`` to ``last - 1``.

        Raises:
            BadInputError: all packets were read, each is sound, and the CRC over all of them is wrong.
        """
        crc, damaged = 0, False
        for index in range(first, last):
            offset, size = self._positions.locate(index)
            self._file.seek(self._start + offset)
            data = read_fully(self._file, size)
            crc = zlib.crc32(data, crc)
            packet = self._check(index, data)
            damaged |= isinstance(packet, DamagedWindow)
            yield packet
        whole_stream = (first, last) == (0, self.trailer.packets)
        if whole_stream and not damaged and crc != self.trailer.packets_crc:
            raise BadInputError(WRONG_PACKETS_CRC)

    def _check(self, index: int, data: bytes) -> RawPacket | DamagedWindow:
        header = self._header
        is_last = index == self.trailer.packets - 1
        frames = self.trailer.last_frames if is_last else header.parameters.frames_per_window
        packet = check_packet(header, index, data, frames)
        if isinstance(packet, RawPacket) and not self._positions.modes_match(index, packet.modes):
            return damaged_window(header, index, frames, "its mode fields are not those in the trailer")
        return packet


def open_random_access(file: BinaryIO, start: int, header: Header) -> RandomAccess | None:
    """Random access to the packets of a seekable file; None if it does not end with a sound trailer.

    Args:
        start: position of the first packet in the file
    """
    end = file.seek(0, os.SEEK_END)
    if end - start < MIN_TRAILER_BYTES:
        return None
    file.seek(end - LENGTH_AND_MAGIC_BYTES)
    size = trailer_size_at_end(read_fully(file, LENGTH_AND_MAGIC_BYTES))
    if size is None or size > end - start:
        return None
    area = end - size - start
    file.seek(end - size)
    try:
        trailer = read_trailer(header, partial(read_fully, file), range(area // MIN_PACKET_BYTES + 1))
        return RandomAccess(file, start, header, trailer, packet_positions(header, trailer, area))
    except BadInputError:
        return None
