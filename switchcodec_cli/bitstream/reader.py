"""Reading a stream: forward from anything that gives bytes, at random where the file can seek."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import BinaryIO

import numpy as np

from ..errors import BadInputError, UsageError
from .errors import TruncatedError
from .header import MAGIC, Header, read_header
from .packet import CODES_BYTES, PacketDamage, Window, crc_matches, decode_packet, parse_codes
from .trailer import (
    END_MAGIC,
    FIXED_BYTES,
    MARKER,
    MIN_PACKET_BYTES,
    PacketIndex,
    Trailer,
    read_trailer,
    unpack_table,
)

CHUNK = 1 << 16
UNKNOWN_CODE = 0xFF
# Work that the search behind damaged packets may do: so many bytes, and so many per byte read.
SEARCH_BYTES = 1 << 24
SEARCH_FACTOR = 64


@dataclass(frozen=True)
class DamagedWindow:
    """A window whose packet is damaged."""

    index: int
    start: float  # seconds
    frames: int
    reason: str


@dataclass(frozen=True)
class RawPacket:
    """One packet whose size, CRC and codes have been checked, or what is wrong with it."""

    index: int
    frames: int
    codes: tuple[int, ...] = ()
    data: bytes = b""
    damage: str | None = None


class ByteSource:
    """Forward reading with look-ahead; holds no more than was really read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read = getattr(file, "read1", None) or file.read
        self._buffer = bytearray()
        self.position = 0  # bytes taken

    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes without taking them; fewer only at the end."""
        while len(self._buffer) < count:
            data = self._read(min(count - len(self._buffer), CHUNK))
            if not data:
                break
            self._buffer += data
        return bytes(self._buffer[:count])

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only at the end."""
        data = self.peek(count)
        del self._buffer[: len(data)]
        self.position += len(data)
        return data


def is_seekable(file: BinaryIO) -> bool:
    """Whether the file can seek."""
    try:
        return bool(file.seekable())
    except (AttributeError, OSError, ValueError):
        return False


class StreamReader:
    """Reads a stream from any binary file, pipes included.

    Iteration yields a Window or a DamagedWindow for each packet in order, and raises BadInputError at the
    point where the stream as a whole is found wrong: TruncatedError where its end is missing.  Every window
    that could be read has been yielded by then.  A seekable file can be iterated over again and again, a
    pipe once.

    Memory: one packet, and one byte per signal and window.

    Raises BadInputError if the header is not that of a stream this program reads.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._origin = file.tell() if is_seekable(file) else None
        self._source = ByteSource(file)
        self.header: Header = read_header(self._source.take)
        self.header_bytes = self._source.position  # header and tags
        self.trailer: Trailer | None = None  # known from the start of a seekable file, else after iteration
        self._index: PacketIndex | None = None
        self._searched = 0
        self._fresh = True
        if self._origin is not None:
            self._find_trailer(self._origin)

    @property
    def total_samples(self) -> int | None:
        """Samples per channel at the original rate, None while nothing has told."""
        return self.trailer.total_samples if self.trailer else self.header.total_samples

    @property
    def window_count(self) -> int | None:
        """Number of windows, None while nothing has told."""
        total = self.total_samples
        return None if total is None else self.header.parameters.windows_in(self.header.frames_in(total))

    def window_start(self, index: int) -> float:
        """Where window ``index`` starts, in seconds."""
        return index * self.header.parameters.window_samples / self.header.parameters.sample_rate

    def __iter__(self) -> Iterator[Window | DamagedWindow]:
        for packet in self.packets():
            yield self._decode(packet)

    def windows(self, first: int = 0, last: int | None = None) -> Iterator[Window | DamagedWindow]:
        """The windows first..last-1 (to the end if ``last`` is None).

        On a seekable file with a sound trailer only their packets are read; else all before them are, too.
        """
        if self._index is not None and self.trailer is not None:
            stop = self.trailer.packets if last is None else min(last, self.trailer.packets)
            for packet in self._indexed(max(first, 0), stop):
                yield self._decode(packet)
            return
        for packet in self.packets():
            if last is not None and packet.index >= last:
                return
            if packet.index >= first:
                yield self._decode(packet)
            if last is not None and packet.index + 1 >= last:
                return

    def packets(self) -> Iterator[RawPacket]:
        """All packets with their codes, the indices still packed; else as iterating over the reader."""
        if self._index is not None and self.trailer is not None:
            return self._indexed(0, self.trailer.packets)
        return self._walk()

    def _decode(self, packet: RawPacket) -> Window | DamagedWindow:
        reason = packet.damage
        if reason is None:
            try:
                return decode_packet(self.header.parameters, self.header.signals, packet.data)
            except PacketDamage as damage:
                reason = str(damage)
        return DamagedWindow(packet.index, self.window_start(packet.index), packet.frames, reason)

    # Seekable files

    def _find_trailer(self, origin: int) -> None:
        """Looks for a trailer at the very end; where there is no sound one, reading forward will tell why."""
        file = self._file
        end = file.seek(0, 2)
        start = origin + self.header_bytes
        try:
            if end - start < FIXED_BYTES:
                return
            file.seek(end - 8)
            size, magic = struct.unpack("<I4s", self._read_exactly(8))
            if magic != END_MAGIC or size > end - start:
                return
            area = end - size - start
            file.seek(end - size)
            trailer = read_trailer(self.header, self._read_exactly, area // MIN_PACKET_BYTES, known=False)
            self._index = PacketIndex(self.header, trailer, area)
            self.trailer = trailer
        except (BadInputError, struct.error):
            return
        finally:
            file.seek(start)
            self._source = ByteSource(file)
            self._source.position = self.header_bytes

    def _read_exactly(self, count: int) -> bytes:
        parts = []
        while count > 0:
            data = self._file.read(min(count, CHUNK))
            if not data:
                break
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def _indexed(self, first: int, last: int) -> Iterator[RawPacket]:
        """The packets first..last-1, each read from where the trailer says."""
        index, trailer = self._index, self.trailer
        assert index is not None and trailer is not None and self._origin is not None
        start = self._origin + self.header_bytes
        crc, damaged = 0, False
        full = self.header.parameters.frames_per_window
        for number in range(first, last):
            offset, size = index.locate(number)
            self._file.seek(start + offset)
            data = self._read_exactly(size)
            crc = zlib.crc32(data, crc)
            frames = trailer.last_frames if number == trailer.packets - 1 else full
            packet = self._check(number, data, frames)
            if packet.damage is None and index.codes(number) not in (None, packet.codes):
                packet = RawPacket(number, frames, damage="its codes are not those in the trailer")
            damaged |= packet.damage is not None
            yield packet
        if (first, last) == (0, trailer.packets) and not damaged and crc != trailer.packets_crc:
            raise BadInputError("the checksum over all packets is wrong, though each packet's is right")

    def _check(self, number: int, data: bytes, expected_frames: int | None) -> RawPacket:
        """Checks a packet whose size is settled."""
        parameters, header = self.header.parameters, self.header
        fallback = expected_frames or parameters.frames_per_window
        if not crc_matches(number, data):
            return RawPacket(number, fallback, damage="wrong checksum")
        try:
            frames, codes = parse_codes(parameters, header.signals, data)
        except PacketDamage as damage:
            return RawPacket(number, fallback, damage=str(damage))
        reason = None
        if parameters.packet_bytes(codes, frames) != len(data):
            reason = "its size is not what its codes say"
        elif not header.codes_allowed(codes):
            reason = f"its codes break the constant {header.experts_total} experts per window"
        elif expected_frames is not None and frames != expected_frames:
            reason = f"it has {frames} frames instead of {expected_frames}"
        return RawPacket(number, expected_frames or frames, codes, data, reason)

    # Reading forward

    def _walk(self) -> Iterator[RawPacket]:
        """All packets of a pipe, or of a file whose trailer is missing or does not fit."""
        if not self._fresh:
            if self._origin is None:
                raise UsageError("a pipe can be read only once")
            self._file.seek(self._origin + self.header_bytes)
            self._source = ByteSource(self._file)
            self._source.position = self.header_bytes
        self._fresh = False
        self._searched = 0
        source, header = self._source, self.header
        full = header.parameters.frames_per_window
        expected = self.window_count
        seen = bytearray()  # codes of all packets, for comparison with the trailer
        number, crc, frames, damaged = 0, 0, full, False
        while True:
            start = source.peek(len(MARKER))
            if start == MARKER:
                break
            if len(start) < len(MARKER) and MARKER.startswith(start):
                raise self._truncated(number)
            if frames < full:
                raise BadInputError(f"window {number - 1} is short but is not the last")
            if number == expected:
                raise BadInputError(f"no sound trailer follows the {number} windows that the header promises")
            packet, size = self._next(source, number)
            crc = zlib.crc32(source.take(size), crc)
            damaged |= packet.damage is not None
            seen += bytes(packet.codes) if packet.damage is None else bytes([UNKNOWN_CODE] * header.signals)
            number += 1
            frames = packet.frames
            yield packet
        trailer = read_trailer(header, source.take, number, known=True)
        self._compare(trailer, seen, frames if number else 0)
        if not damaged and crc != trailer.packets_crc:
            raise BadInputError("the checksum over all packets is wrong, though each packet's is right")
        behind = source.peek(len(MAGIC))
        if behind == MAGIC:
            raise BadInputError("another stream follows the end of this one; .swc files cannot be joined so")
        if behind:
            raise BadInputError("something follows the end of the stream")
        self.trailer = trailer

    def _truncated(self, windows: int) -> TruncatedError:
        expected = self.window_count
        of = "" if expected is None else f" of {expected}"
        time = f"{self.window_start(windows):.3f} s"
        return TruncatedError(
            f"the stream is truncated: it ends after {windows}{of} windows ({time})", windows
        )

    def _expected_frames(self, number: int) -> int | None:
        """Frames of window ``number`` if the header tells the total."""
        if self.header.total_samples is None:
            return None
        parameters = self.header.parameters
        frames = self.header.frames_in(self.header.total_samples)
        last = number == parameters.windows_in(frames) - 1
        return parameters.last_frames_of(frames) if last else parameters.frames_per_window

    def _next(self, source: ByteSource, number: int) -> tuple[RawPacket, int]:
        """The packet at the source's position, not taken yet, and its size."""
        parameters = self.header.parameters
        expected_frames = self._expected_frames(number)
        claimed = None
        try:
            frames, codes = parse_codes(parameters, self.header.signals, source.peek(CODES_BYTES))
            claimed = parameters.packet_bytes(codes, frames)
            data = source.peek(claimed)
            if len(data) == claimed and crc_matches(number, data):
                return self._check(number, data, expected_frames), claimed
        except PacketDamage:
            pass
        size, last_frames = self._resynchronise(source, number, claimed)
        frames = expected_frames or last_frames or parameters.frames_per_window
        reason = "damaged codes" if claimed is None else "wrong checksum"
        return RawPacket(number, frames, damage=reason), size

    def _resynchronise(self, source: ByteSource, number: int, claimed: int | None) -> tuple[int, int | None]:
        """Size of a damaged packet, found from what follows it, and its frames if the trailer follows.

        The claim of its own codes is tried first, then every size a packet can have: right is the one behind
        which the trailer or a packet with the next number stands.  Where nothing fits (two damaged packets in
        a row), the constant size or the claim is taken.  Raises BadInputError if that does not help either.
        """
        sizes = sorted(self.header.packet_sizes())
        largest = sizes[-1]
        ahead = source.peek(2 * largest + CODES_BYTES)
        self._searched += len(ahead)
        at = ahead.find(MARKER, MIN_PACKET_BYTES)
        while 0 < at <= largest:
            fixed = ahead[at : at + FIXED_BYTES]
            if len(fixed) == FIXED_BYTES and int.from_bytes(fixed[16:20], "little") == number + 1:
                frames = int.from_bytes(fixed[28:30], "little")
                return at, frames if 1 <= frames <= self.header.parameters.frames_per_window else None
            at = ahead.find(MARKER, at + 1)
        for size in [claimed, *sizes] if claimed else sizes:
            if self._follows(ahead, size, number + 1):
                return size, None
        if self._searched > SEARCH_BYTES + SEARCH_FACTOR * source.position:
            raise BadInputError(f"too much damage before window {number} to go on")
        guess = claimed
        if self.header.experts_total is not None:
            constant = self._constant_sizes()
            guess = claimed if claimed in constant else max(constant)
        if guess is None:
            if len(ahead) < largest:  # nothing sound follows up to the end
                raise self._truncated(number)
            raise BadInputError(
                f"window {number} ({self.window_start(number):.3f} s) is damaged and the next cannot be found"
            )
        if len(ahead) < guess:
            raise self._truncated(number)
        return guess, None

    def _follows(self, ahead: bytes, at: int, number: int) -> bool:
        """Whether a sound packet with this number stands at ``at``."""
        parameters = self.header.parameters
        try:
            frames, codes = parse_codes(parameters, self.header.signals, ahead[at : at + CODES_BYTES])
        except PacketDamage:
            return False
        data = ahead[at : at + parameters.packet_bytes(codes, frames)]
        self._searched += len(data)
        sound = len(data) == parameters.packet_bytes(codes, frames) and self.header.codes_allowed(codes)
        return sound and crc_matches(number, data)

    def _constant_sizes(self) -> set[int]:
        """Sizes of the packets of a constant rate in which every signal is coded."""
        parameters, total = self.header.parameters, self.header.experts_total
        choices = product(range(parameters.experts + 1), repeat=self.header.signals)
        return {parameters.packet_bytes(codes) for codes in choices if sum(codes) == total}

    def _compare(self, trailer: Trailer, seen: bytearray, frames: int) -> None:
        """Raises BadInputError where the trailer contradicts the packets that were read."""
        header, parameters = self.header, self.header.parameters
        if frames != trailer.last_frames:
            raise BadInputError(
                f"the last window has {frames} frames, but the trailer says {trailer.last_frames}"
            )
        codes = np.frombuffer(bytes(seen), np.uint8).reshape(-1, header.signals)
        sound = codes[:, 0] != UNKNOWN_CODE
        if trailer.packet_bytes:
            sizes = parameters.packet_bytes_of(codes[:-1][sound[:-1]])
            if (sizes != trailer.packet_bytes).any():
                raise BadInputError("packets do not have the common size that the trailer gives")
        elif trailer.packets:
            table = unpack_table(header, trailer.table, 0, trailer.packets)
            if (table != codes)[sound].any():
                raise BadInputError("the trailer's table contradicts the packets")
