"""The reader: round trips, pipes, seeking and memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import (
    LARGE,
    PACKETS,
    SMALL,
    CountingFile,
    Pipe,
    make_header,
    make_stream,
    random_block,
    random_windows,
    with_random_payload,
    write_stream,
)

from switchcodec_cli.bitstream import (
    SILENT,
    ChannelCoding,
    RateMode,
    StreamReader,
    StreamWriter,
    Window,
    inspect,
    verify,
)
from switchcodec_cli.errors import UsageError

CODINGS = list(ChannelCoding)
MODES = list(RateMode)


@settings(max_examples=80, deadline=None)
@given(
    total=st.integers(0, 2000),
    original_rate=st.sampled_from([1, 7999, 8000, 11025, 44100, 768_000]),
    coding=st.sampled_from(CODINGS),
    mode=st.sampled_from(MODES),
    derived=st.sampled_from([0.0, 0.5]),
    known=st.booleans(),
    form=st.sampled_from(list(PACKETS)),
    limit=st.sampled_from([1, 7, 1000]),
)
def test_round_trip(
    total: int,
    original_rate: int,
    coding: ChannelCoding,
    mode: RateMode,
    derived: float,
    known: bool,
    form: str,
    limit: int,
) -> None:
    total = total * original_rate // 8000 if original_rate > 8000 else min(total, 2 * original_rate)
    header = make_header(
        SMALL,
        coding,
        mode,
        3,
        total if known else None,
        original_rate,
        (("title", "Tür"), ("a b", "")),
        **PACKETS[form],
    )
    data, windows = make_stream(total, header, derived=derived)
    assert len(windows) == SMALL.windows_in(header.frames_in(total))
    trailers = []
    for file in (io.BytesIO(data), Pipe(data, limit)):
        reader = StreamReader(file)
        assert reader.header == header
        assert list(reader) == windows
        assert reader.total_samples == total
        assert reader.window_count == len(windows)
        trailers.append(reader.trailer)
    assert trailers[0] == trailers[1] is not None
    summary = inspect(Pipe(data))
    assert summary.budget.total == 8 * len(data)
    assert not summary.problems
    assert list(summary.modes) == [window.modes for window in windows]
    assert verify(io.BytesIO(data)).ok


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("derived", [0.0, 0.4])
@pytest.mark.parametrize("coding", [ChannelCoding.MONO, ChannelCoding.LEFT_RIGHT])
@pytest.mark.parametrize("form", PACKETS)
def test_seeking_gives_the_same_windows(
    mode: RateMode, derived: float, coding: ChannelCoding, form: str
) -> None:
    header = make_header(LARGE, coding, mode, 3, **PACKETS[form])
    data, windows = make_stream(LARGE.window_samples * 12 + 5000, header, derived=derived)
    file = CountingFile(data)
    reader = StreamReader(file)
    for first, last in [(0, 1), (5, 7), (12, 13), (12, None), (0, None), (11, 99), (13, 20), (4, 4)]:
        file.count = 0
        assert list(reader.windows(first, last)) == windows[first:last]
        packets = list(reader.packets())[first:last]
        assert list(StreamReader(Pipe(data)).windows(first, last)) == windows[first:last]
        file.count = 0
        list(reader.windows(first, last))
        assert file.count == sum(len(packet.data) for packet in packets)
    assert list(reader) == windows == list(reader)


@pytest.mark.parametrize("entropy_coded", [False, True])
def test_seeking_across_blocks_of_the_table(entropy_coded: bool) -> None:
    header = make_header(SMALL, mode=RateMode.QUALITY, entropy_coded=entropy_coded)
    rng = np.random.default_rng(1)
    blocks = [random_block(SMALL, count, 4, rng) for count in range(5)] + [SILENT]
    if entropy_coded:
        blocks = [with_random_payload(SMALL, block, 4, rng) for block in blocks]
    windows = [Window(4, (blocks[place],)) for place in rng.integers(0, 6, 9000)]
    data = write_stream(header, windows, 9000 * 40)
    reader = StreamReader(io.BytesIO(data))
    for first in (0, 4095, 4096, 8191, 8998):
        assert list(reader.windows(first, first + 2)) == windows[first : first + 2]
    summary = inspect(io.BytesIO(data))
    assert not summary.problems
    assert summary.silent_windows == sum(window.blocks == (SILENT,) for window in windows)


def test_stream_that_starts_within_a_file() -> None:
    data, windows = make_stream(500)
    file = io.BytesIO(b"something before" + data)
    file.seek(16)
    reader = StreamReader(file)
    assert reader.trailer is not None
    assert list(reader) == windows


def test_pipe_is_read_once() -> None:
    data, _ = make_stream(500)
    reader = StreamReader(Pipe(data))
    list(reader)
    with pytest.raises(UsageError, match="once"):
        list(reader)


@pytest.mark.parametrize("entropy_coded", [False, True])
def test_memory_is_bounded_by_what_was_read(entropy_coded: bool) -> None:
    huge = make_header(LARGE, total_samples=2**43, entropy_coded=entropy_coded)
    valid, _ = make_stream(44100, make_header(LARGE, entropy_coded=entropy_coded))
    size = struct.unpack("<I", valid[-8:-4])[0]
    header_file = io.BytesIO()
    StreamWriter(header_file, huge)
    trailer = struct.pack("<4sIQIIIHH", b"\xffEND", 0xFFFFFF00, 2**43, 2**31 - 1, 0, 24 * entropy_coded, 1, 0)
    false_claims = (
        header_file.getvalue() + valid[64:],
        valid[:-size] + trailer,
        valid[:64] + trailer + valid[-12:],
    )
    for data in false_claims:
        for file in (io.BytesIO(data), Pipe(data)):
            tracemalloc.start()
            assert not verify(file).ok
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2_000_000


def test_nothing_of_the_package_but_errors_is_imported() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import switchcodec_cli.bitstream; "
        "print('torch' in sys.modules, *sorted(name for name in sys.modules "
        "if name.startswith('switchcodec_cli.') and not name.startswith('switchcodec_cli.bitstream')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "switchcodec_cli.errors"]


def test_random_windows_have_blocks_of_all_kinds() -> None:
    header = make_header(SMALL, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    kinds = {
        block.kind.value
        for window in random_windows(header, 8000, np.random.default_rng(0), 0.5)
        for block in window.blocks
    }
    assert kinds == {"coded", "silent", "copy", "intensity"}
