"""Every flipped bit and every truncation is noticed, and no more windows than necessary are lost."""

from __future__ import annotations

import io
from typing import BinaryIO

import pytest
from streams import PACKETS, SMALL, Pipe, make_header, make_stream, packet_sizes_of, trailer_of

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
    "entropy-coded": (190, make_header(total_samples=190, entropy_coded=True), 0.0),
    "entropy-coded stereo": (
        155,
        make_header(coding=ChannelCoding.LEFT_RIGHT, mode=RateMode.QUALITY, entropy_coded=True),
        0.3,
    ),
    "waveform layers": (110, make_header(total_samples=110, **PACKETS["waveform layers"]), 0.0),
    "waveform layers stereo": (
        75,
        make_header(coding=ChannelCoding.MID_SIDE, mode=RateMode.QUALITY, **PACKETS["waveform layers"]),
        0.3,
    ),
    "one window": (7, make_header(), 0.0),
    "empty": (0, make_header(total_samples=0), 0.0),
}


def read(file: BinaryIO) -> tuple[list[Window | DamagedWindow], SwcError | None]:
    """All windows and the error at the end, if any."""
    windows = []
    try:
        for window in StreamReader(file):
            windows.append(window)
    except BadInputError as error:
        return windows, error
    return windows, None


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> tuple[bytes, list[Window], int, int]:
    """Bytes, windows, and the positions of the packets and of the trailer."""
    total, header, derived = STREAMS[request.param]
    data, windows = make_stream(total, header, derived=derived)
    reader = StreamReader(io.BytesIO(data))
    return data, windows, reader.header_bytes, len(data) - trailer_of(data).size


def test_every_flipped_bit(stream: tuple[bytes, list[Window], int, int]) -> None:
    data, windows, start, end = stream
    owner = [index for index, size in enumerate(packet_sizes_of(data)) for _ in range(size)]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        at = bit // 8
        for file in (io.BytesIO(flipped), Pipe(flipped)):
            found, error = read(file)
            if at < start:
                assert error is not None
                assert found == []
                continue
            if at >= end:
                assert error is not None
                assert [window for window in found if isinstance(window, Window)] == windows
                continue
            bad = owner[at - start]
            for index, window in enumerate(found):
                assert isinstance(window, DamagedWindow) or (index != bad and window == windows[index])
            if isinstance(file, io.BytesIO):  # the trailer gives the sizes: exactly one window is lost
                assert error is None
                assert [i for i, window in enumerate(found) if isinstance(window, DamagedWindow)] == [bad]
                assert len(found) == len(windows)
                assert found[bad].frames == windows[bad].frames
            else:
                assert error is not None or isinstance(found[bad], DamagedWindow)


def test_every_truncation(stream: tuple[bytes, list[Window], int, int]) -> None:
    data, windows, start, end = stream
    sizes = packet_sizes_of(data)
    ends = [start + sum(sizes[: index + 1]) for index in range(len(sizes))]
    for length in range(len(data)):
        complete = sum(packet_end <= length for packet_end in ends)
        for file in (io.BytesIO(data[:length]), Pipe(data[:length])):
            found, error = read(file)
            assert found == windows[:complete]
            if length == 0:
                assert str(error) == "the file is empty"
                continue
            assert isinstance(error, TruncatedError)
            if length < start:
                assert "ends within its" in str(error)
            elif length < end + 4:
                assert f"ends after {complete} " in str(error)
            else:
                assert "ends within its trailer" in str(error)
        if length > start:
            summary = inspect(io.BytesIO(data[:length]))
            assert summary.windows == complete
            assert len(summary.problems) == 1


def test_bytes_behind_the_trailer(stream: tuple[bytes, list[Window], int, int]) -> None:
    data, windows, _, _ = stream
    for behind, words in [(b"\0", "follows"), (b"garbage" * 99, "follows"), (data, "another stream")]:
        for file in (io.BytesIO(data + behind), Pipe(data + behind)):
            found, error = read(file)
            assert found == windows
            assert words in str(error)


def test_total_is_known_although_something_follows(stream: tuple[bytes, list[Window], int, int]) -> None:
    data, windows, _, _ = stream
    for file in (io.BytesIO(data + b"garbage"), Pipe(data + b"garbage")):
        reader = StreamReader(file)
        with pytest.raises(BadInputError):
            list(reader)
        assert reader.trailer == trailer_of(data)
        assert reader.window_count == len(windows)


@pytest.mark.parametrize("total", [190, 200])  # with a short and with a full last window
@pytest.mark.parametrize("form", PACKETS)
def test_damaged_marker_is_not_blamed_on_a_packet(total: int, form: str) -> None:
    data, windows = make_stream(total, make_header(total_samples=total, **PACKETS[form]))
    at = len(data) - trailer_of(data).size
    for offset in range(4):
        damaged = bytearray(data)
        damaged[at + offset] ^= 0x10
        for file in (io.BytesIO(damaged), Pipe(damaged)):
            found, error = read(file)
            assert found == windows
            assert str(error) == "no trailer follows the 5 windows that the header announces"


@pytest.mark.parametrize("derived", [0.0, 0.5])  # without and with a table of modes
@pytest.mark.parametrize("form", PACKETS)
def test_damaged_marker_does_not_become_a_window(derived: float, form: str) -> None:
    """Where the total is not known, the trailer is found by its other fields."""
    data, windows = make_stream(200, make_header(**PACKETS[form]), derived=derived)
    at = len(data) - trailer_of(data).size
    for bit in range(32):
        damaged = bytearray(data)
        damaged[at + bit // 8] ^= 1 << bit % 8
        for file in (io.BytesIO(damaged), Pipe(damaged)):
            found, error = read(file)
            assert found == windows
            assert str(error) == "the trailer is damaged (wrong marker)"


@pytest.mark.parametrize("total", [100, 90])
def test_trailer_behind_a_damaged_last_packet_of_few_bytes(total: int) -> None:
    """The largest packet is smaller than the fields of the trailer that count the packets.

    The last one of the shorter stream is short, and larger than all full ones.
    """
    parameters = StreamParameters(8000, 10, 2, 0, 4)
    header = make_header(parameters, mode=RateMode.QUALITY)
    data, windows = make_stream(total, header)
    assert max(header.packet_sizes()) < 8
    at = len(data) - trailer_of(data).size
    for offset in range(1, 4):
        damaged = bytearray(data)
        damaged[at - offset] ^= 0xF0
        found, error = read(Pipe(damaged))
        assert error is None
        assert found[:4] == windows[:4]
        assert isinstance(found[4], DamagedWindow) and found[4].frames == windows[4].frames


def test_every_inserted_or_removed_byte(stream: tuple[bytes, list[Window], int, int]) -> None:
    data, _, start, end = stream
    for at in range(start, end):
        for changed in (data[:at] + data[at + 1 :], data[:at] + b"\x55" + data[at:]):
            for file in (io.BytesIO(changed), Pipe(changed)):
                assert not verify(file).ok


def test_header_of_another_stream() -> None:
    data, _ = make_stream(190)
    quality, _ = make_stream(190, make_header(mode=RateMode.QUALITY))
    header = make_header(experts_total=3)
    three, _ = make_stream(190, header)
    assert verify(io.BytesIO(quality[:64] + data[64:])).ok  # packets of a constant rate are legal there
    report = verify(io.BytesIO(three[:64] + data[64:]))
    assert {problem.reason for problem in report.problems} == {
        "its number of experts breaks the constant rate of 3 per window"
    }
    assert SMALL.windows_in(header.frames_in(190)) == report.damaged == 5


def test_swapped_and_repeated_packets() -> None:
    data, _ = make_stream(40 * 6)
    size = trailer_of(data).packet_bytes
    packets = [data[64 + index * size : 64 + (index + 1) * size] for index in range(6)]
    trailer = data[64 + 6 * size :]
    for order, bad in [([0, 2, 1, 3, 4, 5], [1, 2]), ([0, 1, 1, 3, 4, 5], [2])]:
        changed = data[:64] + b"".join(packets[index] for index in order) + trailer
        for file in (io.BytesIO(changed), Pipe(changed)):
            found = list(StreamReader(file))
            assert [i for i, window in enumerate(found) if isinstance(window, DamagedWindow)] == bad
    missing = data[:64] + b"".join(packets[:5]) + trailer
    assert not verify(io.BytesIO(missing)).ok
    assert not verify(Pipe(missing)).ok
