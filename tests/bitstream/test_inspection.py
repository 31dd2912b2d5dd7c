"""inspect and verify."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from streams import LARGE, PACKETS, Pipe, make_header, make_stream, packet_sizes_of, trailer_of

from switchcodec_cli.bitstream import BlockKind, ChannelCoding, RateMode, inspect, nominal_kbps, verify
from switchcodec_cli.bitstream.inspection import MAX_PROBLEMS

HOSTILE = Path(__file__).parents[1] / "hostile"


def test_figures_of_a_constant_rate() -> None:
    total = 44100 * 20
    header = make_header(LARGE, ChannelCoding.MONO, RateMode.CONSTANT, 2, total)
    data, windows = make_stream(total, header)
    summary = inspect(io.BytesIO(data))
    assert summary.windows == len(windows) == 21
    frames = sum(window.frames for window in windows)
    assert summary.budget.payload == 3 * 10 * frames
    assert summary.budget.side == 21 * 9 + 4 + 7  # a short last window
    assert summary.real_kbps == pytest.approx(8 * len(data) / 20 / 1000)
    assert summary.nominal_kbps == 2.67
    assert summary.ratio_to_pcm == pytest.approx(total * 2 / len(data))
    use = np.zeros(8, int)
    for window in windows:
        use[list(window.blocks[0].experts)] += 1
    assert summary.expert_use.tolist() == [use.tolist()]
    assert summary.window_bytes[0] == 326


def test_figures_of_a_variable_rate() -> None:
    total = 44100 * 20
    header = make_header(LARGE, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY)
    data, windows = make_stream(total, header, derived=0.3)
    summary = inspect(io.BytesIO(data))
    coded = [block for window in windows for block in window.blocks if block.kind is BlockKind.CODED]
    quantizers = sum(1 + len(block.experts) for block in coded)
    assert summary.coded_blocks == len(coded)
    assert summary.quantizers == pytest.approx(quantizers / 21)
    assert summary.nominal_kbps == nominal_kbps(LARGE, quantizers / 21)


@pytest.mark.parametrize("form", ["entropy-coded", "waveform layers"])
def test_figures_of_an_entropy_coded_stream(form: str) -> None:
    total = 44100 * 20
    header = make_header(LARGE, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY, **PACKETS[form])
    data, windows = make_stream(total, header, derived=0.3)
    for file in (io.BytesIO(data), Pipe(data)):
        summary = inspect(file)
        assert not summary.problems
        assert summary.budget.total == 8 * len(data)
        assert summary.window_bytes.tolist() == packet_sizes_of(data)
        payload = sum(
            8 * len(block.modelled) or LARGE.payload_bits((block.mode,), window.frames)
            for window in windows
            for block in window.blocks
        )
        assert summary.budget.payload == payload
        layers = sum(8 * len(block.waveform) for window in windows for block in window.blocks)
        assert summary.budget.layers == layers
        assert (layers > 0) == (form == "waveform layers")
        side = sum(header.layout.side_bits(window.modes, window.frames) for window in windows)
        assert summary.budget.side == side


def test_damaged_windows_are_reported() -> None:
    total = 40 * 20
    data, _ = make_stream(total, make_header(total_samples=total))
    size = trailer_of(data).packet_bytes
    damaged = bytearray(data)
    for index in (3, 4, 9):
        damaged[64 + index * size + 4] ^= 0x10
    for file in (io.BytesIO(damaged), Pipe(damaged)):
        report = verify(file)
        assert [problem.window for problem in report.problems] == [3, 4, 9]
        assert (report.windows, report.damaged, report.total_samples) == (20, 3, total)
        assert str(report.problems[0]) == "window 3 (0.015-0.020 s): wrong checksum"
    summary = inspect(io.BytesIO(damaged))
    assert [problem.window for problem in summary.problems] == [3, 4, 9]
    assert [index for index, modes in enumerate(summary.modes) if modes is None] == [3, 4, 9]
    assert not summary.masks[3].any() and summary.window_bytes[3] == 0


def test_list_of_problems_is_limited() -> None:
    data, _ = make_stream(40 * (MAX_PROBLEMS + 50))
    damaged = bytearray(data)
    size = trailer_of(data).packet_bytes
    for index in range(20, MAX_PROBLEMS + 50):
        damaged[64 + index * size + 4] ^= 0x10
    damaged += b"behind"
    report, summary = verify(Pipe(damaged)), inspect(Pipe(damaged))
    assert report.damaged == MAX_PROBLEMS + 30
    for result in (report, summary):
        assert len(result.problems) == MAX_PROBLEMS + 1
        assert result.problems[-1].reason == "something follows the trailer"
        assert result.unlisted == 30


def test_inspect_checks_indices_and_padding() -> None:
    """As verify does: the CRC of such packets is right."""
    for name in ("index_too_large", "padding_not_zero", "mask_rank_too_large"):
        data = (HOSTILE / f"{name}.swc").read_bytes()
        summary = inspect(io.BytesIO(data))
        assert summary.problems == verify(io.BytesIO(data)).problems != ()
        damaged = summary.problems[0].window
        assert damaged is not None and summary.modes[damaged] is None


def test_budget_counts_the_real_trailer() -> None:
    """With the additions of 1.0 (none), of 1.1, and of newer versions."""
    current, _ = make_stream(800)
    golden = (HOSTILE.parent / "golden" / "dac_mono_3.swc").read_bytes()  # version 1.0
    newer = (HOSTILE / "sound_newer_minor.swc").read_bytes()
    for data in (current, golden, newer):
        for file in (io.BytesIO(data), Pipe(data)):
            assert inspect(file).budget.total == 8 * len(data)


def test_recordings_of_milliseconds_have_no_rate() -> None:
    for total, has_rate in [(0, False), (1, False), (100, False), (8000, True)]:
        data, _ = make_stream(total)
        summary = inspect(io.BytesIO(data))
        assert (summary.real_kbps is not None, summary.packet_kbps is not None) == (has_rate, has_rate)
    assert summary.packet_kbps == pytest.approx(8e-3 * sum(packet_sizes_of(data)))


def test_files_that_are_not_streams() -> None:
    assert verify(io.BytesIO(b"RIFF")).problems[0].reason == "not a .swc stream"
    assert verify(io.BytesIO(b"")).problems[0].reason == "the file is empty"
