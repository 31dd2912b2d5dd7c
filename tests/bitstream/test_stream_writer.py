"""The writer: the trailer it chooses, and what it refuses."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from streams import (
    PACKETS,
    SMALL,
    make_header,
    make_stream,
    packet_sizes_of,
    random_block,
    trailer_of,
    write_stream,
)

from switchcodec_cli.bitstream import (
    SILENT,
    Block,
    ChannelCoding,
    RateMode,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Window,
    coded_block,
    modelled_block,
    trailer_bytes,
)
from switchcodec_cli.bitstream.trailer import unpack_sizes


def test_table_only_if_packet_sizes_vary() -> None:
    for derived, constant in [(0.0, True), (0.5, False)]:
        data, _ = make_stream(1990, derived=derived)
        trailer = trailer_of(data)
        assert (trailer.packet_bytes > 0, trailer.table == b"") == (constant, constant)


@pytest.mark.parametrize("derived", [0.0, 0.5])
@pytest.mark.parametrize("form", ["entropy-coded", "waveform layers"])
def test_table_of_sizes(derived: float, form: str) -> None:
    """An entropy-coded stream always has one, with entries as narrow as the largest packet permits."""
    data, _ = make_stream(1990, make_header(**PACKETS[form]), derived=derived)
    trailer, sizes = trailer_of(data), packet_sizes_of(data)
    assert trailer.packet_bytes == 0
    assert trailer.size_bits == max(sizes).bit_length()
    assert unpack_sizes(trailer, 0, len(sizes)).tolist() == sizes


@pytest.mark.parametrize("windows", [0, 1, 5, 7])
def test_trailer_bytes_with_sizes(windows: int) -> None:
    """The largest packet determines the width of an entry; here it is a short one, because of its prefix."""
    parameters = StreamParameters(8000, 10, 2, 0, 256, 3)
    header = make_header(parameters, mode=RateMode.QUALITY, entropy_coded=True)
    last = [Window(1, (random_block(parameters, 0, 1, np.random.default_rng(0)),))]
    full = [Window(2, (random_block(parameters, 0, 2, np.random.default_rng(0)),))]
    written = write_stream(header, windows * full + last, 20 * windows + 10)
    assert trailer_of(written).size <= trailer_bytes(header, windows + 1)
    data, _ = make_stream(20 * windows, header)
    assert trailer_of(data).size <= trailer_bytes(header, windows)


def test_trailer_bytes_with_layers() -> None:
    """Layers of the largest size make the entries as wide as they can be."""
    header = make_header(coding=ChannelCoding.LEFT_RIGHT, mode=RateMode.QUALITY, **PACKETS["waveform layers"])
    rng = np.random.default_rng(0)
    blocks = [replace(random_block(SMALL, 4, 4, rng), waveform=rng.bytes(4095)) for _ in range(2)]
    data = write_stream(header, [Window(4, tuple(blocks))] * 9, 360)
    assert header.largest_packet_bytes == packet_sizes_of(data)[0]
    assert trailer_of(data).size == trailer_bytes(header, 9)


@pytest.mark.parametrize("windows", [0, 1, 5, 7])
def test_trailer_bytes(windows: int) -> None:
    header = make_header(mode=RateMode.QUALITY)
    data, _ = make_stream(40 * windows, header, seed=1)
    trailer = trailer_of(data)
    assert trailer.packet_bytes == 0
    assert trailer_bytes(header, windows) == trailer.size == int.from_bytes(data[-8:-4], "little")


def test_invalid_windows_and_totals_are_refused() -> None:
    header = make_header(total_samples=85)
    full, short, wrong = (
        Window(frames, (random_block(SMALL, count, frames, np.random.default_rng(0)),))
        for frames, count in [(4, 2), (1, 2), (4, 1)]
    )
    file = io.BytesIO()
    writer = StreamWriter(file, header)
    with pytest.raises(ValueError, match="constant"):
        writer.write(wrong)
    writer.write(full)
    with pytest.raises(ValueError, match="frames"):
        writer.close()
    writer.write(full)
    writer.write(short)
    with pytest.raises(ValueError, match="short"):
        writer.write(short)
    with pytest.raises(ValueError, match="header says"):
        writer.close(86)
    trailer = writer.close()
    assert (trailer.total_samples, trailer.packets, trailer.last_frames) == (85, 3, 1)
    for late in (writer.close, lambda: writer.write(short)):
        with pytest.raises(ValueError, match="closed"):
            late()
    windows = list(StreamReader(io.BytesIO(file.getvalue())))
    assert windows == [full, full, short]
    assert [[mode.experts for mode in window.modes] for window in windows] == [[2], [2], [2]]


@pytest.mark.parametrize(
    ("entropy_coded", "payload", "words"),
    [(False, b"abc", "not entropy-coded"), (True, bytes(6), "fewer than 6 bytes")],
)
def test_invalid_modelled_indices_are_refused(entropy_coded: bool, payload: bytes, words: str) -> None:
    writer = StreamWriter(io.BytesIO(), make_header(entropy_coded=entropy_coded))
    with pytest.raises(ValueError, match=words):
        writer.write(Window(4, (modelled_block((0, 2), payload),)))


@pytest.mark.parametrize(
    ("form", "block", "words"),
    [
        (
            "entropy-coded",
            replace(coded_block((0, 2), np.zeros((3, 1, 4), int)), waveform=b"abcd"),
            "no waveform",
        ),
        ("waveform layers", replace(SILENT, waveform=b"abcd"), "no waveform layer"),
        (
            "waveform layers",
            coded_block((0, 2), np.zeros((3, 1, 4), int), bytes(4096)),
            "at most 4095 bytes, not 4096",
        ),
    ],
)
def test_invalid_waveform_layers_are_refused(form: str, block: Block, words: str) -> None:
    writer = StreamWriter(io.BytesIO(), make_header(mode=RateMode.QUALITY, **PACKETS[form]))
    with pytest.raises(ValueError, match=words):
        writer.write(Window(4, (block,)))
