"""Stream parameters: limits, mode fields and sizes of packets."""

from __future__ import annotations

from math import ceil, log2

import numpy as np
import pytest
from streams import LARGE, SMALL

from switchcodec_cli.bitstream import BlockKind, BlockMode, StreamParameters, coded_modes
from switchcodec_cli.errors import UsageError

SILENT, COPY, INTENSITY = map(BlockMode, (BlockKind.SILENT, BlockKind.COPY, BlockKind.INTENSITY))
SHARED_ONLY, ALL_FOUR = coded_modes([0, 4])


def test_sizes_of_large_packets() -> None:
    # mode field + mask rank + indices, rounded up to whole bytes, + CRC
    assert LARGE.packet_bytes(coded_modes([0])) == (4 + 860) // 8 + 2 == 110
    assert LARGE.packet_bytes(coded_modes([2])) == ceil((4 + 5 + 2580) / 8) + 2 == 326
    assert LARGE.packet_bytes(coded_modes([8])) == (4 + 7740) // 8 + 2 == 970
    assert LARGE.packet_bytes(coded_modes([2, 3])) == ceil((8 + 5 + 6 + 7 * 860) / 8) + 2
    assert LARGE.packet_bytes((SILENT,)) == 3
    assert LARGE.packet_bytes((*coded_modes([2]), COPY)) == ceil((8 + 5 + 2580) / 8) + 2
    two_codebooks = StreamParameters(44100, 1024, 43, 8, 1024, 2)
    for experts in range(9):
        modes = coded_modes([experts])
        assert two_codebooks.packet_bytes(modes) == LARGE.packet_bytes(modes)


@pytest.mark.parametrize("signals", [1, 2])
def test_sizes_of_many_packets_at_once(signals: int) -> None:
    for parameters in (SMALL, LARGE):
        combinations = parameters.all_modes(signals)
        fields = np.array([list(map(parameters.mode_field, modes)) for modes in combinations], np.uint8)
        sizes = parameters.packet_bytes_of_fields(fields)
        assert sizes.tolist() == [parameters.packet_bytes(modes) for modes in combinations]


@pytest.mark.parametrize("experts", range(33))
def test_mode_fields(experts: int) -> None:
    parameters = StreamParameters(8000, 10, 3, experts, 5, 2)
    assert parameters.mode_bits == ceil(log2(experts + 6))
    assert parameters.short_window_field == experts + 4 < (1 << parameters.mode_bits) - 1
    modes = [*coded_modes(range(experts + 1)), SILENT, COPY, INTENSITY]
    assert [parameters.mode_field(mode) for mode in modes] == list(range(experts + 4))
    assert [parameters.mode_of_field(field) for field in range(experts + 4)] == modes
    for field in (-1, experts + 4, (1 << parameters.mode_bits) - 1):
        with pytest.raises(ValueError, match="reserved"):
            parameters.mode_of_field(field)
    for mode in (BlockMode(BlockKind.CODED, experts + 1), BlockMode(BlockKind.SILENT, 1)):
        with pytest.raises(ValueError, match="no block"):
            parameters.mode_field(mode)


def test_modes_that_may_occur_together() -> None:
    allowed = SMALL.all_modes(2)
    assert len(allowed) == len(set(allowed)) == (SMALL.experts + 2) ** 2 + 3 * (SMALL.experts + 1)
    for modes in [
        (COPY, SHARED_ONLY),
        (SILENT, COPY),
        (COPY, COPY),
        (INTENSITY, INTENSITY),
        (INTENSITY, SILENT),
        (COPY, INTENSITY),
    ]:
        assert modes not in allowed and SMALL.mode_error(modes)
        with pytest.raises(ValueError, match="coded"):
            SMALL.modes_of_fields([SMALL.mode_field(mode) for mode in modes])
    assert {
        (SHARED_ONLY, COPY),
        (SHARED_ONLY, INTENSITY),
        (INTENSITY, ALL_FOUR),
        (SILENT, SILENT),
    } <= set(allowed)
    for modes in allowed:
        assert SMALL.modes_of_fields([SMALL.mode_field(mode) for mode in modes]) == modes
    assert SMALL.all_modes(1) == [*((mode,) for mode in coded_modes(range(5))), (SILENT,)]
    assert SMALL.mode_error(coded_modes([5])) and SMALL.mode_error(coded_modes([-1]))


def test_frames_of_each_window() -> None:
    for frames in range(10):
        count = SMALL.windows_in(frames)
        by_window = [SMALL.frames_in_window(index, frames) for index in range(count)]
        assert sum(by_window) == frames and all(by_window)
        assert by_window[:-1] == [4] * (count - 1) if count else by_window == []
        assert SMALL.last_frames_of(frames) == (by_window[-1] if by_window else 0)
        assert SMALL.frames_in_window(count, frames) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 999}, "sample rate"),
        ({"sample_rate": 768_001}, "sample rate"),
        ({"hop": 0}, "hop"),
        ({"hop": 65536}, "hop"),
        ({"frames_per_window": 0}, "frames per window"),
        ({"experts": 33}, "experts"),
        ({"codebook_size": 1}, "codebook size"),
        ({"codebook_size": 65537}, "codebook size"),
        ({"codebooks_per_quantizer": 9}, "codebooks"),
        ({"hop": 65535, "frames_per_window": 65}, "samples per window"),
        ({"hop": 1, "frames_per_window": 65535}, "packet with all experts"),
        ({"hop": 10.0}, "hop"),
    ],
)
def test_limits(change: dict, words: str) -> None:
    valid = {"sample_rate": 44100, "hop": 512, "frames_per_window": 86, "experts": 8, "codebook_size": 1024}
    with pytest.raises(UsageError, match=words):
        StreamParameters(**(valid | change))
