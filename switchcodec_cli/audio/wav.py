"""WAV headers and PCM samples, for streams that no library reads: pipes, and files whose sizes are unknown.

Covers RIFF, RF64 and BW64 with integer PCM of 8 to 32 bits and IEEE float of 32 and 64 bits, plain or
WAVE_FORMAT_EXTENSIBLE. Everything else about WAV is left to libsndfile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import BadInputError

PCM, IEEE_FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
UNKNOWN_SIZE = 0xFFFFFFFF
# Programs that cannot go back to fill in the size write 0, 0xFFFFFFFF or something near 2**31; nothing that
# large is believed unless the data is there.
PLACEHOLDER_SIZE = 0x7FFFF000
LARGEST_RIFF = 0xFFFFFFFF - 4096
# What follows the coding in the sub-format GUIDs that stand for plain PCM and float.
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")

SUBTYPES = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes per sample


class NotPlainWav(Exception):
    """The stream is no WAV, or a WAV in a coding that this module leaves to libsndfile."""


@dataclass(frozen=True)
class WavHeader:
    sample_rate: int
    channels: int
    subtype: str
    data_bytes: int | None
    """Size of the audio as the header states it, None when it says nothing believable."""

    @property
    def frame_bytes(self) -> int:
        return self.channels * SUBTYPES[self.subtype]


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """Up to `count` bytes, fewer only at the end of the stream (a pipe may hand out less per call)."""
    pieces, missing = [], count
    while missing > 0:
        piece = stream.read(min(missing, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_header(stream: BinaryIO, name: str) -> WavHeader:
    """Read up to the first byte of audio.

    Raises:
        NotPlainWav: to be tried with libsndfile (the stream must be re-read from its start).
        BadInputError: a WAV whose header is cut off or makes no sense.
    """
    start = read_exactly(stream, 12)
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
        raise NotPlainWav
    riff_bytes = int.from_bytes(start[4:8], "little")
    position, wide_data_bytes, form = 12, None, None
    while True:
        head = read_exactly(stream, 8)
        if len(head) < 8:
            raise BadInputError(f"{name}: the WAV header is cut off, there is no audio in it")
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        position += 8
        if kind == b"data":
            break
        content = read_exactly(stream, min(size + size % 2, 1 << 26))
        if len(content) < size:
            raise BadInputError(f"{name}: the WAV header is cut off, there is no audio in it")
        position += len(content)
        if kind == b"fmt ":
            form = _read_format(content, name)
        elif kind == b"ds64" and size >= 24:
            wide_data_bytes = int.from_bytes(content[8:16], "little")
    if form is None:
        raise BadInputError(f"{name}: the WAV header does not say what the audio is (no 'fmt ' chunk)")
    sample_rate, channels, subtype = form
    data_bytes: int | None = size
    if start[:4] != b"RIFF" and size == UNKNOWN_SIZE and wide_data_bytes is not None:
        data_bytes = wide_data_bytes if 0 < wide_data_bytes < 1 << 62 else None
    elif size >= UNKNOWN_SIZE - 256 or (size == 0 and not position - 8 < riff_bytes < PLACEHOLDER_SIZE):
        # Size 0 is true where the RIFF size covers further chunks, and otherwise a blank never filled in.
        data_bytes = None
    return WavHeader(sample_rate, channels, subtype, data_bytes)


def _read_format(content: bytes, name: str) -> tuple[int, int, str]:
    if len(content) < 16:
        raise BadInputError(f"{name}: the WAV header is damaged (its 'fmt ' chunk is too short)")
    coding, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", content)
    if coding == EXTENSIBLE and len(content) >= 40:
        if content[26:40] != _GUID_TAIL:
            raise NotPlainWav
        coding = int.from_bytes(content[24:26], "little")
    if channels == 0 or sample_rate == 0:
        raise BadInputError(f"{name}: the WAV header states {channels} channels at {sample_rate} Hz")
    # 20 bits sit left-justified in 3 bytes: the size of the container counts.
    width = (bits + 7) // 8
    table = {PCM: {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}, IEEE_FLOAT: {4: "FLOAT", 8: "DOUBLE"}}
    subtype = table.get(coding, {}).get(width)
    if subtype is None or frame_bytes != channels * width:
        raise NotPlainWav
    return sample_rate, channels, subtype


def decode_samples(data: bytes, subtype: str) -> np.ndarray:
    """Little-endian samples to float32 in [-1, 1); floats are taken as they are."""
    if subtype == "PCM_U8":
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if subtype == "PCM_16":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    if subtype == "PCM_24":
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) / 2147483648
    if subtype == "PCM_32":
        return np.frombuffer(data, "<i4").astype(np.float32) / 2147483648
    with np.errstate(over="ignore"):  # a double beyond float32 becomes inf and is reported as such
        return np.frombuffer(data, "<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)


def to_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round floats in [-1, 1] to whole numbers of `bits` bits, clipped, never wrapped. Gives int32."""
    scale = 1 << (bits - 1)
    # The largest 32-bit integer does not exist in float32.
    scaled = samples.astype(np.float64 if bits > 24 else np.float32) * scale
    return np.clip(np.rint(scaled, out=scaled), -scale, scale - 1, out=scaled).astype(np.int32)


def encode_samples(samples: np.ndarray, subtype: str) -> bytes:
    """The inverse of `decode_samples`; integers are rounded and clipped, floats are written as they are."""
    if subtype == "PCM_U8":
        return (to_integers(samples, 8) + 128).astype(np.uint8).tobytes()
    if subtype == "PCM_16":
        return to_integers(samples, 16).astype("<i2").tobytes()
    if subtype == "PCM_24":
        wide = np.ascontiguousarray(to_integers(samples, 24).astype("<i4")).reshape(-1, 1)
        return wide.view(np.uint8)[:, :3].tobytes()
    if subtype == "PCM_32":
        return to_integers(samples, 32).astype("<i4").tobytes()
    return samples.astype("<f4" if subtype == "FLOAT" else "<f8").tobytes()


def build_header(
    sample_rate: int, channels: int, subtype: str, frames: int | None, reserve: bool = False
) -> bytes:
    """Everything before the first byte of audio.

    `frames` None writes the sizes that streaming programs write, 0xFFFFFFFF. More than 4 GiB gives RF64.
    `reserve` keeps room for the RF64 sizes, so that the header can be rewritten in place at any length.
    """
    width = SUBTYPES[subtype]
    is_float = subtype in ("FLOAT", "DOUBLE")
    coding = IEEE_FLOAT if is_float else PCM
    form = struct.pack(
        "<HHIIHH", coding, channels, sample_rate, sample_rate * channels * width, channels * width, width * 8
    )
    data_bytes = None if frames is None else frames * channels * width
    is_large = data_bytes is not None and data_bytes > LARGEST_RIFF
    chunks = b"fmt " + struct.pack("<I", len(form) + 2 * is_float) + form + b"\0\0" * is_float
    if is_float:
        known = frames is not None and frames < UNKNOWN_SIZE
        chunks += b"fact" + struct.pack("<II", 4, frames if known else UNKNOWN_SIZE)
    sizes_room = 36 if reserve or is_large else 0
    if data_bytes is None:
        riff_bytes = small_data_bytes = UNKNOWN_SIZE
    else:
        riff_bytes = 4 + sizes_room + len(chunks) + 8 + data_bytes + data_bytes % 2
        small_data_bytes = UNKNOWN_SIZE if is_large else data_bytes
    if is_large:
        wide_sizes = b"ds64" + struct.pack("<IQQQI", 28, riff_bytes, data_bytes, frames, 0)
    else:
        wide_sizes = b"JUNK" + struct.pack("<I", 28) + bytes(28) if reserve else b""
    start = b"RF64" if is_large else b"RIFF"
    return (
        start
        + struct.pack("<I", UNKNOWN_SIZE if is_large else riff_bytes)
        + b"WAVE"
        + wide_sizes
        + chunks
        + b"data"
        + struct.pack("<I", small_data_bytes)
    )
