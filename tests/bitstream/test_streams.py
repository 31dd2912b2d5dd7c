"""Whole streams: round trips, pipes, seeking, headers and reports."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import (
    SHIPPED,
    SMALL,
    CountingFile,
    Pipe,
    make_header,
    make_stream,
    random_block,
    random_windows,
    write_stream,
)

from switchcodec_cli.bitstream import (
    SILENT,
    ChannelCoding,
    DamagedWindow,
    Header,
    RateMode,
    StreamReader,
    StreamWriter,
    Window,
    inspect,
    nominal_kbps,
    verify,
)
from switchcodec_cli.errors import BadInputError, UsageError

CODINGS = list(ChannelCoding)
MODES = list(RateMode)


@settings(max_examples=80, deadline=None)
@given(
    total=st.integers(0, 2000),
    original_rate=st.sampled_from([1, 7999, 8000, 11025, 44100, 768_000]),
    coding=st.sampled_from(CODINGS),
    mode=st.sampled_from(MODES),
    silence=st.sampled_from([0.0, 0.5]),
    known=st.booleans(),
    most=st.sampled_from([1, 7, 1000]),
)
def test_round_trip(total, original_rate, coding, mode, silence, known, most) -> None:
    total = total * original_rate // 8000 if original_rate > 8000 else min(total, 2 * original_rate)
    header = make_header(
        SMALL, coding, mode, 3, total if known else None, original_rate, (("title", "Tür"), ("a b", ""))
    )
    data, windows = make_stream(total, header, silence=silence)
    assert len(windows) == SMALL.windows_in(header.frames_in(total))
    trailers = []
    for file in (io.BytesIO(data), Pipe(data, most)):
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
    assert [tuple(codes) for codes in summary.codes.tolist()] == [window.codes(SMALL) for window in windows]
    assert verify(io.BytesIO(data)).ok


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("silence", [0.0, 0.4])
@pytest.mark.parametrize("coding", [ChannelCoding.MONO, ChannelCoding.LEFT_RIGHT])
def test_seeking_equals_reading_on(mode: RateMode, silence: float, coding: ChannelCoding) -> None:
    header = make_header(SHIPPED, coding, mode, 3)
    data, windows = make_stream(SHIPPED.window_samples * 12 + 5000, header, silence=silence)
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


def test_seeking_over_several_blocks_of_the_table() -> None:
    header = make_header(SMALL, mode=RateMode.QUALITY)
    rng = np.random.default_rng(1)
    blocks = [random_block(SMALL, chosen, 4, rng) for chosen in range(5)] + [SILENT]
    windows = [Window(4, (blocks[place],)) for place in rng.integers(0, 6, 9000)]
    data = write_stream(header, windows, 9000 * 40)
    reader = StreamReader(io.BytesIO(data))
    for first in (0, 4095, 4096, 8191, 8998):
        assert list(reader.windows(first, first + 2)) == windows[first : first + 2]
    summary = inspect(io.BytesIO(data))
    assert not summary.problems
    assert summary.silent_windows == sum(window.blocks == (SILENT,) for window in windows)


def test_stream_may_start_within_a_file() -> None:
    data, windows = make_stream(500)
    file = io.BytesIO(b"something before" + data)
    file.seek(16)
    reader = StreamReader(file)
    assert reader.trailer is not None
    assert list(reader) == windows


def test_trailer_has_a_table_only_if_packets_vary() -> None:
    for silence, constant in [(0.0, True), (0.5, False)]:
        data, _ = make_stream(1990, silence=silence)
        trailer = StreamReader(io.BytesIO(data)).trailer
        assert (trailer.packet_bytes > 0, trailer.table == b"") == (constant, constant)


def test_a_pipe_is_read_once() -> None:
    data, _ = make_stream(500)
    reader = StreamReader(Pipe(data))
    list(reader)
    with pytest.raises(UsageError, match="once"):
        list(reader)


def test_writer_refuses_what_does_not_fit() -> None:
    header = make_header(total_samples=85)
    full, short, wrong = (
        Window(frames, (random_block(SMALL, chosen, frames, np.random.default_rng(0)),))
        for frames, chosen in [(4, 2), (1, 2), (4, 1)]
    )
    writer = StreamWriter(io.BytesIO(), header)
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
    assert writer.windows == 3
    assert writer.codes.tolist() == [[2], [2], [2]]
    trailer = writer.close()
    assert (trailer.total_samples, trailer.packets, trailer.last_frames) == (85, 3, 1)
    for late in (writer.close, lambda: writer.write(short)):
        with pytest.raises(ValueError, match="closed"):
            late()


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
def test_limits_of_the_header(change: dict, words: str) -> None:
    fields = {name: getattr(make_header(), name) for name in Header.__dataclass_fields__}
    with pytest.raises(UsageError, match=words):
        Header(**(fields | change))


def with_header(data: bytes, edit, length: int = 64) -> bytes:
    """The stream with its header changed by ``edit`` and its checksum made right again."""
    header = bytearray(data[:60])
    header += bytes(length - 64)
    edit(header)
    return bytes(header) + struct.pack("<I", zlib.crc32(header)) + data[64:]


def test_newer_minor_version_with_a_longer_header_and_trailer_is_read() -> None:
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
    # the same in a stream that claims version 1.0 is wrong
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
    elif bit > 0:
        word = {1: "entropy-coded", 2: "per-frame depth"}.get(bit, f"flag {bit}")
        with pytest.raises(BadInputError, match=word):
            StreamReader(io.BytesIO(changed))


def test_newer_major_version_is_refused() -> None:
    data, _ = make_stream(555)
    with pytest.raises(BadInputError, match=r"version 2\.0"):
        StreamReader(io.BytesIO(with_header(data, lambda header: header.__setitem__(4, 2))))


def test_inspect_figures() -> None:
    total = 44100 * 20
    header = make_header(SHIPPED, ChannelCoding.MONO, RateMode.CONSTANT, 2, total)
    data, windows = make_stream(total, header)
    summary = inspect(io.BytesIO(data))
    assert summary.windows == len(windows) == 21
    frames = sum(window.frames for window in windows)
    assert summary.budget.payload == 3 * 10 * frames
    assert summary.budget.side == 21 * 9 + 4 + 7  # a short last window
    assert summary.real_kbps == pytest.approx(8 * len(data) / 20 / 1000)
    assert summary.nominal_kbps == pytest.approx(24 / 9)
    assert summary.ratio_to_pcm == pytest.approx(total * 2 / len(data))
    use = np.zeros(8, int)
    for window in windows:
        use[list(window.blocks[0].experts)] += 1
    assert summary.expert_use.tolist() == [use.tolist()]
    assert summary.window_bytes[0] == 326
    variable = make_header(SHIPPED, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    data, windows = make_stream(total, variable, silence=0.3)
    summary = inspect(io.BytesIO(data))
    used = [1 + len(block.experts) for window in windows for block in window.blocks if block.kind == "coded"]
    assert summary.quantizers == pytest.approx(sum(used) / 21)
    assert summary.nominal_kbps == pytest.approx(nominal_kbps(SHIPPED, sum(used) / 21))


def test_reports_of_damage() -> None:
    total = 40 * 20
    data, _ = make_stream(total, make_header(total_samples=total))
    size = StreamReader(io.BytesIO(data)).trailer.packet_bytes
    damaged = bytearray(data)
    for number in (3, 4, 9):
        damaged[64 + number * size + 4] ^= 0x10
    for file in (io.BytesIO(damaged), Pipe(damaged)):
        report = verify(file)
        assert [problem.window for problem in report.problems] == [3, 4, 9]
        assert (report.windows, report.damaged, report.total_samples) == (20, 3, total)
        assert str(report.problems[0]) == "window 3 (0.015-0.020 s): wrong checksum"
    summary = inspect(io.BytesIO(damaged))
    assert [problem.window for problem in summary.problems] == [3, 4, 9]
    assert summary.codes[3].tolist() == [255]
    assert verify(io.BytesIO(b"RIFF")).problems[0].reason == "not a .swc stream"
    assert verify(io.BytesIO(b"")).problems[0].reason == "the file is empty"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coding", [ChannelCoding.MONO, ChannelCoding.LEFT_RIGHT])
@pytest.mark.parametrize("cut", [0, 30])
def test_reading_goes_on_behind_damaged_codes(mode: RateMode, coding: ChannelCoding, cut: int) -> None:
    """On pipes and truncated files as well, with nothing but the packets to go by."""
    header = make_header(SHIPPED, coding, mode, 2)
    data, windows = make_stream(SHIPPED.window_samples * 6 - 4000, header)
    sizes = [len(packet.data) for packet in StreamReader(io.BytesIO(data)).packets()]
    starts = np.cumsum([64, *sizes])[:-1]
    for number in range(6 if not cut else 4):
        for flips in (0x80, 0x40, 0x20, 0x10, 0xF0):
            damaged = bytearray(data)
            damaged[starts[number]] ^= flips
            file = Pipe(damaged) if not cut else io.BytesIO(damaged[:-cut])
            got = []
            try:
                for window in StreamReader(file):
                    got.append(window)
            except BadInputError as error:
                assert cut, error
            assert len(got) == 6
            assert isinstance(got[number], DamagedWindow)
            assert got[number].frames == windows[number].frames
            assert [w for i, w in enumerate(got) if i != number] == windows[:number] + windows[number + 1 :]


def test_two_damaged_windows_in_a_row_on_a_pipe() -> None:
    for mode in (RateMode.CONSTANT, RateMode.QUALITY):
        data, windows = make_stream(SHIPPED.window_samples * 6, make_header(SHIPPED, mode=mode))
        sizes = [len(packet.data) for packet in StreamReader(io.BytesIO(data)).packets()]
        damaged = bytearray(data)
        for number in (2, 3):
            at = 64 + sum(sizes[:number])
            damaged[at + 50] ^= 1
            if mode == RateMode.CONSTANT:
                damaged[at] ^= 0xF0
        got = list(StreamReader(Pipe(damaged)))
        assert [i for i, window in enumerate(got) if isinstance(window, DamagedWindow)] == [2, 3]
        assert got[4:] == windows[4:]
    damaged[64 + sum(sizes[:2])] |= 0xF0
    with pytest.raises(BadInputError, match=r"window 2 .* the next cannot be found"):
        list(StreamReader(Pipe(damaged)))


def test_swapped_and_repeated_packets_are_noticed() -> None:
    data, _ = make_stream(40 * 6)
    size = StreamReader(io.BytesIO(data)).trailer.packet_bytes
    cut = [data[64 + number * size : 64 + (number + 1) * size] for number in range(6)]
    end = data[64 + 6 * size :]
    for order, bad in [([0, 2, 1, 3, 4, 5], [1, 2]), ([0, 1, 1, 3, 4, 5], [2])]:
        changed = data[:64] + b"".join(cut[number] for number in order) + end
        for file in (io.BytesIO(changed), Pipe(changed)):
            got = list(StreamReader(file))
            assert [i for i, window in enumerate(got) if isinstance(window, DamagedWindow)] == bad
    missing = data[:64] + b"".join(cut[:5]) + end
    assert not verify(io.BytesIO(missing)).ok
    assert not verify(Pipe(missing)).ok


def test_memory_follows_what_was_read_not_what_is_claimed() -> None:
    import tracemalloc

    huge = make_header(SHIPPED, total_samples=2**43)
    good, _ = make_stream(44100, make_header(SHIPPED))
    size = struct.unpack("<I", good[-8:-4])[0]
    header_file = io.BytesIO()
    StreamWriter(header_file, huge)
    trailer = struct.pack("<4sIQIIIHH", b"\xffEND", 0xFFFFFF00, 2**43, 2**31 - 1, 0, 0, 1, 0)
    lies = (header_file.getvalue() + good[64:], good[:-size] + trailer, good[:64] + trailer + good[-12:])
    for data in lies:
        for file in (io.BytesIO(data), Pipe(data)):
            tracemalloc.start()
            assert not verify(file).ok
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2_000_000


def test_neither_torch_nor_the_model_is_imported() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import switchcodec_cli.bitstream; "
        "print([name for name in sys.modules if name == 'torch' or name.startswith('switchcodec_cli.model')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_random_windows_helper_really_varies() -> None:
    header = make_header(SMALL, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    kinds = {
        block.kind.value
        for window in random_windows(header, 8000, np.random.default_rng(0), 0.5)
        for block in window.blocks
    }
    assert kinds == {"coded", "silent", "copy", "panned"}
