"""Positions of the packets of a stream, as its trailer gives them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import BadInputError
from .header import Header
from .modes import BlockMode
from .packet import MIN_PACKET_BYTES
from .trailer import Trailer, unpack_mode_fields, unpack_sizes

NO_FIT = "the packets do not fill the space between header and trailer"


class PacketPositions(ABC):
    """Where each packet lies, relative to the first one."""

    @abstractmethod
    def locate(self, index: int) -> tuple[int, int]:
        """Offset in bytes from the first packet, and size, of packet ``index``."""

    @abstractmethod
    def modes_match(self, index: int, modes: Sequence[BlockMode]) -> bool:
        """Whether the trailer allows packet ``index`` to have these modes."""


def packet_positions(header: Header, trailer: Trailer, area: int) -> PacketPositions:
    """Positions of the packets that fill the ``area`` bytes between the header and the trailer.

    Raises:
        BadInputError: packets as the trailer describes them do not fill the area exactly.
    """
    if header.entropy_coded:
        return SizePositions(header, trailer, area)
    if trailer.packet_bytes:
        return CommonSizePositions(header, trailer, area)
    return TablePositions(header, trailer, area)


class CommonSizePositions(PacketPositions):
    """Packets that all have the same size, except perhaps the last one."""

    def __init__(self, header: Header, trailer: Trailer, area: int) -> None:
        self._size = trailer.packet_bytes
        self._last = trailer.packets - 1
        self._last_size = area - self._last * self._size
        fits = self._size in header.packet_sizes()
        if not fits or self._last_size not in header.packet_sizes(trailer.last_frames):
            raise BadInputError(NO_FIT)

    def locate(self, index: int) -> tuple[int, int]:
        """See PacketPositions."""
        return index * self._size, self._last_size if index == self._last else self._size

    def modes_match(self, index: int, modes: Sequence[BlockMode]) -> bool:
        """See PacketPositions; without a table any modes match."""
        return True


class SizePositions(PacketPositions):
    """Entropy-coded packets, whose sizes are in the table.

    Only one block of the table is unpacked at a time.
    """

    BLOCK = 4096  # packets; a multiple of 8, so that blocks of the table start at whole bytes

    def __init__(self, header: Header, trailer: Trailer, area: int) -> None:
        self._trailer = trailer
        self._block = lru_cache(maxsize=1)(self._unpack_block)  # the last one in use stays unpacked
        self._starts = [0]  # offset of the first packet of each block
        for number in range(-(-trailer.packets // self.BLOCK)):
            offsets = self._block(number)
            sizes = np.diff(offsets)
            if sizes.min() < MIN_PACKET_BYTES or sizes.max() > header.largest_packet_bytes:
                raise BadInputError(NO_FIT)
            self._starts.append(self._starts[-1] + int(offsets[-1]))
        if self._starts[-1] != area:
            raise BadInputError(NO_FIT)

    def locate(self, index: int) -> tuple[int, int]:
        """See PacketPositions."""
        number, place = divmod(index, self.BLOCK)
        start, end = map(int, self._block(number)[place : place + 2])
        return self._starts[number] + start, end - start

    def modes_match(self, index: int, modes: Sequence[BlockMode]) -> bool:
        """See PacketPositions; the table holds no modes."""
        return True

    def _unpack_block(self, number: int) -> np.ndarray:
        """Offsets of the packets of a block, and its end.  # (packets + 1,)"""
        first = number * self.BLOCK
        sizes = unpack_sizes(self._trailer, first, min(first + self.BLOCK, self._trailer.packets))
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


class TablePositions(PacketPositions):
    """Packets whose sizes follow from the table of mode fields.

    Only one block of the table is unpacked at a time.
    """

    BLOCK = 4096  # packets; a multiple of 8, so that blocks of the table start at whole bytes

    def __init__(self, header: Header, trailer: Trailer, area: int) -> None:
        self._header, self._trailer = header, trailer
        self._block = lru_cache(maxsize=1)(self._unpack_block)  # the last one in use stays unpacked
        self._starts = [0]  # offset of the first packet of each block
        for number in range(-(-trailer.packets // self.BLOCK)):
            self._starts.append(self._starts[-1] + int(self._block(number).offsets[-1]))
        if self._starts[-1] != area:
            raise BadInputError(NO_FIT)

    def locate(self, index: int) -> tuple[int, int]:
        """See PacketPositions."""
        number, place = divmod(index, self.BLOCK)
        start, end = map(int, self._block(number).offsets[place : place + 2])
        return self._starts[number] + start, end - start

    def modes_match(self, index: int, modes: Sequence[BlockMode]) -> bool:
        """See PacketPositions."""
        number, place = divmod(index, self.BLOCK)
        fields: list[int] = self._block(number).mode_fields[place].tolist()
        return fields == [self._header.parameters.mode_field(mode) for mode in modes]

    def _unpack_block(self, number: int) -> _TableBlock:
        parameters, trailer = self._header.parameters, self._trailer
        first = number * self.BLOCK
        last = min(first + self.BLOCK, trailer.packets)
        fields = unpack_mode_fields(self._header, trailer.table, first, last)
        for distinct in np.unique(fields, axis=0).tolist():
            self._modes(distinct)
        sizes = parameters.packet_bytes_of_fields(fields)
        if last == trailer.packets:
            sizes[-1] = parameters.packet_bytes(self._modes(fields[-1].tolist()), trailer.last_frames)
        return _TableBlock(fields, np.concatenate([[0], np.cumsum(sizes)]))

    def _modes(self, fields: Sequence[int]) -> tuple[BlockMode, ...]:
        try:
            return self._header.parameters.modes_of_fields(fields)
        except ValueError as error:
            raise BadInputError(f"invalid table in the trailer: {error}") from None


@dataclass(frozen=True)
class _TableBlock:
    mode_fields: np.ndarray  # (packets, signals)
    offsets: np.ndarray  # (packets + 1,) in bytes from the first packet of the block
