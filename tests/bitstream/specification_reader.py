"""A reader written from bitstream_spec.md alone: version 1.0 and what version 1.1 changes."""

from __future__ import annotations

import struct
import zlib
from math import comb
from typing import NamedTuple

from specification_reader_1_0 import (
    END_MAGIC,
    MARKER,
    Content,
    Damaged,
    InvalidModes,
    Refusal,
    SpecificationReader10,
    Trailer,
    bit_text,
    bits_for,
    require,
)

ADDITIONS_BYTES = 24


class SizedStart(NamedTuple):
    """The beginning of a packet, and the sizes that follow from it."""

    frames: int
    modes: tuple[int, ...]
    bits: int
    sizes: tuple[int, ...]  # of the modelled indices of each coded block, 0 where they are plain
    layer_sizes: tuple[int, ...]  # of the waveform layer of each coded block, 0 for none
    packet_bytes: int


class SpecificationReader(SpecificationReader10):
    """Reads a stream from its bytes.

    Modelled indices are delivered as the bytes of their payload. In streams with waveform layers, each signal
    has a fifth entry: the bytes of its layer.

    Attributes:
        source: kind and value of the digest in the trailer that was read last; None if it is unknown
        request: effort, quality in thousandths and maximum rate in it; None for each that is unknown
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        require(self.minor > 1 or self._number(6, 2) == 64, "length of the header")  # Section 4.1
        self.source: tuple[int, bytes] | None = None
        self.request: tuple[int | None, int | None, int | None] = (None, None, None)

    def _header(self) -> int:
        """Section 4.2: the header is checked as in version 1.0, as if flags 1 and 3 were not set."""
        data, length = self.data, self._number(6, 2)
        self.entropy_coded = len(data) >= 64 and data[8] & 2 != 0
        self.layers = self.entropy_coded and data[8] & 8 != 0
        if not self.entropy_coded:
            return super()._header()  # refuses flag 3
        require(64 <= length <= len(data), "length of the header")
        require(zlib.crc32(data[: length - 4]) == self._number(length - 4, 4), "CRC of the header")
        without_flag = data[:8] + bytes([data[8] & ~10]) + data[9 : length - 4]
        self.data = without_flag + struct.pack("<I", zlib.crc32(without_flag)) + data[length:]
        end = super()._header()
        self.data = data
        return end

    # Section 6

    def plain_bytes(self, k: int, frames: int) -> int:
        """Section 6.3: B."""
        return -(-(1 + k) * self.S * frames * bits_for(self.K) // 8)

    def size_with_plain_indices(self, modes: tuple[int, ...], frames: int) -> int:
        """Section 6.3: the largest size that a packet with these modes can have."""
        if not self.entropy_coded:
            return self.size(modes, frames)
        coded = sum(k <= self.Nr for k in modes)
        return self._sized(modes, frames, (0,) * coded, (4095,) * coded)

    def _sized(
        self, modes: tuple[int, ...], frames: int, sizes: tuple[int, ...], layer_sizes: tuple[int, ...]
    ) -> int:
        """Section 6.3: size of an entropy-coded packet."""
        plain = [self.plain_bytes(k, frames) for k in modes if k <= self.Nr]
        bits = (self.w + bits_for(self.F) if frames < self.F else 0) + len(modes) * self.w
        bits += sum(bits_for(size) for size in plain)
        bits += sum(bits_for(comb(self.Nr, k)) for k in modes if k <= self.Nr)
        bits += 40 if self.Nr + 3 in modes else 0
        payloads = sum(size or most for size, most in zip(sizes, plain, strict=True))
        if self.layers:
            bits += 12 * len(plain)
            payloads += sum(layer_sizes)
        return -(-bits // 8) + payloads + 2

    def packet_start(self, at: int) -> SizedStart:
        """Section 6.2, items 1 to 3. Raises InvalidModes."""
        start = super().packet_start(at)
        if not self.entropy_coded:
            return SizedStart(*start, (), (), self.size(start.modes, start.frames))
        text, position = bit_text(self.data[at : at + 12]).ljust(96, "0"), start.bits
        sizes, layer_sizes = [], []
        for k in start.modes:
            if k > self.Nr:
                continue
            plain = self.plain_bytes(k, start.frames)
            width = bits_for(plain)
            sizes.append(int(text[position : position + width] or "0", 2))
            position += width
            if sizes[-1] >= plain:
                raise InvalidModes
            if self.layers:
                layer_sizes.append(int(text[position : position + 12], 2))
                position += 12
        found = tuple(sizes), tuple(layer_sizes)
        packet_bytes = self._sized(start.modes, start.frames, *found)
        return SizedStart(start.frames, start.modes, position, *found, packet_bytes)

    def claimed_size(self, at: int) -> int | None:
        """Size that the beginning of a packet gives; None if it breaks a rule."""
        try:
            return self.packet_start(at).packet_bytes
        except InvalidModes:
            return None

    def packet(
        self, index: int, at: int, end: int, expected: int | None, modes: tuple[int, ...] | None = None
    ) -> Content | Damaged:
        """The packet between two positions."""
        if not self.entropy_coded:
            return super().packet(index, at, end, expected, modes)
        if not self.crc_is_right(index, at, end):
            return Damaged(expected or self.F)
        try:
            start = self.packet_start(at)
        except InvalidModes:
            return Damaged(expected or self.F)
        frames = expected or start.frames
        if start.packet_bytes != end - at or start.frames != frames:
            return Damaged(frames)
        if not self.follows_rate_mode(start.modes):
            return Damaged(frames)
        content = self._entropy_coded_content(at, end, start)
        if content is None:
            self.wrong_content.add(index)
        return content or Damaged(frames)

    def _entropy_coded_content(self, at: int, end: int, start: SizedStart) -> Content | None:
        """Section 6.2, items 4 to 9; None if a rule is broken."""
        text, position = bit_text(self.data[at : end - 2]), start.bits

        def take(width: int) -> int:
            nonlocal position
            position += width
            return int(text[position - width : position] or "0", 2) if width else 0

        masks = []
        for k in start.modes:
            rank = take(bits_for(comb(self.Nr, k))) if k <= self.Nr else 0
            if k <= self.Nr and rank >= comb(self.Nr, k):
                return None
            masks.append(self.mask(rank, k) if k <= self.Nr else [])
        levels = [take(5) for _ in range(8)] if self.Nr + 3 in start.modes else []
        if take(-position % 8):
            return None
        names = {self.Nr + 1: "silent", self.Nr + 2: "copy", self.Nr + 3: "intensity"}
        sizes = iter(start.sizes)
        signals: list[tuple] = []
        for k, mask in zip(start.modes, masks, strict=True):
            if k > self.Nr:
                signals.append((names[k], [], levels if k == self.Nr + 3 else [], []))
                continue
            size = next(sizes)
            if size:
                begin = at + position // 8
                signals.append(("coded", mask, [], self.data[begin : begin + size]))
                take(8 * size)
                continue
            width = bits_for(self.K)
            indices = [
                [[take(width) for _ in range(start.frames)] for _ in range(self.S)] for _ in range(1 + k)
            ]
            if max(index for quantizer in indices for codebook in quantizer for index in codebook) >= self.K:
                return None
            if take(-position % 8):
                return None
            signals.append(("coded", mask, [], indices))
        if self.layers:
            layer_sizes = iter(start.layer_sizes)
            for number, signal in enumerate(signals):
                size = next(layer_sizes) if signal[0] == "coded" else 0
                signals[number] = (*signal, self.data[at + position // 8 : at + position // 8 + size])
                take(8 * size)
        return Content(start.frames, signals)

    # Section 7

    def trailer(self, at: int, packet_counts: range) -> Trailer:
        """Sections 4.2, 7 and 7.3."""
        if self.entropy_coded:
            trailer = self._trailer_with_sizes(at, packet_counts)
            table_size = -(-trailer.packets * self.z // 8)
        else:
            trailer = super().trailer(at, packet_counts)
            fields = trailer.packets * self.signals
            table_size = -(-fields * self.w // 8) if trailer.common_size == 0 else 0
        require(self._additions_may_have(trailer.size - 44 - table_size), "length of the additions")
        require(self.minor > 1 or self._number(at + 30, 2) == 0, "reserved field")
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

    def _additions_may_have(self, size: int) -> bool:
        """The table of Section 4.2."""
        if self.minor == 0:
            return size == 0
        return size == ADDITIONS_BYTES if self.minor == 1 else ADDITIONS_BYTES <= size <= 65536

    def _trailer_with_sizes(self, at: int, packet_counts: range) -> Trailer:
        """Section 7, with flag 1: P holds z, and the table the sizes of the packets."""
        data = self.data
        require(data[at : at + 4] == MARKER, "marker")
        require(len(data) >= at + 32, "truncated trailer")
        size, total, packets, crc, z, last, _ = struct.unpack_from("<IQIIIHH", data, at + 4)
        require(packets in packet_counts, "number of packets")
        require(1 <= z <= 24 if packets else z == 0, "width of the sizes")
        table_size = -(-packets * z // 8)
        require(self._additions_may_have(size - 44 - table_size), "length of the trailer")
        end = at + size
        require(len(data) >= end, "truncated trailer")
        require(zlib.crc32(data[at : end - 12]) == self._number(end - 12, 4), "CRC of the trailer")
        require(self._number(end - 8, 4) == size and data[end - 4 : end] == END_MAGIC, "end of the trailer")
        require(total <= 2**43 and self.total in (None, total), "total")
        count = self.windows(total)[0]
        require(count <= 2**31 - 1 and self.windows(total) == (packets, last), "windows")
        text = bit_text(data[at + 32 : at + 32 + table_size])
        require("1" not in text[packets * z :], "padding of the table")
        self.z, self.sizes = z, [int(text[i * z : (i + 1) * z], 2) for i in range(packets)]
        return Trailer(size, total, packets, crc, 0, last, [])

    def _sizes_by_trailer(self) -> tuple[list[int], Trailer | None]:
        """Section 7.1."""
        if not self.entropy_coded:
            return super()._sizes_by_trailer()
        data = self.data
        trailer_at = len(data) - self._number(len(data) - 8, 4)
        if len(data) - self.start < 44 or data[-4:] != END_MAGIC or trailer_at < self.start:
            return [], None
        area = trailer_at - self.start
        try:
            trailer = self.trailer(trailer_at, range(area // 3 + 1))
        except Refusal:
            return [], None
        fits = sum(self.sizes) == area and all(3 <= size <= self.s for size in self.sizes)
        return (self.sizes, trailer) if fits else ([], None)

    def _compare(self, windows: list[Content | Damaged], sizes: list[int], trailer: Trailer) -> None:
        """Section 7, the last paragraph before 7.1."""
        if not self.entropy_coded:
            super()._compare(windows, sizes, trailer)
            return
        require(not windows or windows[-1].frames == trailer.last_frames, "frames of the last window")
        sound = [
            isinstance(window, Content) or index in self.wrong_content for index, window in enumerate(windows)
        ]
        pairs = zip(sizes, self.sizes, strict=True)
        require(all(a == b for (a, b), right in zip(pairs, sound, strict=True) if right), "table")
        packets = self.data[self.start : self.start + sum(sizes)]
        require(not all(sound) or zlib.crc32(packets) == trailer.crc, "CRC of all packets")

    def marker_alone_is_wrong(self, index: int, at: int) -> bool:
        """Section 7.2, step 5."""
        if len(self.data) < at + 32 or self._number(at + 16, 4) != index:
            return False
        size, p = self._number(at + 4, 4), self._number(at + 24, 4)
        if self.entropy_coded:
            if not (1 <= p <= 24 if index else p == 0):
                return False
            table_size = -(-index * p // 8)
        else:
            table_size = -(-index * self.signals * self.w // 8) if p == 0 else 0
        if not self._additions_may_have(size - 44 - table_size) or len(self.data) < at + size:
            return False
        return self._number(at + size - 8, 4) == size and self.data[at + size - 4 : at + size] == END_MAGIC

    # Section 8

    @property
    def s(self) -> int:
        """The largest size that a packet can have."""
        frames = [self.F, self.F - 1] if self.F > 1 else [self.F]
        return max(self.size_with_plain_indices(modes, count) for modes in self.allowed for count in frames)

    def largest_before_trailer(self) -> int:
        """How far behind the beginning of a damaged packet the trailer is looked for."""
        return self.s

    def look_ahead(self) -> int:
        """How far the search for the end of a damaged packet looks."""
        if not self.entropy_coded:
            return max(2 * self.s + 5, self.s + 32)
        return max(3 * self.s + (12 if self.layers else 9), self.s + 32)

    def find_end(self, index: int, at: int, claimed: int | None) -> tuple[int, int | None]:
        """Size of a damaged packet and, if the trailer follows, the frames of its window."""
        if not self.entropy_coded:
            return super().find_end(index, at, claimed)
        end = min(len(self.data), at + self.look_ahead())
        for size in range(3, self.s + 1):
            behind = at + size
            is_trailer = self.data[behind : behind + 4] == MARKER and behind + 32 <= end
            if is_trailer and self._number(behind + 16, 4) == index + 1:
                frames = self._number(behind + 28, 2)
                return size, frames if 1 <= frames <= self.F else None
        largest = max(self.size_with_plain_indices(modes, self.F) for modes in self.allowed)
        for size in [*([] if claimed is None else [claimed]), *range(3, largest + 1)]:
            first = self._size_of_sound_packet(index + 1, at + size, end)
            if first is None:
                continue
            behind = at + size + first
            is_marker = self.data[behind : min(end, behind + 4)] == MARKER
            if is_marker or self._size_of_sound_packet(index + 2, behind, end) is not None:
                return size, None
        require(end - at >= (largest if claimed is None else claimed), "truncated")
        if claimed is None:
            raise Refusal("next packet not found")
        return claimed, None

    def _size_of_sound_packet(self, index: int, at: int, end: int) -> int | None:
        """Size of the sound packet of a window between two positions; None if there is none."""
        size = self.claimed_size(at) if at < end else None
        if size is None or at + size > end:
            return None
        sound = self.follows_rate_mode(self.packet_start(at).modes) and self.crc_is_right(
            index, at, at + size
        )
        return size if sound else None
