"""A reader of version 1.0, written from the specification alone, section by section.

It is kept as it is, so that streams of newer minor versions can be checked against what readers of version
1.0 accept. specification_reader.py derives the reader of the current version from it.

It shares no code with the package, so that the text and the package can be checked against each other. It is
slow and keeps everything in memory. Attributes have the names of the specification where these are letters.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import product
from math import comb
from typing import NamedTuple

MARKER, END_MAGIC = b"\xffEND", b"CWS\x89"
UNKNOWN_TOTAL = 2**64 - 1


class Refusal(Exception):
    """The stream is refused or truncated."""


class InvalidModes(Exception):
    """A mode field may not occur at its place."""


class Content(NamedTuple):
    """A window: for each signal its kind, mask, levels and indices."""

    frames: int
    signals: list[tuple[str, list[int], list[int], list]]


class Damaged(NamedTuple):
    """A damaged window."""

    frames: int


class Start(NamedTuple):
    """The beginning of a packet."""

    frames: int
    modes: tuple[int, ...]
    bits: int


@dataclass
class Trailer:
    """The fields of a trailer."""

    size: int
    total: int
    packets: int
    crc: int
    common_size: int
    last_frames: int
    table: list[tuple[int, ...]]  # empty if common_size is not 0


def bits_for(n: int) -> int:
    """Section 1.3."""
    return (n - 1).bit_length()


def crc16(data: bytes) -> int:
    """Section 1.4."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1 & 0xFFFF
    return crc


def bit_text(data: bytes) -> str:
    """The bits of bytes as a text of 0 and 1."""
    return "".join(f"{byte:08b}" for byte in data)


def require(condition: bool, fault: str) -> None:
    if not condition:
        raise Refusal(fault)


class SpecificationReader10:
    """Reads a stream from its bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.wrong_content: set[int] = set()  # packets that only their masks, indices or padding damage
        self.start = self._header()

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little")

    # Sections 2, 4 and 5

    def _header(self) -> int:
        """Reads the header and the tags; returns the position of the first packet."""
        data = self.data
        require(data != b"" and data[:4] == b"\x89SWC"[: len(data)], "magic")
        require(len(data) >= 8, "truncated header")
        self.minor, length = data[5], self._number(6, 2)
        require(data[4] == 1, "major version")
        require(length >= 64, "length of the header")
        require(len(data) >= length, "truncated header")
        require(zlib.crc32(data[: length - 4]) == self._number(length - 4, 4), "CRC of the header")
        require(self.minor > 0 or length == 64, "length of the header")
        flags = self._number(8, 4)
        require(flags & 0xFFFE == 0, "critical flags")
        end = length + (self._tags(length) if flags & 1 else 0)
        self.codec_rate, self.original_rate, total = struct.unpack_from("<IIQ", data, 28)
        self.hop, self.F, self.Nr, self.S, largest_index = struct.unpack_from("<HHBBH", data, 44)
        channels, coding, self.rate_mode, self.total_experts = data[52:56]
        self.K = largest_index + 1
        require(1000 <= self.codec_rate <= 768000 and 1 <= self.original_rate <= 768000, "sample rates")
        require(self.hop >= 1 and self.F >= 1 and self.hop * self.F <= 2**22, "window")
        require(self.Nr <= 32 and 1 <= self.S <= 8 and self.K >= 2, "quantizers")
        require((channels, coding) in ((1, 0), (2, 1), (2, 2), (2, 3)), "channels")
        self.signals = 2 if coding in (1, 2) else 1
        highest = self.Nr * self.signals
        require(self.rate_mode <= 2, "rate mode")
        require(
            self.total_experts <= highest if self.rate_mode == 0 else self.total_experts == 255,
            "experts per window",
        )
        self.w = bits_for(self.Nr + 6)
        require(self.size((self.Nr, self.Nr), self.F) <= 2**18, "size of packets")
        self.total = None if total == UNKNOWN_TOTAL else total
        if self.total is not None:
            require(total <= 2**43 and self.windows(total)[0] <= 2**31 - 1, "total")
        combinations = product(range(self.Nr + 4), repeat=self.signals)
        possible = [modes for modes in combinations if self.may_occur(modes)]
        self.coded_sizes = {
            self.size(modes, self.F)
            for modes in possible
            if max(modes) <= self.Nr and sum(modes) == self.total_experts
        }
        self.allowed = [modes for modes in possible if self.follows_rate_mode(modes)]
        self.full_sizes = sorted({self.size(modes, self.F) for modes in self.allowed})
        return end

    def _tags(self, at: int) -> int:
        """Checks the tags block; returns its length."""
        require(len(self.data) >= at + 6, "truncated tags")
        length, count = self._number(at, 4), self._number(at + 4, 2)
        require(14 <= length <= 65536, "length of the tags")
        require(len(self.data) >= at + length, "truncated tags")
        end = at + length - 4
        require(zlib.crc32(self.data[at:end]) == self._number(end, 4), "CRC of the tags")
        at += 6
        require(count >= 1, "number of tags")
        for _ in range(count):
            require(at + 2 <= end, "tag beyond the block")
            size = self._number(at, 2)
            text = self.data[at + 2 : at + 2 + size]
            at += 2 + size
            require(at <= end, "tag beyond the block")
            try:
                key, equals, value = text.decode().partition("=")
            except UnicodeDecodeError:
                raise Refusal("tag is not UTF-8") from None
            require(equals == "=" and key != "" and all(" " <= c <= "~" for c in key), "key")
            forbidden = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)]
            require(not any(ord(c) in forbidden for c in value), "value")
        require(at == end, "tags do not fill their block")
        return length

    def windows(self, total: int) -> tuple[int, int]:
        """Section 2: number of windows, and frames in the last one."""
        samples = -(-total * self.codec_rate // self.original_rate)
        frames = -(-samples // self.hop)
        count = -(-frames // self.F)
        return count, frames - (count - 1) * self.F if count else 0

    # Sections 4.4 and 6

    def may_occur(self, modes: tuple[int, ...]) -> bool:
        """Section 6.1."""
        for signal, mode in enumerate(modes):
            other_coded = len(modes) == 2 and modes[1 - signal] <= self.Nr
            if mode > self.Nr + 3:
                return False
            if mode == self.Nr + 2 and not (signal == 1 and other_coded):
                return False
            if mode == self.Nr + 3 and not other_coded:
                return False
        return True

    def follows_rate_mode(self, modes: tuple[int, ...]) -> bool:
        """Section 4.4."""
        if self.rate_mode != 0:
            return True
        coded = [mode for mode in modes if mode <= self.Nr]
        e = sum(coded)
        if len(coded) == len(modes):
            return e == self.total_experts
        exception = e == self.total_experts + 1 and len(coded) == 1
        return e <= self.total_experts or (
            exception and 50 * self.size(modes, self.F) <= 51 * max(self.coded_sizes)
        )

    def size(self, modes: tuple[int, ...], frames: int) -> int:
        """Section 6.3."""
        bits = (self.w + bits_for(self.F) if frames < self.F else 0) + len(modes) * self.w
        bits += 40 if self.Nr + 3 in modes else 0
        for k in modes:
            if k <= self.Nr:
                bits += bits_for(comb(self.Nr, k)) + (1 + k) * self.S * frames * bits_for(self.K)
        return -(-bits // 8) + 2

    def packet_start(self, at: int) -> Start:
        """Section 6.2, items 1 and 2. Raises InvalidModes."""
        text = bit_text(self.data[at : at + 5]).ljust(40, "0")
        frames, position = self.F, self.w
        fields = [int(text[: self.w], 2)]
        if fields[0] == self.Nr + 4:
            width = bits_for(self.F)
            frames = int(text[position : position + width] or "0", 2) + 1
            position += width
            if frames >= self.F:
                raise InvalidModes
            fields = [int(text[position : position + self.w], 2)]
            position += self.w
        if self.signals == 2:
            fields.append(int(text[position : position + self.w], 2))
            position += self.w
        if not self.may_occur(tuple(fields)):
            raise InvalidModes
        return Start(frames, tuple(fields), position)

    def crc_is_right(self, index: int, at: int, end: int) -> bool:
        """Section 6.2, item 7."""
        body = struct.pack("<I", index) + self.data[at : end - 2]
        return end - at >= 2 and end <= len(self.data) and crc16(body) == self._number(end - 2, 2)

    def content(self, at: int, end: int, start: Start) -> Content | None:
        """Section 6.2, items 3 to 6; None if a rule is broken."""
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
        names = {self.Nr + 1: "silent", self.Nr + 2: "copy", self.Nr + 3: "intensity"}
        signals: list[tuple[str, list[int], list[int], list]] = []
        for k, mask in zip(start.modes, masks, strict=True):
            if k > self.Nr:
                signals.append((names[k], [], levels if k == self.Nr + 3 else [], []))
                continue
            width = bits_for(self.K)
            indices = [
                [[take(width) for _ in range(start.frames)] for _ in range(self.S)] for _ in range(1 + k)
            ]
            if max(index for quantizer in indices for codebook in quantizer for index in codebook) >= self.K:
                return None
            signals.append(("coded", mask, [], indices))
        return None if "1" in text[position:] else Content(start.frames, signals)

    def mask(self, rank: int, k: int) -> list[int]:
        """Section 6.4."""
        mask = []
        for i in range(k, 0, -1):
            e = max(e for e in range(self.Nr) if comb(e, i) <= rank)
            mask.append(e)
            rank -= comb(e, i)
        return mask[::-1]

    # Section 7

    def trailer(self, at: int, packet_counts: range) -> Trailer:
        """The trailer at a position. Raises Refusal for any fault."""
        data = self.data
        require(data[at : at + 4] == MARKER, "marker")
        require(len(data) >= at + 32, "truncated trailer")
        size, total, packets, crc, common, last, reserved = struct.unpack_from("<IQIIIHH", data, at + 4)
        require(packets in packet_counts, "number of packets")
        fields = packets * self.signals
        table_size = -(-fields * self.w // 8) if common == 0 else 0
        extra = size - 44 - table_size
        require(extra == 0 or (self.minor > 0 and 0 < extra <= 65536), "length of the trailer")
        end = at + size
        require(len(data) >= end, "truncated trailer")
        require(zlib.crc32(data[at : end - 12]) == self._number(end - 12, 4), "CRC of the trailer")
        require(self._number(end - 8, 4) == size and data[end - 4 : end] == END_MAGIC, "end of the trailer")
        require(total <= 2**43 and self.total in (None, total), "total")
        count = self.windows(total)[0]
        require(count <= 2**31 - 1 and self.windows(total) == (packets, last), "windows")
        require(common == 0 or packets >= 2, "common size of fewer than two packets")
        require(self.minor > 0 or reserved == 0, "reserved field")
        table: list[tuple[int, ...]] = []
        if common == 0:
            text = bit_text(data[at + 32 : at + 32 + table_size])
            require("1" not in text[fields * self.w :], "padding of the table")
            flat = [int(text[i * self.w : (i + 1) * self.w], 2) for i in range(fields)]
            table = [tuple(flat[i : i + self.signals]) for i in range(0, fields, self.signals)]
        return Trailer(size, total, packets, crc, common, last, table)

    def read(self) -> tuple[list[Content | Damaged], str | None]:
        """All windows, and why the stream is refused, if it is: as a seekable file (Section 7.1)."""
        sizes, trailer = self._sizes_by_trailer()
        if trailer is None:
            return self.read_forward()
        windows: list[Content | Damaged] = []
        at = self.start
        for index, size in enumerate(sizes):
            frames = trailer.last_frames if index == len(sizes) - 1 else self.F
            modes = trailer.table[index] if trailer.table else None
            windows.append(self.packet(index, at, at + size, frames, modes))
            at += size
        all_sound = all(
            isinstance(window, Content) or index in self.wrong_content for index, window in enumerate(windows)
        )
        wrong = all_sound and zlib.crc32(self.data[self.start : at]) != trailer.crc
        return windows, "CRC of all packets" if wrong else None

    def _sizes_by_trailer(self) -> tuple[list[int], Trailer | None]:
        """Sizes of all packets, and the trailer; None if it is not reliable."""
        data = self.data
        trailer_at = len(data) - self._number(len(data) - 8, 4)
        if len(data) - self.start < 44 or data[-4:] != END_MAGIC or trailer_at < self.start:
            return [], None
        area = trailer_at - self.start
        try:
            trailer = self.trailer(trailer_at, range(area // 3 + 1))
        except Refusal:
            return [], None
        if trailer.common_size:
            rest = area - (trailer.packets - 1) * trailer.common_size
            last_sizes = {self.size(modes, trailer.last_frames) for modes in self.allowed}
            fits = trailer.common_size in self.full_sizes and rest in last_sizes
            sizes = [trailer.common_size] * (trailer.packets - 1) + [rest]
            return (sizes, trailer) if fits else ([], None)
        if not all(map(self.may_occur, trailer.table)):
            return [], None
        frames = [self.F] * (trailer.packets - 1) + [trailer.last_frames]
        sizes = [self.size(modes, count) for modes, count in zip(trailer.table, frames, strict=False)]
        return (sizes, trailer) if sum(sizes) == area else ([], None)

    # Sections 7.2 and 8

    def packet(
        self, index: int, at: int, end: int, expected: int | None, modes: tuple[int, ...] | None = None
    ) -> Content | Damaged:
        """The packet between two positions."""
        if not self.crc_is_right(index, at, end):
            return Damaged(expected or self.F)
        try:
            start = self.packet_start(at)
        except InvalidModes:
            return Damaged(expected or self.F)
        frames = expected or start.frames
        right_size = self.size(start.modes, start.frames) == end - at
        as_expected = start.frames == frames and modes in (None, start.modes)
        if not right_size or not as_expected or not self.follows_rate_mode(start.modes):
            return Damaged(frames)
        content = self.content(at, end, start)
        if content is None:
            self.wrong_content.add(index)
        return content or Damaged(frames)

    def read_forward(self) -> tuple[list[Content | Damaged], str | None]:
        """All windows, and why the stream is refused, if it is: as a pipe (Section 7.2)."""
        windows: list[Content | Damaged] = []
        try:
            self._read_forward(windows)
        except Refusal as refusal:
            return windows, str(refusal)
        return windows, None

    def _read_forward(self, windows: list[Content | Damaged]) -> None:
        at = self.start
        count, last_frames = (None, 0) if self.total is None else self.windows(self.total)
        sizes: list[int] = []
        while (marker := self.data[at : at + 4]) != MARKER:
            require(not MARKER.startswith(marker), "truncated")
            require(not windows or windows[-1].frames == self.F, "short window before the last")
            require(len(windows) != count, "no trailer")
            index, expected = len(windows), None
            if count is not None:
                expected = last_frames if index == count - 1 else self.F
            claimed = self.claimed_size(at)
            if claimed is not None and self.crc_is_right(index, at, at + claimed):
                size = claimed
                windows.append(self.packet(index, at, at + size, expected))
            else:
                require(not self.marker_alone_is_wrong(index, at), "marker of the trailer")
                size, frames = self.find_end(index, at, claimed)
                windows.append(Damaged(expected or frames or self.F))
            sizes.append(size)
            at += size
        trailer = self.trailer(at, range(len(windows), len(windows) + 1))
        self._compare(windows, sizes, trailer)
        require(at + trailer.size == len(self.data), "bytes behind the trailer")

    def _compare(self, windows: list[Content | Damaged], sizes: list[int], trailer: Trailer) -> None:
        require(not windows or windows[-1].frames == trailer.last_frames, "frames of the last window")
        at, all_sound = self.start, True
        for index, (window, size) in enumerate(zip(windows, sizes, strict=True)):
            if isinstance(window, Damaged) and index not in self.wrong_content:
                all_sound = False
            elif trailer.common_size:
                require(size == trailer.common_size or index == len(windows) - 1, "common size")
            else:
                require(self.packet_start(at).modes == trailer.table[index], "table")
            at += size
        require(not all_sound or zlib.crc32(self.data[self.start : at]) == trailer.crc, "CRC of all packets")

    def claimed_size(self, at: int) -> int | None:
        """Size that the mode fields give; None if they may not occur."""
        try:
            start = self.packet_start(at)
        except InvalidModes:
            return None
        return self.size(start.modes, start.frames)

    def marker_alone_is_wrong(self, index: int, at: int) -> bool:
        """Whether a trailer with a wrong marker is here; newer versions look for it."""
        return False

    def largest_before_trailer(self) -> int:
        """Largest size of a damaged packet that the search finds the trailer behind."""
        return self.full_sizes[-1]

    def look_ahead(self) -> int:
        """How far the search for the end of a damaged packet looks; newer versions look further."""
        return 2 * self.full_sizes[-1] + 5

    def find_end(self, index: int, at: int, claimed: int | None) -> tuple[int, int | None]:
        """Size of a damaged packet and, if the trailer follows, the frames of its window."""
        largest = self.full_sizes[-1]
        end = min(len(self.data), at + self.look_ahead())
        for size in range(3, self.largest_before_trailer() + 1):
            behind = at + size
            is_trailer = self.data[behind : behind + 4] == MARKER and behind + 32 <= end
            if is_trailer and self._number(behind + 16, 4) == index + 1:
                frames = self._number(behind + 28, 2)
                return size, frames if 1 <= frames <= self.F else None
        for size in [*([] if claimed is None else [claimed]), *self.full_sizes]:
            behind = at + size
            next_size = self.claimed_size(behind) if behind < end else None
            if next_size is None or behind + next_size > end:
                continue
            allowed = self.follows_rate_mode(self.packet_start(behind).modes)
            if allowed and self.crc_is_right(index + 1, behind, behind + next_size):
                return size, None
        likely = claimed
        if self.rate_mode == 0:
            likely = claimed if claimed in self.coded_sizes else max(self.coded_sizes)
        require(end - at >= (largest if likely is None else likely), "truncated")
        if likely is None:
            raise Refusal("next packet not found")
        return likely, None
