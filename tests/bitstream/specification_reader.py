"""A reader written from bitstream_spec.md alone: version 1.0 and what version 1.1 changes."""

from __future__ import annotations

import struct

from specification_reader_1_0 import END_MAGIC, SpecificationReader10, Trailer, require

ADDITIONS_BYTES = 24


class SpecificationReader(SpecificationReader10):
    """Reads a stream from its bytes.

    Attributes:
        source: kind and value of the digest in the trailer that was read last; None if it is unknown
        request: effort, quality in thousandths and maximum rate in it; None for each that is unknown
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        require(self.minor > 1 or self._number(6, 2) == 64, "length of the header")  # Section 4.1
        self.source: tuple[int, bytes] | None = None
        self.request: tuple[int | None, int | None, int | None] = (None, None, None)

    def trailer(self, at: int, packet_counts: range) -> Trailer:
        """Sections 4.2, 7 and 7.3."""
        trailer = super().trailer(at, packet_counts)
        fields = trailer.packets * self.signals
        table_size = -(-fields * self.w // 8) if trailer.common_size == 0 else 0
        additions = trailer.size - 44 - table_size
        if self.minor == 1:
            require(additions == ADDITIONS_BYTES, "length of the additions")
            require(self._number(at + 30, 2) == 0, "reserved field")
        if self.minor > 1:
            require(additions >= ADDITIONS_BYTES, "length of the additions")
        if self.minor > 0:
            start = at + 32 + table_size
            kind, effort, quality, rate, digest = struct.unpack_from("<BBHI16s", self.data, start)
            self.source = (kind, digest) if kind in (1, 2) else None
            self.request = (
                None if effort == 255 else effort,
                None if quality == 65535 else quality,
                None if rate == 0 else rate,
            )
        return trailer

    def marker_alone_is_wrong(self, index: int, at: int) -> bool:
        """Section 7.2, step 5."""
        if len(self.data) < at + 32 or self._number(at + 16, 4) != index:
            return False
        size, common_size = self._number(at + 4, 4), self._number(at + 24, 4)
        table_size = -(-index * self.signals * self.w // 8) if common_size == 0 else 0
        additions = size - 44 - table_size
        allowed = additions == 24 if self.minor == 1 else 24 <= additions <= 65536
        if not (allowed if self.minor > 0 else additions == 0) or len(self.data) < at + size:
            return False
        return self._number(at + size - 8, 4) == size and self.data[at + size - 4 : at + size] == END_MAGIC

    def largest_before_trailer(self) -> int:
        """Section 8: s."""
        short = [self.size(modes, self.F - 1) for modes in self.allowed] if self.F > 1 else []
        return max([*self.full_sizes, *short])

    def look_ahead(self) -> int:
        """Section 8."""
        s = self.largest_before_trailer()
        return max(2 * s + 5, s + 32)
