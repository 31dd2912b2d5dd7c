"""The trailer that ends every complete stream (section 7 of the specification)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import BadInputError, UsageError
from .additions import ADDITIONS_BYTES, EncodingRequest, SourceDigest, decode_additions, encode_additions
from .bits import BitReader, BitWriter
from .byte_source import TakeBytes
from .errors import TruncatedError
from .header import MINOR, Header
from .parameters import bits_for

MARKER = b"\xffEND"
END_MAGIC = b"CWS\x89"
MAX_ADDITIONS_BYTES = 1 << 16  # of newer minor versions
MAX_SIZE_BITS = 24  # width of the size of an entropy-coded packet in the table
WRONG_PACKETS_CRC = "the checksum over all packets is wrong, although that of each packet is right"

_FIXED = struct.Struct("<4sIQIIIHH")
_CLOSE = struct.Struct("<II4s")  # CRC, length, end magic
_LENGTH_AND_MAGIC = struct.Struct("<I4s")
FIXED_BYTES = _FIXED.size  # before the table
MIN_TRAILER_BYTES = FIXED_BYTES + _CLOSE.size  # without table and additions
LENGTH_AND_MAGIC_BYTES = _LENGTH_AND_MAGIC.size  # at the very end


@dataclass(frozen=True)
class Trailer:
    """The trailer of a stream."""

    total_samples: int  # per channel at the original rate
    packets: int
    packets_crc: int  # CRC-32 over the bytes of all packets
    packet_bytes: int  # size of every packet but the last; 0: see the table
    last_frames: int  # latent frames in the last window, 0 if there is none
    table: bytes = b""  # mode fields of all packets, packed; of entropy-coded packets, their sizes
    size_bits: int = 0  # of each of these sizes
    source: SourceDigest | None = None  # None if unknown
    request: EncodingRequest | None = None  # None if nothing is known
    additions_bytes: int = ADDITIONS_BYTES  # 0 in version 1.0, perhaps more in newer versions

    @property
    def size(self) -> int:
        """Size in bytes of the whole trailer."""
        return MIN_TRAILER_BYTES + len(self.table) + self.additions_bytes


def trailer_bytes(header: Header, packets: int) -> int:
    """Largest size of a trailer with a table of so many packets, as this version writes it."""
    size_bits = bits_for(header.largest_packet_bytes + 1) if header.entropy_coded else 0
    return MIN_TRAILER_BYTES + _table_bytes(header, packets, size_bits) + ADDITIONS_BYTES


def _table_bytes(header: Header, packets: int, size_bits: int) -> int:
    width = size_bits if header.entropy_coded else header.signals * header.parameters.mode_bits
    return -(-packets * width // 8)


def pack_mode_fields(header: Header, mode_fields: np.ndarray) -> bytes:
    """The table of these mode fields  # (packets, signals)"""
    bits = BitWriter()
    bits.write_array(mode_fields, header.parameters.mode_bits)
    return bits.to_bytes()


def pack_sizes(sizes: np.ndarray) -> tuple[bytes, int]:
    """The table of the sizes of entropy-coded packets, (packets,), and the width of an entry in bits."""
    width = bits_for(int(sizes.max(initial=0)) + 1)
    bits = BitWriter()
    bits.write_array(sizes, width)
    return bits.to_bytes(), width


def unpack_sizes(trailer: Trailer, first: int, last: int) -> np.ndarray:
    """Sizes of the entropy-coded packets ``first`` to ``last - 1``; ``first`` must be a multiple of 8.

    Returns:
        Sizes in bytes  # (packets,)
    """
    start, width = first * trailer.size_bits // 8, trailer.size_bits
    bits = BitReader(trailer.table[start : -(-last * width // 8)])
    return bits.read_array(last - first, width)


def unpack_mode_fields(header: Header, table: bytes, first: int, last: int) -> np.ndarray:
    """Mode fields of the packets ``first`` to ``last - 1``; ``first`` must be a multiple of 8.

    Returns:
        Mode fields  # (packets, signals) uint8
    """
    width, signals = header.parameters.mode_bits, header.signals
    start = first * signals * width // 8
    bits = BitReader(table[start : -(-last * signals * width // 8)])
    fields = bits.read_array((last - first) * signals, width)
    return fields.astype(np.uint8).reshape(-1, signals)


def encode_trailer(trailer: Trailer) -> bytes:
    """The bytes of a trailer with the additions of this version."""
    fixed = _FIXED.pack(
        MARKER,
        trailer.size,
        trailer.total_samples,
        trailer.packets,
        trailer.packets_crc,
        trailer.packet_bytes or trailer.size_bits,
        trailer.last_frames,
        0,
    )
    data = fixed + trailer.table + encode_additions(trailer.source, trailer.request)
    return data + _CLOSE.pack(zlib.crc32(data), trailer.size, END_MAGIC)


def trailer_size_at_end(end: bytes) -> int | None:
    """Size of the trailer that a file claims to end with, from its last bytes; None without end magic."""
    if len(end) < LENGTH_AND_MAGIC_BYTES:
        return None
    size: int
    size, magic = _LENGTH_AND_MAGIC.unpack(end)
    return size if magic == END_MAGIC else None


def claimed_packets(start: bytes) -> tuple[int, int] | None:
    """Number of packets and latent frames of the last window that the start of a trailer claims.

    None if these are fewer than FIXED_BYTES bytes.
    """
    if len(start) < FIXED_BYTES:
        return None
    _, _, _, packets, _, _, last_frames, _ = _FIXED.unpack_from(start)
    return packets, last_frames


def is_trailer_without_marker(header: Header, peek: TakeBytes, packets: int) -> bool:
    """Whether a trailer that counts so many packets is next, of which the marker need not be right."""
    fixed = peek(FIXED_BYTES)
    if len(fixed) < FIXED_BYTES:
        return False
    size: int
    _, size, _, count, _, size_field, _, _ = _FIXED.unpack(fixed)
    if count != packets or _additions_of_size(header, size, packets, size_field) is None:
        return False
    whole = peek(size)
    return len(whole) == size and trailer_size_at_end(whole[-LENGTH_AND_MAGIC_BYTES:]) == size


def read_trailer(header: Header, take: TakeBytes, packet_counts: range) -> Trailer:
    """Reads a trailer.

    Args:
        packet_counts: the numbers of packets that may precede it; no more memory is allocated than the
            largest one needs

    Raises:
        BadInputError: the trailer is truncated, damaged, breaks a rule of the format or contradicts the
            header.
    """
    fixed = take(FIXED_BYTES)
    if fixed[: len(MARKER)] != MARKER[: len(fixed)]:
        raise BadInputError("there is no trailer")
    if len(fixed) < FIXED_BYTES:
        raise TruncatedError("the stream is truncated: it ends within its trailer")
    _, size, total, packets, packets_crc, size_field, last_frames, reserved = _FIXED.unpack(fixed)
    if packets not in packet_counts:
        raise BadInputError(f"the trailer counts {packets} windows, but {packet_counts[-1]} precede it")
    additions_bytes = _additions_of_size(header, size, packets, size_field)
    if additions_bytes is None:
        raise BadInputError(f"the trailer claims {size} bytes, which does not fit its content")
    rest = take(size - FIXED_BYTES)
    if len(rest) < size - FIXED_BYTES:
        raise TruncatedError("the stream is truncated: it ends within its trailer")
    crc, size_again, magic = _CLOSE.unpack(rest[-_CLOSE.size :])
    if zlib.crc32(rest[: -_CLOSE.size], zlib.crc32(fixed)) != crc or size_again != size or magic != END_MAGIC:
        raise BadInputError("the trailer is damaged (wrong checksum)")
    table_bytes = size - MIN_TRAILER_BYTES - additions_bytes
    source, request = decode_additions(rest[table_bytes:]) if additions_bytes else (None, None)
    trailer = Trailer(
        total,
        packets,
        packets_crc,
        0 if header.entropy_coded else size_field,
        last_frames,
        rest[:table_bytes],
        size_field if header.entropy_coded else 0,
        source,
        request,
        additions_bytes,
    )
    if reserved and header.minor <= MINOR:
        raise BadInputError("the reserved bytes of the trailer are not zero")
    _check(header, trailer)
    return trailer


def _additions_of_size(header: Header, size: int, packets: int, size_field: int) -> int | None:
    """Size in bytes of the additions in a trailer of ``size`` bytes; None if it cannot have this size.

    Args:
        size_field: the common size of packets; with entropy-coded packets, the width of their sizes
    """
    if header.entropy_coded:
        if (size_field == 0) != (packets == 0) or size_field > MAX_SIZE_BITS:
            return None
        table_bytes = _table_bytes(header, packets, size_field)
    else:
        table_bytes = _table_bytes(header, packets, 0) if size_field == 0 else 0
    additions_bytes = size - MIN_TRAILER_BYTES - table_bytes
    return additions_bytes if additions_bytes in _additions_sizes(header.minor) else None


def _additions_sizes(minor: int) -> range:
    """Sizes in bytes that the additions of a minor version can have."""
    if minor > MINOR:
        return range(ADDITIONS_BYTES, MAX_ADDITIONS_BYTES + 1)
    size = ADDITIONS_BYTES if minor else 0
    return range(size, size + 1)


def _check(header: Header, trailer: Trailer) -> None:
    total = trailer.total_samples
    if header.total_samples not in (None, total):
        raise BadInputError(f"the header says {header.total_samples} samples, the trailer {total}")
    try:
        header.check_total(total)
    except UsageError as error:
        raise BadInputError(f"invalid trailer: {error}") from None
    frames = header.frames_in(total)
    windows, last = header.parameters.windows_in(frames), header.parameters.last_frames_of(frames)
    if (windows, last) != (trailer.packets, trailer.last_frames):
        raise BadInputError(
            f"{total} samples need {windows} windows, the last of {last} frames, "
            f"but the trailer says {trailer.packets} and {trailer.last_frames}"
        )
    if trailer.packet_bytes and trailer.packets < 2:
        raise BadInputError("the trailer gives a common packet size for fewer than two packets")
    width = trailer.size_bits if header.entropy_coded else header.signals * header.parameters.mode_bits
    padding = 8 * len(trailer.table) - trailer.packets * width
    if padding > 0 and trailer.table[-1] & ((1 << padding) - 1):
        raise BadInputError("the padding bits of the trailer's table are not zero")
