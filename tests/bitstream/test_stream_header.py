"""The header and the tags: limits, versions, flags and sizes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from streams import PACKETS, Pipe, make_header, make_stream

from switchcodec_cli.bitstream import Header, RateMode, StreamReader, header_bytes, verify
from switchcodec_cli.errors import BadInputError, UsageError


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprint": b"short"}, "fingerprint"),
        ({"original_rate": 0}, "sample rate"),
        ({"original_rate": 768_001}, "sample rate"),
        ({"channels": 3}, "channels"),
        ({"channels": 2}, "channel coding"),
        ({"channel_coding": 4}, "4"),
        ({"rate_mode": 3}, "3"),
        ({"experts_total": 5}, "experts"),
        ({"experts_total": None}, "experts"),
        ({"rate_mode": RateMode.AVERAGE}, "experts"),
        ({"nominal_bits_per_second": 2**32}, "nominal"),
        ({"total_samples": 2**43 + 1}, "total"),
        ({"total_samples": 2**43, "original_rate": 1}, "windows"),
        ({"tags": (("", "x"),)}, "tag"),
        ({"tags": (("a=b", "x"),)}, "tag"),
        ({"tags": (("ä", "x"),)}, "tag"),
        ({"tags": (("a", "\x1b[31m"),)}, "tag"),
        ({"tags": (("a", "\ud800"),)}, "tag"),
        ({"tags": (("a", "x" * 65534),)}, "tag"),
        ({"tags": (("a", "x" * 40000), ("b", "x" * 40000))}, "tags"),
    ],
)
def test_limits(change: dict, words: str) -> None:
    fields = {name: getattr(make_header(), name) for name in Header.__dataclass_fields__}
    with pytest.raises(UsageError, match=words):
        Header(**(fields | change))


@pytest.mark.parametrize("tags", [(), (("title", "Tür"), ("a b", ""))])
def test_header_bytes(tags: tuple[tuple[str, str], ...]) -> None:
    header = make_header(tags=tags)
    data, _ = make_stream(190, header)
    assert header_bytes(header) == StreamReader(io.BytesIO(data)).header_bytes


def with_header(data: bytes, edit: Callable[[bytearray], object], length: int = 64) -> bytes:
    """The stream with its header changed by ``edit`` and a matching CRC."""
    header = bytearray(data[:60])
    header += bytes(length - 64)
    edit(header)
    return bytes(header) + struct.pack("<I", zlib.crc32(header)) + data[64:]


def test_longer_header_and_trailer_of_a_newer_minor_version() -> None:
    data, windows = make_stream(555)

    def edit(header: bytearray) -> None:
        header[5] = 7
        header[6:8] = struct.pack("<H", 96)
        header[60:92] = b"something newer" + bytes(17)

    newer = with_header(data, edit, 96)
    size = struct.unpack("<I", data[-8:-4])[0]
    trailer = bytearray(data[-size:-12]) + b"newer"
    trailer[4:8] = struct.pack("<I", size + 5)
    trailer[30:32] = b"\1\2"  # reserved in 1.0
    trailer += struct.pack("<II4s", zlib.crc32(trailer), size + 5, b"CWS\x89")
    newer = newer[: len(newer) - size] + trailer
    for file in (io.BytesIO(newer), Pipe(newer)):
        reader = StreamReader(file)
        assert reader.header.minor == 7
        assert list(reader) == windows
        assert reader.trailer is not None
    # the same is invalid in a stream that claims version 1.0
    older = with_header(newer[:60] + newer[92:], lambda header: header.__setitem__(5, 0))
    older = older[:6] + struct.pack("<H", 64) + older[8:60]
    older += struct.pack("<I", zlib.crc32(older)) + newer[96:]
    assert not verify(io.BytesIO(older)).ok


@pytest.mark.parametrize("bit", range(32))
def test_unknown_flags(bit: int) -> None:
    data, windows = make_stream(555)

    def edit(header: bytearray) -> None:
        header[8 + bit // 8] |= 1 << bit % 8

    changed = with_header(data, edit)
    if bit >= 16:
        assert list(StreamReader(io.BytesIO(changed))) == windows
    elif bit > 1:
        words = {2: "per-frame depth", 3: "waveform layers need entropy"}.get(bit, f"flag {bit}")
        with pytest.raises(BadInputError, match=words):
            StreamReader(io.BytesIO(changed))


@pytest.mark.parametrize("entropy_coded", [False, True])
def test_flag_of_entropy_coded_packets(entropy_coded: bool) -> None:
    data, _ = make_stream(555, make_header(entropy_coded=entropy_coded))
    assert data[8] == 2 * entropy_coded
    assert StreamReader(io.BytesIO(data)).header.entropy_coded == entropy_coded
    other = with_header(data, lambda header: header.__setitem__(8, 2 - 2 * entropy_coded))
    assert not verify(io.BytesIO(other)).ok


def test_flag_of_waveform_layers() -> None:
    data, windows = make_stream(555, make_header(**PACKETS["waveform layers"]))
    assert data[8] == 2 + 8
    for file in (io.BytesIO(data), Pipe(data)):
        reader = StreamReader(file)
        assert reader.header.waveform_layers
        assert list(reader) == windows
    without = with_header(data, lambda header: header.__setitem__(8, 2))
    assert not verify(io.BytesIO(without)).ok


def test_waveform_layers_need_entropy_coded_packets() -> None:
    data, _ = make_stream(555, make_header(**PACKETS["waveform layers"]))
    changed = with_header(data, lambda header: header.__setitem__(8, 8))
    with pytest.raises(BadInputError, match="waveform layers need entropy-coded packets"):
        StreamReader(io.BytesIO(changed))
    with pytest.raises(UsageError, match="waveform layers need entropy-coded packets"):
        make_header(waveform_layers=True)


def test_newer_major_version_is_refused() -> None:
    data, _ = make_stream(555)
    with pytest.raises(BadInputError, match=r"version 2\.1"):
        StreamReader(io.BytesIO(with_header(data, lambda header: header.__setitem__(4, 2))))
