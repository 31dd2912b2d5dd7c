"""The writer: the trailer it chooses, and what it refuses."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streams import SMALL, make_header, make_stream, random_block, trailer_of

from switchcodec_cli.bitstream import RateMode, StreamReader, StreamWriter, Window, trailer_bytes


def test_table_only_if_packet_sizes_vary() -> None:
    for derived, constant in [(0.0, True), (0.5, False)]:
        data, _ = make_stream(1990, derived=derived)
        trailer = trailer_of(data)
        assert (trailer.packet_bytes > 0, trailer.table == b"") == (constant, constant)


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
