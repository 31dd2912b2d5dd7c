"""Reading a stream from any binary file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import UsageError
from .byte_source import ByteSource, is_seekable
from .forward_reader import ForwardReader
from .header import read_header
from .random_access import open_random_access
from .raw_packet import DamagedWindow, RawPacket, unpack
from .trailer import Trailer
from .window import Window


class StreamReader:
    """Reads a stream from any binary file, pipes included.

    Iteration yields a Window or a DamagedWindow for each packet in order. It raises BadInputError at the
    point where the stream as a whole is found invalid, TruncatedError where its end is missing; all windows
    that can be read have been yielded before. A seekable file can be iterated over any number of times, a
    pipe once.

    Memory: one packet, and one byte per signal and window.

    Attributes:
        header: the header and tags
        header_bytes: size of the header and tags in the file
        trailer: the trailer; None on a pipe, or without a sound trailer, until all packets have been read

    Raises:
        BadInputError: the header is not that of a stream this version reads.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        origin = file.tell() if is_seekable(file) else None
        self._source = ByteSource(file)
        self._source_is_fresh = True
        self.header = read_header(self._source.take)
        self.header_bytes = self._source.position
        self._start = None if origin is None else origin + self.header_bytes  # of the packets; None: a pipe
        self._random_access = (
            None if self._start is None else open_random_access(file, self._start, self.header)
        )
        self.trailer: Trailer | None = self._random_access.trailer if self._random_access else None

    @property
    def is_seekable(self) -> bool:
        """Whether packets can be read at any position."""
        return self._random_access is not None

    @property
    def total_samples(self) -> int | None:
        """Samples per channel at the original rate; None until the header or the trailer gives them."""
        return self.trailer.total_samples if self.trailer else self.header.total_samples

    @property
    def window_count(self) -> int | None:
        """Number of windows; None until the header or the trailer gives it."""
        return self.trailer.packets if self.trailer else self.header.window_count

    def __iter__(self) -> Iterator[Window | DamagedWindow]:
        return map(self._unpack, self.packets())

    def windows(self, first: int = 0, last: int | None = None) -> Iterator[Window | DamagedWindow]:
        """The windows ``first`` to ``last - 1``, or to the end if ``last`` is None.

        Only their packets are read if the file is seekable and has a sound trailer, else all packets before
        them as well.
        """
        if self._random_access is not None:
            packets = self._random_access.trailer.packets
            stop = packets if last is None else min(last, packets)
            yield from map(self._unpack, self._random_access.packets(max(first, 0), stop))
            return
        for packet in self._read_forward():
            if last is not None and packet.index >= last:
                return
            if packet.index >= first:
                yield self._unpack(packet)
            if last is not None and packet.index + 1 >= last:
                return

    def packets(self) -> Iterator[RawPacket | DamagedWindow]:
        """All packets, the indices still packed; otherwise the same as iterating over the reader."""
        if self._random_access is not None:
            return self._random_access.packets(0, self._random_access.trailer.packets)
        return self._read_forward()

    def _unpack(self, packet: RawPacket | DamagedWindow) -> Window | DamagedWindow:
        return unpack(self.header, packet) if isinstance(packet, RawPacket) else packet

    def _read_forward(self) -> Iterator[RawPacket | DamagedWindow]:
        reader = ForwardReader(self.header, self._source_of_packets())
        try:
            yield from reader.packets()
        finally:
            self.trailer = reader.trailer  # which can be sound although something follows it

    def _source_of_packets(self) -> ByteSource:
        if self._start is not None:
            self._file.seek(self._start)
            return ByteSource(self._file, self.header_bytes)
        if not self._source_is_fresh:
            raise UsageError("a pipe can be read only once")
        self._source_is_fresh = False
        return self._source
