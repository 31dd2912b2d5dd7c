"""Finding the next packet behind a damaged one without a trailer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streams import LARGE, PACKETS, Pipe, make_header, make_stream, packet_sizes_of, write_stream

from switchcodec_cli.bitstream import (
    SILENT,
    BlockKind,
    BlockMode,
    ChannelCoding,
    DamagedWindow,
    RateMode,
    StreamParameters,
    StreamReader,
    Window,
    modelled_block,
    resynchronisation,
    verify,
)
from switchcodec_cli.bitstream.packet import encode_packet
from switchcodec_cli.errors import BadInputError


@pytest.mark.parametrize("mode", list(RateMode))
@pytest.mark.parametrize("coding", [ChannelCoding.MONO, ChannelCoding.LEFT_RIGHT])
@pytest.mark.parametrize("cut", [0, 30])
@pytest.mark.parametrize("form", PACKETS)
def test_reading_continues_behind_damaged_mode_fields(
    mode: RateMode, coding: ChannelCoding, cut: int, form: str
) -> None:
    """On pipes and in truncated files, with nothing but the packets to go by."""
    header = make_header(LARGE, coding, mode, 2, **PACKETS[form])
    data, windows = make_stream(LARGE.window_samples * 6 - 4000, header)
    starts = np.cumsum([64, *packet_sizes_of(data)])[:-1]
    for index in range(6 if not cut else 4):
        for flips in (0x80, 0x40, 0x20, 0x10, 0xF0):
            damaged = bytearray(data)
            damaged[starts[index]] ^= flips
            file = Pipe(damaged) if not cut else io.BytesIO(damaged[:-cut])
            found: list[Window | DamagedWindow] = []
            try:
                for window in StreamReader(file):
                    found.append(window)
            except BadInputError as error:
                assert cut, error
            assert len(found) == 6
            assert isinstance(found[index], DamagedWindow)
            assert found[index].frames == windows[index].frames
            others = [window for i, window in enumerate(found) if i != index]
            assert others == windows[:index] + windows[index + 1 :]


def test_two_damaged_windows_in_a_row() -> None:
    for mode in (RateMode.CONSTANT, RateMode.QUALITY):
        data, windows = make_stream(LARGE.window_samples * 6, make_header(LARGE, mode=mode))
        sizes = packet_sizes_of(data)
        damaged = bytearray(data)
        for index in (2, 3):
            at = 64 + sum(sizes[:index])
            damaged[at + 50] ^= 1
            if mode == RateMode.CONSTANT:
                damaged[at] ^= 0xF0
        found = list(StreamReader(Pipe(damaged)))
        assert [i for i, window in enumerate(found) if isinstance(window, DamagedWindow)] == [2, 3]
        assert found[4:] == windows[4:]
    damaged[64 + sum(sizes[:2])] |= 0xF0
    with pytest.raises(BadInputError, match=r"window 2 at \d\.\d+ s .* the next packet cannot be found"):
        list(StreamReader(Pipe(damaged)))


def test_work_is_bounded() -> None:
    """Packets that all seem damaged, each with hundreds of sizes to try."""
    parameters = StreamParameters(44100, 512, 86, 32, 65536, 4)
    header = make_header(parameters, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    start = make_stream(0, header)[0][:64]
    windows = []
    with pytest.raises(BadInputError, match="too much damage"):
        for window in StreamReader(Pipe(start + b"\x82\x08" * 500_000, 1 << 16)):
            windows.append(window)
    assert all(isinstance(window, DamagedWindow) for window in windows)


@pytest.mark.parametrize("form", ["entropy-coded", "waveform layers"])
def test_work_of_trying_all_sizes_is_bounded(form: str) -> None:
    """Packets that all seem damaged: every size has to be tried."""
    header = make_header(LARGE, mode=RateMode.QUALITY, **PACKETS[form])
    start = make_stream(0, header)[0][:64]
    report = verify(Pipe(start + bytes(1_000_000), 1 << 16))
    assert "too much damage" in report.problems[-1].reason
    assert report.windows < 200


def test_sizes_beyond_the_end_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes of a stream whose packets could have a hundred thousand sizes."""
    header = make_header(StreamParameters(8000, 10, 16000, 0, 65536, 4), entropy_coded=True, experts_total=0)
    start = make_stream(0, header)[0][:64]
    tried = []
    parse_start = resynchronisation.parse_start
    monkeypatch.setattr(resynchronisation, "parse_start", lambda *args: tried.append(1) or parse_start(*args))
    assert not verify(Pipe(start + bytes(100))).ok
    assert 50 < len(tried) < 150


def test_modelled_payload_does_not_lead_astray() -> None:
    """A payload that holds a sound packet with the number of the next window is not taken for it."""
    header = make_header(LARGE, mode=RateMode.QUALITY, entropy_coded=True)
    decoy = encode_packet(header.layout, 1, Window(86, (SILENT,)))
    windows = [Window(86, (modelled_block((3,), bytes(20) + decoy + bytes(20)),)) for _ in range(4)]
    data = write_stream(header, windows, 4 * LARGE.window_samples)
    damaged = bytearray(data)
    damaged[64] |= 0xF0
    found = list(StreamReader(Pipe(damaged)))
    assert isinstance(found[0], DamagedWindow)
    assert found[1:] == windows[1:]


def test_work_of_trying_sizes_is_bounded() -> None:
    """Packets of 3 bytes, so that a size costs few bytes to try, but every packet has 41 sizes to try."""
    parameters = StreamParameters(8000, 10, 4, 10, 1024)
    header = make_header(parameters, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    start = make_stream(0, header)[0][:64]
    assert parameters.packet_bytes([BlockMode(BlockKind.SILENT)] * 2) == 3
    report = verify(Pipe(start + b"\xbb" * 45_000, 1 << 16))
    assert "too much damage" in report.problems[-1].reason
    assert report.windows < 2000


def test_damage_within_the_bound() -> None:
    """Several hundred damaged packets in a row are no reason to stop."""
    header = make_header(mode=RateMode.QUALITY)
    data, windows = make_stream(40 * 600, header)
    damaged = bytearray(data)
    for at in np.cumsum([64, *packet_sizes_of(data)])[50:550]:
        damaged[at - 1] ^= 1  # the CRC of the packet before
    found = list(StreamReader(Pipe(damaged)))
    assert len(found) == 600 and found[550:] == windows[550:]
    assert sum(isinstance(window, DamagedWindow) for window in found) == 500
