"""The header of a stream (section 4 of the specification)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeVar

from ..errors import BadInputError, UsageError
from .byte_source import TakeBytes
from .errors import TruncatedError
from .modes import BlockMode
from .packet import PacketLayout
from .parameters import MAX_PACKETS, MAX_SAMPLE_RATE, MAX_TOTAL_SAMPLES, StreamParameters, check_range
from .rates import keeps_constant_rate, packet_sizes
from .tags import Tags, check_tags, encode_tags, read_tags

MAGIC = b"\x89SWC"
MAJOR = 1
MINOR = 1  # that is written; streams of any minor version are read
HEADER_BYTES = 64  # of versions 1.0 and 1.1, without tags
FINGERPRINT_BYTES = 16
UNKNOWN_TOTAL = (1 << 64) - 1
NO_EXPERTS_TOTAL = 0xFF  # in streams whose rate is not constant

FLAG_TAGS = 1 << 0
FLAG_ENTROPY_CODED = 1 << 1
FLAG_PER_FRAME_DEPTH = 1 << 2  # reserved
FLAG_WAVEFORM_LAYERS = 1 << 3  # only with FLAG_ENTROPY_CODED
CRITICAL_FLAGS = 0xFFFF  # the upper half is ancillary: unknown ones are ignored
SUPPORTED_FLAGS = FLAG_TAGS | FLAG_ENTROPY_CODED | FLAG_WAVEFORM_LAYERS
LAYERS_NEED_ENTROPY_CODING = "waveform layers need entropy-coded packets"
RESERVED_FLAG_NAMES = {FLAG_PER_FRAME_DEPTH: "per-frame depth"}

_START = struct.Struct("<4sBBH")  # magic, major version, minor version, length
_FIELDS = struct.Struct("<I16sIIQHHBBHBBBBI")
_CRC_BYTES = 4
_Enumeration = TypeVar("_Enumeration", bound=IntEnum)


class _Fields(NamedTuple):
    """The fields of _FIELDS."""

    flags: int
    fingerprint: bytes
    sample_rate: int
    original_rate: int
    total_samples: int
    hop: int
    frames_per_window: int
    experts: int
    codebooks_per_quantizer: int
    largest_index: int
    channels: int
    channel_coding: int
    rate_mode: int
    experts_total: int
    nominal_bits_per_second: int


class ChannelCoding(IntEnum):
    """How the channels follow from the coded signals."""

    MONO = 0
    LEFT_RIGHT = 1
    MID_SIDE = 2
    DUAL_MONO = 3  # one signal for two equal channels


class RateMode(IntEnum):
    """How the encoder chose the number of experts of each window."""

    CONSTANT = 0
    AVERAGE = 1
    QUALITY = 2


@dataclass(frozen=True)
class Header:
    """The header of a stream and its tags.

    Raises:
        UsageError: a value is outside the limits of the format.
    """

    parameters: StreamParameters
    fingerprint: bytes  # of the weights, 16 bytes
    original_rate: int  # Hz
    channels: int
    channel_coding: ChannelCoding
    rate_mode: RateMode = RateMode.CONSTANT
    experts_total: int | None = None  # of a constant rate: experts per window over all signals; else None
    nominal_bits_per_second: int = 0  # requested rate; informative, 0 if unknown
    total_samples: int | None = None  # per channel at the original rate; None: known from the trailer only
    tags: Tags = ()
    entropy_coded: bool = False  # whether indices may be coded with the index model
    waveform_layers: bool = False  # whether blocks may have waveform layers; only if entropy-coded
    minor: int = MINOR  # minor version of a stream that was read

    def __post_init__(self) -> None:
        if not isinstance(self.fingerprint, bytes) or len(self.fingerprint) != FINGERPRINT_BYTES:
            raise UsageError(f"the fingerprint of the weights must be {FINGERPRINT_BYTES} bytes")
        check_range("original sample rate", self.original_rate, 1, MAX_SAMPLE_RATE)
        check_range("number of channels", self.channels, 1, 2)
        check_range("channel coding", self.channel_coding, 0, max(ChannelCoding))
        check_range("rate mode", self.rate_mode, 0, max(RateMode))
        if (self.channels == 1) != (self.channel_coding == ChannelCoding.MONO):
            raise UsageError(
                f"channel coding {int(self.channel_coding)} is not allowed for {self.channels} channels"
            )
        if self.rate_mode == RateMode.CONSTANT:
            most = self.parameters.experts * self.signals
            check_range("experts per window of a constant rate", self.experts_total, 0, most)
        elif self.experts_total is not None:
            raise UsageError("only a constant rate has a fixed number of experts per window")
        check_range("nominal rate in bit/s", self.nominal_bits_per_second, 0, 0xFFFFFFFF)
        if self.total_samples is not None:
            self.check_total(self.total_samples)
        check_tags(self.tags)
        if self.waveform_layers and not self.entropy_coded:
            raise UsageError(LAYERS_NEED_ENTROPY_CODING)

    @property
    def signals(self) -> int:
        """Number of coded signals, 1 or 2."""
        return 2 if self.channel_coding in (ChannelCoding.LEFT_RIGHT, ChannelCoding.MID_SIDE) else 1

    @property
    def layout(self) -> PacketLayout:
        """What determines the layout of packets."""
        return PacketLayout(self.parameters, self.signals, self.entropy_coded, self.waveform_layers)

    def frames_in(self, total_samples: int) -> int:
        """Latent frames of ``total_samples`` samples per channel."""
        return self.parameters.frames_in(total_samples, self.original_rate)

    @property
    def window_count(self) -> int | None:
        """Number of windows; None if the header does not give the total number of samples."""
        if self.total_samples is None:
            return None
        return self.parameters.windows_in(self.frames_in(self.total_samples))

    def check_total(self, total_samples: int) -> None:
        """Raises UsageError unless a stream with these parameters can hold so many samples per channel."""
        check_range("total samples", total_samples, 0, MAX_TOTAL_SAMPLES)
        windows = self.parameters.windows_in(self.frames_in(total_samples))
        check_range("number of windows", windows, 0, MAX_PACKETS)

    def modes_allowed(self, modes: Sequence[BlockMode]) -> bool:
        """Whether a packet may have these modes under the rate mode; see keeps_constant_rate."""
        return keeps_constant_rate(self.parameters, self.experts_total, modes)

    def packet_sizes(self, frames: int | None = None) -> Sequence[int]:
        """Sizes in bytes that a packet of ``frames`` latent frames (None: a full window) can have, ascending.

        Those of entropy-coded packets are all up to the largest one.
        """
        return packet_sizes(self.layout, self.experts_total, frames)

    @property
    def largest_packet_bytes(self) -> int:
        """Size of the largest packet; with its prefix, a short one can be larger than all full ones."""
        almost_full = self.parameters.frames_per_window - 1
        short = self.packet_sizes(almost_full) if almost_full else ()
        return max([self.packet_sizes()[-1], *short[-1:]])


def header_bytes(header: Header) -> int:
    """Size of the header and its tags as they are written."""
    return HEADER_BYTES + len(encode_tags(header.tags))


def encode_header(header: Header) -> bytes:
    """The bytes of the header and, if there are tags, the tags block."""
    parameters = header.parameters
    flags = (FLAG_TAGS if header.tags else 0) | (FLAG_ENTROPY_CODED if header.entropy_coded else 0)
    fields = _Fields(
        flags=flags | (FLAG_WAVEFORM_LAYERS if header.waveform_layers else 0),
        fingerprint=header.fingerprint,
        sample_rate=parameters.sample_rate,
        original_rate=header.original_rate,
        total_samples=UNKNOWN_TOTAL if header.total_samples is None else header.total_samples,
        hop=parameters.hop,
        frames_per_window=parameters.frames_per_window,
        experts=parameters.experts,
        codebooks_per_quantizer=parameters.codebooks_per_quantizer,
        largest_index=parameters.codebook_size - 1,
        channels=header.channels,
        channel_coding=header.channel_coding,
        rate_mode=header.rate_mode,
        experts_total=NO_EXPERTS_TOTAL if header.experts_total is None else header.experts_total,
        nominal_bits_per_second=header.nominal_bits_per_second,
    )
    data = _START.pack(MAGIC, MAJOR, MINOR, HEADER_BYTES) + _FIELDS.pack(*fields)
    return data + zlib.crc32(data).to_bytes(_CRC_BYTES, "little") + encode_tags(header.tags)


def read_header(take: TakeBytes) -> Header:
    """Reads the header and its tags.

    Raises:
        BadInputError: the file is not a stream, has another major version, needs a feature that is not
            supported, or its header or tags are truncated, damaged or break a rule of the format.
    """
    minor, fields = _read_fields(take)
    _check_flags(fields.flags)
    tags = read_tags(take) if fields.flags & FLAG_TAGS else ()
    constant = fields.rate_mode == RateMode.CONSTANT
    if not constant and fields.experts_total != NO_EXPERTS_TOTAL:
        raise BadInputError("invalid header: a fixed number of experts per window without a constant rate")
    try:
        return Header(
            parameters=StreamParameters(
                sample_rate=fields.sample_rate,
                hop=fields.hop,
                frames_per_window=fields.frames_per_window,
                experts=fields.experts,
                codebook_size=fields.largest_index + 1,
                codebooks_per_quantizer=fields.codebooks_per_quantizer,
            ),
            fingerprint=fields.fingerprint,
            original_rate=fields.original_rate,
            channels=fields.channels,
            channel_coding=_member(ChannelCoding, "channel coding", fields.channel_coding),
            rate_mode=_member(RateMode, "rate mode", fields.rate_mode),
            experts_total=fields.experts_total if constant else None,
            nominal_bits_per_second=fields.nominal_bits_per_second,
            total_samples=None if fields.total_samples == UNKNOWN_TOTAL else fields.total_samples,
            tags=tags,
            entropy_coded=bool(fields.flags & FLAG_ENTROPY_CODED),
            waveform_layers=bool(fields.flags & FLAG_WAVEFORM_LAYERS),
            minor=minor,
        )
    except UsageError as error:
        raise BadInputError(f"invalid header: {error}") from None


def _read_fields(take: TakeBytes) -> tuple[int, _Fields]:
    """Minor version and fields of the header; framing and CRC are checked in the order of section 4.1."""
    start = take(_START.size)
    if not start:
        raise BadInputError("the file is empty")
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise BadInputError("not a .swc stream")
    if len(start) < _START.size:
        raise TruncatedError("the file ends within its header")
    _, major, minor, length = _START.unpack(start)
    if major != MAJOR:
        raise BadInputError(f"the stream has format version {major}.{minor}; this program reads {MAJOR}.x")
    if length < HEADER_BYTES:
        raise BadInputError(f"the header claims {length} bytes, fewer than {HEADER_BYTES}")
    rest = take(length - len(start))
    if len(start) + len(rest) < length:
        raise TruncatedError("the file ends within its header")
    body, crc = start + rest[:-_CRC_BYTES], rest[-_CRC_BYTES:]
    if zlib.crc32(body) != int.from_bytes(crc, "little"):
        raise BadInputError("the header is damaged (wrong checksum)")
    if minor <= MINOR and length != HEADER_BYTES:
        raise BadInputError(f"a header of version 1.{minor} has {HEADER_BYTES} bytes, not {length}")
    return minor, _Fields(*_FIELDS.unpack_from(body, _START.size))


def _check_flags(flags: int) -> None:
    unknown = flags & CRITICAL_FLAGS & ~SUPPORTED_FLAGS
    if unknown:
        bits = [bit for bit in range(16) if unknown >> bit & 1]
        names = ", ".join(RESERVED_FLAG_NAMES.get(1 << bit, f"flag {bit}") for bit in bits)
        raise BadInputError(f"the stream uses features that this program does not support: {names}")
    if flags & FLAG_WAVEFORM_LAYERS and not flags & FLAG_ENTROPY_CODED:
        raise BadInputError(f"invalid header: {LAYERS_NEED_ENTROPY_CODING}")


def _member(enumeration: type[_Enumeration], name: str, value: int) -> _Enumeration:
    check_range(name, value, 0, max(enumeration))
    return enumeration(value)
