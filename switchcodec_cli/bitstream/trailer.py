"""The trailer that ends every complete stream, and the packet sizes that follow from it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import BadInputError, UsageError
from .errors import TruncatedError
from .header import Header
from .parameters import PACKET_CRC_BYTES

MARKER = b"\xffEND"
END_MAGIC = b"CWS\x89"
MIN_PACKET_BYTES = 1 + PACKET_CRC_BYTES
MAX_EXTRA_BYTES = 1 << 16  # what newer minor versions may add behind the table

_FIXED = struct.Struct("<4sIQIIIHH")
_CLOSE = struct.Struct("<II4s")
FIXED_BYTES = _FIXED.size
CLOSE_BYTES = _CLOSE.size


@dataclass(frozen=True)
class Trailer:
    """What the end of a stream says about the whole of it."""

    total_samples: int  # per channel at the original rate
    packets: int
    packets_crc: int  # CRC-32 over the bytes of all packets
    packet_bytes: int  # size of every packet but the last; 0: the table tells
    last_frames: int  # frames in the last window, 0 if there is none
    table: bytes = b""  # codes of all packets, packed

    @property
    def size(self) -> int:
        """Bytes of the whole trailer as this version writes it."""
        return FIXED_BYTES + len(self.table) + CLOSE_BYTES


def table_bytes(header: Header, packets: int) -> int:
    """Bytes of a table of the codes of ``packets`` packets."""
    return -(-packets * header.signals * header.parameters.code_bits // 8)


def pack_table(header: Header, codes: bytes) -> bytes:
    """Packs codes, one byte each, at the width of a code."""
    width = header.parameters.code_bits
    single = np.unpackbits(np.frombuffer(codes, np.uint8).reshape(-1, 1), axis=1)[:, 8 - width :]
    return np.packbits(single.ravel()).tobytes()


def unpack_table(header: Header, table: bytes, first: int, last: int) -> np.ndarray:
    """Codes of the packets first..last-1 of a packed table; ``first`` is a multiple of 8.  → (N, signals)"""
    width, signals = header.parameters.code_bits, header.signals
    start = first * signals * width // 8
    data = np.frombuffer(table, np.uint8)[start : -(-last * signals * width // 8)]
    count = (last - first) * signals
    bits = np.zeros((count, 8), np.uint8)
    bits[:, 8 - width :] = np.unpackbits(data)[: count * width].reshape(count, width)
    return np.packbits(bits, axis=1).reshape(-1, signals)


def encode_trailer(trailer: Trailer) -> bytes:
    """The bytes of a trailer."""
    data = _FIXED.pack(
        MARKER,
        trailer.size,
        trailer.total_samples,
        trailer.packets,
        trailer.packets_crc,
        trailer.packet_bytes,
        trailer.last_frames,
        0,
    )
    data += trailer.table
    return data + _CLOSE.pack(zlib.crc32(data), trailer.size, END_MAGIC)


def read_trailer(header: Header, take: Callable[[int], bytes], most_packets: int, known: bool) -> Trailer:
    """Reads a trailer through ``take(count)``, which returns fewer bytes only at the end.

    ``most_packets`` is what the bytes before it can hold (or, if ``known``, do hold): nothing larger is
    allocated.  Raises BadInputError.
    """
    fixed = take(FIXED_BYTES)
    if fixed[:4] != MARKER[: len(fixed)]:
        raise BadInputError("there is no trailer")
    if len(fixed) < FIXED_BYTES:
        raise TruncatedError("the stream is truncated: it ends within its trailer", most_packets)
    _, size, total, packets, packets_crc, packet_bytes, last_frames, reserved = _FIXED.unpack(fixed)
    if packets > most_packets or (known and packets != most_packets):
        raise BadInputError(f"the trailer counts {packets} windows, but {most_packets} precede it")
    length = table_bytes(header, packets) if packet_bytes == 0 else 0
    extra = size - (FIXED_BYTES + length + CLOSE_BYTES)
    if extra < 0 or (extra > (MAX_EXTRA_BYTES if header.minor else 0)):
        raise BadInputError(f"the trailer claims {size} bytes, which its content does not fill")
    rest = take(size - FIXED_BYTES)
    if len(rest) < size - FIXED_BYTES:
        raise TruncatedError("the stream is truncated: it ends within its trailer", most_packets)
    crc, size_again, magic = _CLOSE.unpack(rest[-CLOSE_BYTES:])
    if zlib.crc32(rest[:-CLOSE_BYTES], zlib.crc32(fixed)) != crc or size_again != size or magic != END_MAGIC:
        raise BadInputError("the trailer is damaged (wrong checksum)")
    table = rest[:length]
    trailer = Trailer(total, packets, packets_crc, packet_bytes, last_frames, table)
    _check(header, trailer, reserved)
    return trailer


def _check(header: Header, trailer: Trailer, reserved: int) -> None:
    if reserved and header.minor == 0:
        raise BadInputError("reserved bytes of the trailer are not zero")
    if header.total_samples is not None and header.total_samples != trailer.total_samples:
        raise BadInputError(
            f"the header says {header.total_samples} samples, the trailer {trailer.total_samples}"
        )
    try:
        header.check_total(trailer.total_samples)
    except UsageError as error:
        raise BadInputError(f"impossible trailer: {error}") from None
    frames = header.frames_in(trailer.total_samples)
    windows, last = header.parameters.windows_in(frames), header.parameters.last_frames_of(frames)
    if (windows, last) != (trailer.packets, trailer.last_frames):
        raise BadInputError(
            f"{trailer.total_samples} samples need {windows} windows, the last of {last} frames, "
            f"but the trailer says {trailer.packets} and {trailer.last_frames}"
        )
    if trailer.packet_bytes and trailer.packets < 2:
        raise BadInputError("the trailer gives a common packet size to fewer than two packets")
    unused = 8 * len(trailer.table) - trailer.packets * header.signals * header.parameters.code_bits
    if unused > 0 and trailer.table[-1] & ((1 << unused) - 1):
        raise BadInputError("padding bits of the trailer's table are not zero")


class PacketIndex:
    """Where each packet lies, from the trailer of a seekable stream.

    Raises BadInputError if the packets that the trailer speaks of do not fill ``area`` bytes exactly.
    Keeps one number per BLOCK packets beside the trailer's own table.
    """

    BLOCK = 4096  # a multiple of 8, so that blocks of the table start on whole bytes

    def __init__(self, header: Header, trailer: Trailer, area: int) -> None:
        self._header, self._trailer = header, trailer
        self._starts = [0]
        self._loaded = -1
        self._codes = np.zeros((0, header.signals), np.uint8)
        self._offsets = np.zeros(1, np.int64)
        if trailer.packets == 0:
            fits = area == 0
        elif trailer.packet_bytes:
            last = area - (trailer.packets - 1) * trailer.packet_bytes
            fits = trailer.packet_bytes in header.packet_sizes()
            fits = fits and last in header.packet_sizes(trailer.last_frames)
            self._last_size = last
        else:
            for block in range(-(-trailer.packets // self.BLOCK)):
                self._load(block)
                self._starts.append(int(self._starts[-1] + self._offsets[-1]))
            fits = self._starts[-1] == area
        if not fits:
            raise BadInputError("the packets do not fill the space between header and trailer")

    def _load(self, block: int) -> None:
        if block == self._loaded:
            return
        header, parameters = self._header, self._header.parameters
        first = block * self.BLOCK
        last = min(first + self.BLOCK, self._trailer.packets)
        codes = unpack_table(header, self._trailer.table, first, last)
        kinds = np.unique(codes, axis=0).tolist()
        if any(parameters.code_flaw(kind) for kind in kinds):
            raise BadInputError("the trailer's table holds a code that no packet has")
        sizes = parameters.packet_bytes_of(codes)
        if last == self._trailer.packets:
            sizes[-1] = parameters.packet_bytes(tuple(map(int, codes[-1])), self._trailer.last_frames)
        self._codes = codes
        self._offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        self._loaded = block

    def locate(self, number: int) -> tuple[int, int]:
        """Offset from the first packet, and size, of packet ``number``."""
        if self._trailer.packet_bytes:
            size = self._trailer.packet_bytes
            return number * size, self._last_size if number == self._trailer.packets - 1 else size
        block, place = divmod(number, self.BLOCK)
        self._load(block)
        start, end = map(int, self._offsets[place : place + 2])
        return self._starts[block] + start, end - start

    def codes(self, number: int) -> tuple[int, ...] | None:
        """The codes that the table gives for packet ``number``; None without a table."""
        if self._trailer.packet_bytes:
            return None
        block, place = divmod(number, self.BLOCK)
        self._load(block)
        return tuple(map(int, self._codes[place]))
