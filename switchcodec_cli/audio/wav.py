"""WAV headers and PCM samples, for pipes and for files of unknown size, which libsndfile cannot handle.

Supports RIFF, RF64 and BW64 with integer PCM of 8 to 32 bits and IEEE float of 32 and 64 bits, with plain or
WAVE_FORMAT_EXTENSIBLE headers. Other WAV files are left to libsndfile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

from ..errors import BadInputError

# Bytes per sample of the supported subtypes.
SAMPLE_BYTES = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}

UNKNOWN_SIZE = 0xFFFFFFFF
# Programs that cannot seek back to fill in the size write 0, 0xFFFFFFFF or a value near 2**31. Stated sizes
# from here on are placeholders unless the file is that large.
PLACEHOLDER_SIZE = 0x7FFFF000

_PCM, _IEEE_FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
# Subtype by format tag and bytes per sample. Samples of 20 bits are left-justified in 3 bytes.
_SUBTYPES = {
    _PCM: {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"},
    _IEEE_FLOAT: {4: "FLOAT", 8: "DOUBLE"},
}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of KSDATAFORMAT_SUBTYPE_PCM and _IEEE_FLOAT
_LARGEST_RIFF = 0xFFFFFFFF - 4096  # bytes of audio; RF64 is written beyond
_LARGEST_CHUNK = 1 << 26  # bytes of a chunk other than "data"
_CHUNKS_BEHIND_AUDIO = 1 << 16  # bytes that are examined
_DS64_BYTES = 28


class Readable(Protocol):
    """A binary stream that can be read."""

    def read(self, size: int, /) -> bytes: ...


class NotPlainWav(Exception):
    """The stream is not a WAV file, or uses a coding that is left to libsndfile."""


@dataclass(frozen=True)
class SampleFormat:
    """Format of interleaved samples."""

    sample_rate: int
    """In Hz."""
    channels: int
    subtype: str
    """A key of `SAMPLE_BYTES`."""

    @property
    def frame_bytes(self) -> int:
        """Bytes per frame, one sample of each channel."""
        return self.channels * SAMPLE_BYTES[self.subtype]


@dataclass(frozen=True)
class WavHeader:
    """The parsed header of a WAV file."""

    samples: SampleFormat
    data_bytes: int | None
    """Stated size of the audio; None if unknown or a placeholder."""
    first_bytes: bytes = b""
    """Start of the audio, where it had to be read to understand the header."""


class PrefixedStream:
    """A stream of which some bytes were read already, and are read again."""

    def __init__(self, first_bytes: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = first_bytes, rest

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""
        if not self._first:
            return self._rest.read(size)
        piece, self._first = self._first[:size], self._first[size:]
        return piece

    def tell(self) -> int:
        """Position in the file."""
        return self._rest.tell() - len(self._first)

    def seekable(self) -> bool:
        """Whether the input is a file."""
        return self._rest.seekable()


def read_exactly(stream: Readable, count: int) -> bytes:
    """Read `count` bytes, fewer only at the end of the stream; a pipe may return less per call."""
    pieces, missing = [], count
    while missing > 0:
        piece = stream.read(min(missing, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_header(stream: Readable, name: str) -> WavHeader:
    """Read a WAV header up to the first byte of audio.

    Args:
        stream: positioned at the start of the file.
        name: name of the input in error messages.

    Raises:
        NotPlainWav: the file must be read with libsndfile, from its start.
        BadInputError: the header is truncated or invalid.
    """
    start = read_exactly(stream, 12)
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
        raise NotPlainWav
    samples, ds64_data_bytes, position = None, None, 12
    while True:
        kind, size = _read_chunk_start(stream, name)
        position += 8
        if kind == b"data":
            break
        content = read_exactly(stream, min(size + size % 2, _LARGEST_CHUNK))
        if len(content) < size:
            raise _truncated_header(name)
        position += len(content)
        if kind == b"fmt ":
            samples = _parse_format(content, name)
        elif kind == b"ds64" and size >= 24:
            ds64_data_bytes = int.from_bytes(content[8:16], "little")
    if samples is None:
        raise BadInputError(f"{name}: invalid WAV header (no 'fmt ' chunk)")

    data_bytes: int | None = size
    first_bytes = b""
    if start[:4] != b"RIFF" and size == UNKNOWN_SIZE and ds64_data_bytes is not None:
        data_bytes = ds64_data_bytes if 0 < ds64_data_bytes < 1 << 62 else None
    elif size >= UNKNOWN_SIZE - 256:
        data_bytes = None
    elif size == 0:
        # The size 0 is genuine if further chunks follow, and was never filled in if audio does.
        rest = int.from_bytes(start[4:8], "little") + 8 - position
        data_bytes = None
        if 0 < rest < PLACEHOLDER_SIZE:
            first_bytes = read_exactly(stream, min(rest, _CHUNKS_BEHIND_AUDIO))
            data_bytes = 0 if _are_chunks(first_bytes, rest) else rest
    return WavHeader(samples, data_bytes, first_bytes if data_bytes else b"")


def _are_chunks(data: bytes, total: int) -> bool:
    """Whether the start of `total` bytes consists of chunks, the last of which may be cut off."""
    position = 0
    while position < len(data):
        start = data[position : position + 8]
        size = int.from_bytes(start[4:], "little")
        position += 8 + size
        if not all(0x20 <= byte < 0x7F for byte in start[:4]) or position > total:
            return False
        position += position % 2
    return True


def _read_chunk_start(stream: Readable, name: str) -> tuple[bytes, int]:
    """Identifier and size in bytes of the next chunk."""
    start = read_exactly(stream, 8)
    if len(start) < 8:
        raise _truncated_header(name)
    return start[:4], int.from_bytes(start[4:], "little")


def _truncated_header(name: str) -> BadInputError:
    return BadInputError(f"{name}: truncated WAV header, no audio found")


def _parse_format(content: bytes, name: str) -> SampleFormat:
    """Parse the content of a "fmt " chunk."""
    if len(content) < 16:
        raise BadInputError(f"{name}: invalid WAV header (its 'fmt ' chunk is too short)")
    tag, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 40:
        if content[26:40] != _GUID_TAIL:
            raise NotPlainWav
        tag = int.from_bytes(content[24:26], "little")
    if channels == 0 or sample_rate == 0:
        raise BadInputError(f"{name}: invalid WAV header ({channels} channels at {sample_rate} Hz)")
    sample_bytes = (bits + 7) // 8
    subtype = _SUBTYPES.get(tag, {}).get(sample_bytes)
    if subtype is None or frame_bytes != channels * sample_bytes:
        raise NotPlainWav
    return SampleFormat(sample_rate, channels, subtype)


def build_header(
    samples: SampleFormat, frames: int | None, reserve_ds64: bool = False, chunks_before_audio: bytes = b""
) -> bytes:
    """Build a WAV header up to the first byte of audio.

    Args:
        samples: format of the samples.
        frames: length; None writes the size 0xFFFFFFFF, as streaming programs do. Audio of more than 4 GiB
            gets an RF64 header.
        reserve_ds64: reserve space for the sizes of RF64, so that the length of the header does not depend
            on `frames`.
        chunks_before_audio: further chunks, complete.
    """
    form = _format_chunks(samples, frames) + chunks_before_audio
    placeholder = _chunk(b"JUNK", bytes(_DS64_BYTES))  # has the size of the chunk "ds64"
    chunks = placeholder + form if reserve_ds64 else form
    if frames is None:
        return _header(b"RIFF", UNKNOWN_SIZE, chunks, UNKNOWN_SIZE)
    data_bytes = frames * samples.frame_bytes
    if data_bytes <= _LARGEST_RIFF:
        return _header(b"RIFF", _riff_bytes(chunks, data_bytes), chunks, data_bytes)
    sizes = struct.pack("<QQQI", _riff_bytes(placeholder + form, data_bytes), data_bytes, frames, 0)
    return _header(b"RF64", UNKNOWN_SIZE, _chunk(b"ds64", sizes) + form, UNKNOWN_SIZE)


def _header(kind: bytes, riff_bytes: int, chunks: bytes, data_bytes: int) -> bytes:
    start = kind + struct.pack("<I", riff_bytes) + b"WAVE"
    return start + chunks + b"data" + struct.pack("<I", data_bytes)


def _riff_bytes(chunks: bytes, data_bytes: int) -> int:
    """Size of the RIFF chunk: "WAVE", the chunks before the audio, and the padded audio."""
    return 4 + len(chunks) + 8 + data_bytes + data_bytes % 2


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content


def _format_chunks(samples: SampleFormat, frames: int | None) -> bytes:
    """The chunk "fmt ", and for float samples "fact"."""
    is_float = samples.subtype in ("FLOAT", "DOUBLE")
    content = struct.pack(
        "<HHIIHH",
        _IEEE_FLOAT if is_float else _PCM,
        samples.channels,
        samples.sample_rate,
        samples.sample_rate * samples.frame_bytes,
        samples.frame_bytes,
        8 * SAMPLE_BYTES[samples.subtype],
    )
    if not is_float:
        return _chunk(b"fmt ", content)
    no_extension = b"\0\0"
    length = UNKNOWN_SIZE if frames is None else min(frames, UNKNOWN_SIZE)
    return _chunk(b"fmt ", content + no_extension) + _chunk(b"fact", struct.pack("<I", length))


def decode_samples(data: bytes, subtype: str) -> np.ndarray:
    """Convert little-endian samples to float32 in [-1, 1); float samples keep their values."""
    if subtype == "PCM_U8":
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if subtype == "PCM_16":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    if subtype == "PCM_24":
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return padded.view("<i4")[:, 0].astype(np.float32) / 2147483648
    if subtype == "PCM_32":
        return np.frombuffer(data, "<i4").astype(np.float32) / 2147483648
    with np.errstate(over="ignore"):  # a double beyond the range of float32 becomes infinite
        return np.frombuffer(data, "<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)


def to_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round floats in [-1, 1] to int32 values of `bits` bits; values out of range are clipped."""
    scale = 1 << (bits - 1)
    # float32 cannot represent the largest integer of 32 bits
    scaled = samples.astype(np.float64 if bits > 24 else np.float32) * scale
    return np.clip(np.rint(scaled, out=scaled), -scale, scale - 1, out=scaled).astype(np.int32)


def encode_samples(samples: np.ndarray, subtype: str) -> bytes:
    """The inverse of `decode_samples`; values out of the range of integers are clipped."""
    if subtype == "PCM_U8":
        return (to_integers(samples, 8) + 128).astype(np.uint8).tobytes()
    if subtype == "PCM_16":
        return to_integers(samples, 16).astype("<i2").tobytes()
    if subtype == "PCM_24":
        padded = np.ascontiguousarray(to_integers(samples, 24).astype("<i4")).reshape(-1, 1)
        return padded.view(np.uint8)[:, :3].tobytes()
    if subtype == "PCM_32":
        return to_integers(samples, 32).astype("<i4").tobytes()
    return samples.astype("<f4" if subtype == "FLOAT" else "<f8").tobytes()
