"""Every flipped bit and every cut is noticed, and costs no more than it must."""

from __future__ import annotations

import io

import pytest
from streams import SMALL, Pipe, make_header, make_stream

from switchcodec_cli.bitstream import (
    ChannelCoding,
    DamagedWindow,
    RateMode,
    StreamParameters,
    StreamReader,
    TruncatedError,
    Window,
    inspect,
    verify,
)
from switchcodec_cli.errors import BadInputError, SwcError

STREAMS = {
    "constant": (190, make_header(total_samples=190, tags=(("title", "Tür"),)), 0.0),
    "variable": (190, make_header(mode=RateMode.QUALITY), 0.4),
    "stereo": (155, make_header(coding=ChannelCoding.LEFT_RIGHT, mode=RateMode.AVERAGE), 0.3),
    "constant stereo": (120, make_header(coding=ChannelCoding.MID_SIDE, experts_total=3), 0.2),
    "one window": (7, make_header(), 0.0),
    "empty": (0, make_header(total_samples=0), 0.0),
}


def read(file) -> tuple[list[Window | DamagedWindow], SwcError | None]:
    """All windows and the error at the end, if any."""
    got = []
    try:
        for window in StreamReader(file):
            got.append(window)
    except BadInputError as error:
        return got, error
    return got, None


@pytest.fixture(params=STREAMS)
def stream(request) -> tuple[bytes, list[Window], int, int]:
    """Bytes, windows, where the packets start and where the trailer starts."""
    total, header, silence = STREAMS[request.param]
    data, windows = make_stream(total, header, silence=silence)
    reader = StreamReader(io.BytesIO(data))
    return data, windows, reader.header_bytes, len(data) - reader.trailer.size


def test_every_flipped_bit(stream) -> None:
    data, windows, start, end = stream
    sizes = [len(packet.data) for packet in StreamReader(io.BytesIO(data)).packets()]
    owner = [number for number, size in enumerate(sizes) for _ in range(size)]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        at = bit // 8
        for file in (io.BytesIO(flipped), Pipe(flipped)):
            got, error = read(file)
            if at < start:
                assert error is not None
                assert got == []
                continue
            if at >= end:
                assert error is not None
                assert [window for window in got if isinstance(window, Window)] == windows
                continue
            bad = owner[at - start]
            for number, window in enumerate(got):
                assert isinstance(window, DamagedWindow) or (number != bad and window == windows[number])
            if isinstance(file, io.BytesIO):  # the trailer tells the sizes: exactly one window is lost
                assert error is None
                assert [i for i, window in enumerate(got) if isinstance(window, DamagedWindow)] == [bad]
                assert len(got) == len(windows)
                assert got[bad].frames == windows[bad].frames
            else:
                assert error is not None or isinstance(got[bad], DamagedWindow)


def test_every_truncation(stream) -> None:
    data, windows, start, _ = stream
    sizes = [len(packet.data) for packet in StreamReader(io.BytesIO(data)).packets()]
    ends = [start + sum(sizes[: number + 1]) for number in range(len(sizes))]
    for length in range(len(data)):
        whole = sum(end <= length for end in ends)
        for file in (io.BytesIO(data[:length]), Pipe(data[:length])):
            got, error = read(file)
            assert got == windows[:whole]
            if length == 0:
                assert str(error) == "the file is empty"
            else:
                assert isinstance(error, TruncatedError)
                assert error.windows == whole
        if length > start:
            summary = inspect(io.BytesIO(data[:length]))
            assert summary.windows == whole
            assert len(summary.problems) == 1


def test_anything_behind_the_end(stream) -> None:
    data, windows, _, _ = stream
    for behind, words in [(b"\0", "follows"), (b"garbage" * 99, "follows"), (data, "another stream")]:
        for file in (io.BytesIO(data + behind), Pipe(data + behind)):
            got, error = read(file)
            assert got == windows
            assert words in str(error)


def test_every_inserted_or_removed_byte(stream) -> None:
    data, _, start, end = stream
    for at in range(start, end):
        for changed in (data[:at] + data[at + 1 :], data[:at] + b"\x55" + data[at:]):
            for file in (io.BytesIO(changed), Pipe(changed)):
                report = verify(file)
                assert not report.ok


def test_header_of_another_stream() -> None:
    data, _ = make_stream(190)
    other, _ = make_stream(190, make_header(mode=RateMode.QUALITY))
    three = make_header(experts_total=3)
    wrong, _ = make_stream(190, three)
    assert verify(io.BytesIO(other[:64] + data[64:])).ok  # a constant stream is a legal quality stream
    report = verify(io.BytesIO(wrong[:64] + data[64:]))
    assert {problem.reason for problem in report.problems} == {
        "its codes break the constant 3 experts per window"
    }
    assert SMALL.windows_in(three.frames_in(190)) == report.damaged == 5


def test_search_behind_damage_is_bounded() -> None:
    """Packets that all seem damaged, each with hundreds of sizes to try."""
    parameters = StreamParameters(44100, 512, 86, 32, 65536, 4)
    header = make_header(parameters, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    start = make_stream(0, header)[0][:64]
    got, error = read(Pipe(start + b"\x82\x08" * 500_000, 1 << 16))
    assert all(isinstance(window, DamagedWindow) for window in got)
    assert "too much damage" in str(error)
