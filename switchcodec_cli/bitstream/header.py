"""The fixed header and the tags behind it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from ..errors import BadInputError, UsageError
from .errors import TruncatedError
from .parameters import MAX_PACKETS, MAX_SAMPLE_RATE, MAX_TOTAL_SAMPLES, StreamParameters, check_range
from .rates import all_splits

MAGIC = b"\x89SWC"
MAJOR = 1
MINOR = 0
HEADER_BYTES = 64
FINGERPRINT_BYTES = 16
UNKNOWN_TOTAL = (1 << 64) - 1
NO_CONSTANT = 0xFF
MIN_TAGS_BYTES = 14  # one tag with a key of one character and no value
MAX_TAGS_BYTES = 1 << 16

FLAG_TAGS = 1 << 0
FLAG_ENTROPY_CODED = 1 << 1  # reserved
FLAG_PER_FRAME_DEPTH = 1 << 2  # reserved
CRITICAL_FLAGS = 0xFFFF  # the upper half is ancillary: unknown ones are ignored

_START = struct.Struct("<4sBBH")
_FIELDS = struct.Struct("<I16sIIQHHBBHBBBBI")
_TAGS_START = struct.Struct("<IH")


class ChannelCoding(IntEnum):
    """Which signals are coded and how the channels follow from them."""

    MONO = 0
    LEFT_RIGHT = 1
    MID_SIDE = 2
    DUAL_MONO = 3  # two equal channels from one signal


class RateMode(IntEnum):
    """How the encoder chose the number of experts per window."""

    CONSTANT = 0
    AVERAGE = 1
    QUALITY = 2


@dataclass(frozen=True)
class Header:
    """Everything a stream says about itself before its packets.

    Raises UsageError if a value is outside the limits of the format.
    """

    parameters: StreamParameters
    fingerprint: bytes  # of the weights, 16 bytes
    original_rate: int  # Hz
    channels: int
    channel_coding: ChannelCoding
    rate_mode: RateMode = RateMode.CONSTANT
    experts_total: int | None = None  # constant mode: experts per window over all signals; else None
    nominal_bits_per_second: int = 0  # the rate that was asked for; informative, 0 if unknown
    total_samples: int | None = None  # per channel at the original rate; None: only the trailer knows
    tags: tuple[tuple[str, str], ...] = ()
    minor: int = MINOR  # minor version of a stream that was read

    def __post_init__(self) -> None:
        if not isinstance(self.fingerprint, bytes) or len(self.fingerprint) != FINGERPRINT_BYTES:
            raise UsageError(f"the weights fingerprint must be {FINGERPRINT_BYTES} bytes")
        check_range("original sample rate", self.original_rate, 1, MAX_SAMPLE_RATE)
        check_range("number of channels", self.channels, 1, 2)
        try:
            ChannelCoding(self.channel_coding)
            RateMode(self.rate_mode)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if (self.channels == 1) != (self.channel_coding == ChannelCoding.MONO):
            raise UsageError(f"channel coding {int(self.channel_coding)} is not for {self.channels} channels")
        if self.rate_mode == RateMode.CONSTANT:
            most = self.parameters.experts * self.signals
            check_range("experts per window of a constant rate", self.experts_total, 0, most)  # type: ignore[arg-type]
        elif self.experts_total is not None:
            raise UsageError("only a constant rate has a fixed number of experts per window")
        check_range("nominal rate in bit/s", self.nominal_bits_per_second, 0, 0xFFFFFFFF)
        if self.total_samples is not None:
            self.check_total(self.total_samples)
        encode_tags(self.tags)

    @property
    def signals(self) -> int:
        """Coded signals per window, 1 or 2."""
        return 2 if self.channel_coding in (ChannelCoding.LEFT_RIGHT, ChannelCoding.MID_SIDE) else 1

    def frames_in(self, total_samples: int) -> int:
        """Latent frames that ``total_samples`` samples per channel take."""
        return self.parameters.frames_in(total_samples, self.original_rate)

    def check_total(self, total_samples: int) -> None:
        """Raises UsageError if a stream of these parameters cannot hold that many samples."""
        check_range("total samples", total_samples, 0, MAX_TOTAL_SAMPLES)
        windows = self.parameters.windows_in(self.frames_in(total_samples))
        check_range("number of windows", windows, 0, MAX_PACKETS)

    def codes_allowed(self, codes: tuple[int, ...]) -> bool:
        """Whether a window with these valid codes keeps the promise of a constant rate."""
        return keeps_constant_rate(self.parameters, self.experts_total, codes)

    def packet_sizes(self, frames: int | None = None) -> frozenset[int]:
        """All sizes in bytes that a packet can have, full or of a short window of ``frames`` frames."""
        return _packet_sizes(self.parameters, self.signals, self.experts_total, frames)


def keeps_constant_rate(
    parameters: StreamParameters, experts_total: int | None, codes: tuple[int, ...]
) -> bool:
    """Whether codes use ``experts_total`` experts, or hardly more bytes where a signal is not coded.

    What the shared quantizer of such a signal would have taken is free for another expert of the other one,
    if the packet then grows by no more than a fiftieth.
    """
    if experts_total is None:
        return True
    chosen = [code for code in codes if code <= parameters.experts]
    if len(chosen) == len(codes):
        return sum(chosen) == experts_total
    free = len(codes) - len(chosen)
    if sum(chosen) > experts_total + free:
        return False
    return sum(chosen) <= experts_total or (
        50 * parameters.packet_bytes(codes) <= 51 * _constant_bytes(parameters, experts_total, len(codes))
    )


@lru_cache(maxsize=64)
def _constant_bytes(parameters: StreamParameters, experts_total: int, signals: int) -> int:
    """The largest full packet of a constant rate whose signals are all coded."""
    splits = all_splits(experts_total, parameters, signals)
    return max(parameters.packet_bytes(codes) for codes in splits)


@lru_cache(maxsize=64)
def _packet_sizes(
    parameters: StreamParameters, signals: int, experts_total: int | None, frames: int | None
) -> frozenset[int]:
    return frozenset(
        parameters.packet_bytes(codes, frames)
        for codes in parameters.all_codes(signals)
        if keeps_constant_rate(parameters, experts_total, codes)
    )


def encode_tags(tags: tuple[tuple[str, str], ...]) -> bytes:
    """The tags block, empty if there are none.  Raises UsageError on a tag that the format forbids."""
    if not tags:
        return b""
    entries = []
    for key, value in tags:
        problem = tag_problem(key, value)
        if problem:
            raise UsageError(f"tag {key!r}: {problem}")
        text = f"{key}={value}".encode()
        if len(text) > 0xFFFF:
            raise UsageError(f"tag {key!r} is longer than 65535 bytes")
        entries.append(struct.pack("<H", len(text)) + text)
    length = _TAGS_START.size + sum(map(len, entries)) + 4
    if length > MAX_TAGS_BYTES or len(entries) > 0xFFFF:
        raise UsageError(f"the tags take {length} bytes, more than {MAX_TAGS_BYTES}")
    block = _TAGS_START.pack(length, len(entries)) + b"".join(entries)
    return block + struct.pack("<I", zlib.crc32(block))


def tag_problem(key: str, value: str) -> str | None:
    """Why key and value cannot be a tag, or None if they can."""
    if not key or any(not " " <= character <= "~" or character == "=" for character in key):
        return "a key is one or more printable ASCII characters other than '='"
    for character in value:
        control = (ord(character) < 0x20 and character not in "\t\n") or 0x7F <= ord(character) < 0xA0
        if control or 0xD800 <= ord(character) < 0xE000:
            return "a value is Unicode text without control characters other than tab and line feed"
    return None


def encode_header(header: Header) -> bytes:
    """The header and, behind it, the tags block if there is one."""
    parameters = header.parameters
    tags = encode_tags(header.tags)
    data = _START.pack(MAGIC, MAJOR, MINOR, HEADER_BYTES) + _FIELDS.pack(
        FLAG_TAGS if tags else 0,
        header.fingerprint,
        parameters.sample_rate,
        header.original_rate,
        UNKNOWN_TOTAL if header.total_samples is None else header.total_samples,
        parameters.hop,
        parameters.frames_per_window,
        parameters.experts,
        parameters.codebooks_per_quantizer,
        parameters.codebook_size - 1,
        header.channels,
        header.channel_coding,
        header.rate_mode,
        NO_CONSTANT if header.experts_total is None else header.experts_total,
        header.nominal_bits_per_second,
    )
    return data + struct.pack("<I", zlib.crc32(data)) + tags


def read_header(take: Callable[[int], bytes]) -> Header:
    """Reads header and tags through ``take(count)``, which returns fewer bytes only at the end.

    Raises BadInputError if this is no stream, a stream of a newer major version, or a damaged header.
    """
    start = take(_START.size)
    if not start:
        raise BadInputError("the file is empty")
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise BadInputError("not a .swc stream")
    data = start + _take_all(take, _START.size - len(start), "header")
    _, major, minor, length = _START.unpack(data)
    if major != MAJOR:
        raise BadInputError(f"the stream has format version {major}.{minor}; this program reads {MAJOR}.x")
    if length < HEADER_BYTES:
        raise BadInputError(f"the header claims {length} bytes, fewer than {HEADER_BYTES}")
    data += _take_all(take, length - len(data), "header")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise BadInputError("the header is damaged (wrong checksum)")
    if minor == 0 and length != HEADER_BYTES:
        raise BadInputError(f"a header of version 1.0 has {HEADER_BYTES} bytes, not {length}")
    (
        flags,
        fingerprint,
        sample_rate,
        original_rate,
        total,
        hop,
        frames,
        experts,
        stages,
        largest_index,
        channels,
        coding,
        mode,
        experts_total,
        nominal,
    ) = _FIELDS.unpack_from(data, _START.size)
    unknown = flags & CRITICAL_FLAGS & ~FLAG_TAGS
    if unknown:
        names = {FLAG_ENTROPY_CODED: "entropy-coded payload", FLAG_PER_FRAME_DEPTH: "per-frame depth"}
        wanted = [names.get(1 << bit, f"flag {bit}") for bit in range(16) if unknown >> bit & 1]
        raise BadInputError(f"the stream needs a newer program ({', '.join(wanted)})")
    tags = _read_tags(take) if flags & FLAG_TAGS else ()
    try:
        if mode != RateMode.CONSTANT and experts_total != NO_CONSTANT:
            raise UsageError("a fixed number of experts without a constant rate")
        return Header(
            parameters=StreamParameters(sample_rate, hop, frames, experts, largest_index + 1, stages),
            fingerprint=fingerprint,
            original_rate=original_rate,
            channels=channels,
            channel_coding=ChannelCoding(coding),
            rate_mode=RateMode(mode),
            experts_total=experts_total if mode == RateMode.CONSTANT else None,
            nominal_bits_per_second=nominal,
            total_samples=None if total == UNKNOWN_TOTAL else total,
            tags=tags,
            minor=minor,
        )
    except (UsageError, ValueError) as error:
        raise BadInputError(f"impossible header: {error}") from None


def _take_all(take: Callable[[int], bytes], count: int, what: str) -> bytes:
    data = take(count)
    if len(data) < count:
        raise TruncatedError(f"the file ends within its {what}", windows=0)
    return data


def _read_tags(take: Callable[[int], bytes]) -> tuple[tuple[str, str], ...]:
    block = _take_all(take, _TAGS_START.size, "tags")
    length, count = _TAGS_START.unpack(block)
    if not MIN_TAGS_BYTES <= length <= MAX_TAGS_BYTES:
        raise BadInputError(f"the tags claim {length} bytes")
    block += _take_all(take, length - len(block), "tags")
    if zlib.crc32(block[:-4]) != int.from_bytes(block[-4:], "little"):
        raise BadInputError("the tags are damaged (wrong checksum)")
    tags = []
    at, end = _TAGS_START.size, length - 4
    for _ in range(count):
        size = int.from_bytes(block[at : at + 2], "little")
        if at + 2 + size > end:
            raise BadInputError("a tag reaches beyond the tags block")
        try:
            text = block[at + 2 : at + 2 + size].decode()
        except UnicodeDecodeError:
            raise BadInputError("a tag is not UTF-8") from None
        key, equals, value = text.partition("=")
        if not equals or tag_problem(key, value):
            raise BadInputError("a tag is not a legal KEY=value")
        tags.append((key, value))
        at += 2 + size
    if at != end or not tags:
        raise BadInputError("the tags block does not end with its last tag")
    return tuple(tags)
