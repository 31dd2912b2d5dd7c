"""What version 1.1 adds to the trailer: a digest of the source, and what the encoder was asked for."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite

from ..errors import UsageError
from .parameters import check_range

DIGEST_BYTES = 16
QUALITY_STEPS = 1000  # a quality is stored in thousandths
NO_DIGEST = 0
UNKNOWN_EFFORT = 0xFF
UNKNOWN_QUALITY = 0xFFFF
UNKNOWN_RATE = 0
MAX_QUALITY = (UNKNOWN_QUALITY - 1) / QUALITY_STEPS

_ADDITIONS = struct.Struct(f"<BBHI{DIGEST_BYTES}s")  # digest kind, effort, quality, maximum rate, digest
ADDITIONS_BYTES = _ADDITIONS.size


class DigestKind(IntEnum):
    """What a digest of the source was computed over."""

    SAMPLES = 1  # the samples as they were read: little-endian float32, channels interleaved
    FILE = 2  # the bytes of the file


@dataclass(frozen=True)
class SourceDigest:
    """Digest of the recording that was encoded: BLAKE2b with 16 bytes of output.

    Raises:
        UsageError: the value does not have 16 bytes.
    """

    kind: DigestKind
    value: bytes

    def __post_init__(self) -> None:
        check_range("kind of digest", self.kind, min(DigestKind), max(DigestKind))
        if not isinstance(self.value, bytes) or len(self.value) != DIGEST_BYTES:
            raise UsageError(f"the digest of the source must be {DIGEST_BYTES} bytes")


@dataclass(frozen=True)
class EncodingRequest:
    """What the encoder was asked for beyond what the header says; None where that is unknown.

    The quality is rounded to thousandths, as it is stored, so that requests can be compared.

    Raises:
        UsageError: a value is outside the limits of the format.
    """

    effort: int | None = None
    quality: float | None = None
    max_bits_per_second: int | None = None

    def __post_init__(self) -> None:
        if self.effort is not None:
            check_range("effort", self.effort, 0, UNKNOWN_EFFORT - 1)
        if self.max_bits_per_second is not None:
            check_range("maximum rate in bit/s", self.max_bits_per_second, UNKNOWN_RATE + 1, 0xFFFFFFFF)
        if self.quality is not None:
            if not isfinite(self.quality) or not 0 <= self.quality <= MAX_QUALITY:
                raise UsageError(f"quality must be a number from 0 to {MAX_QUALITY}, not {self.quality!r}")
            rounded = round(self.quality * QUALITY_STEPS) / QUALITY_STEPS
            object.__setattr__(self, "quality", rounded)


def encode_additions(source: SourceDigest | None, request: EncodingRequest | None) -> bytes:
    """The additions with what is known."""
    request = request or EncodingRequest()
    return _ADDITIONS.pack(
        NO_DIGEST if source is None else source.kind,
        UNKNOWN_EFFORT if request.effort is None else request.effort,
        UNKNOWN_QUALITY if request.quality is None else round(request.quality * QUALITY_STEPS),
        UNKNOWN_RATE if request.max_bits_per_second is None else request.max_bits_per_second,
        bytes(DIGEST_BYTES) if source is None else source.value,
    )


def decode_additions(data: bytes) -> tuple[SourceDigest | None, EncodingRequest | None]:
    """What additions say; a digest of a kind that this version does not know counts as unknown."""
    kind, effort, quality, max_rate, digest = _ADDITIONS.unpack_from(data)
    source = SourceDigest(DigestKind(kind), digest) if kind in tuple(DigestKind) else None
    request = EncodingRequest(
        None if effort == UNKNOWN_EFFORT else effort,
        None if quality == UNKNOWN_QUALITY else quality / QUALITY_STEPS,
        None if max_rate == UNKNOWN_RATE else max_rate,
    )
    return source, None if request == EncodingRequest() else request
