"""Masks, packets and parameters."""

from __future__ import annotations

from itertools import combinations
from math import ceil, comb, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import SHIPPED, SMALL, random_block

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    Block,
    BlockKind,
    StreamParameters,
    Window,
    coded_block,
    intensity_block,
    mask_of_rank,
    rank_of_mask,
)
from switchcodec_cli.bitstream.packet import (
    check_window,
    crc_matches,
    decode_packet,
    encode_packet,
    packet_crc,
)
from switchcodec_cli.errors import UsageError


def round_trip(parameters: StreamParameters, window: Window, number: int = 5) -> bytes:
    check_window(parameters, len(window.blocks), window)
    packet = encode_packet(parameters, number, window)
    assert crc_matches(number, packet)
    assert not crc_matches(number + 1, packet)
    frames = window.frames if window.frames < parameters.frames_per_window else None
    assert len(packet) == parameters.packet_bytes(window.codes(parameters), frames)
    assert decode_packet(parameters, len(window.blocks), packet) == window
    return packet


@pytest.mark.parametrize("experts", [0, 1, 4, 8, 10])
def test_ranks_number_all_masks(experts: int) -> None:
    for chosen in range(experts + 1):
        masks = list(combinations(range(experts), chosen))
        ranks = [rank_of_mask(mask) for mask in masks]
        assert sorted(ranks) == list(range(comb(experts, chosen)))
        assert [mask_of_rank(rank, chosen, experts) for rank in ranks] == masks
        # colexicographic: ordered by the largest expert first
        assert sorted(masks, key=rank_of_mask) == sorted(masks, key=lambda mask: mask[::-1])


@given(st.sets(st.integers(0, 31)))
def test_ranks_of_32_experts(experts: set[int]) -> None:
    mask = tuple(sorted(experts))
    rank = rank_of_mask(mask)
    assert rank < comb(32, len(mask))
    assert mask_of_rank(rank, len(mask), 32) == mask


def test_rank_worked_example() -> None:
    assert rank_of_mask((2, 5)) == comb(2, 1) + comb(5, 2) == 12
    assert mask_of_rank(12, 2, 8) == (2, 5)
    for rank in (-1, 28):
        with pytest.raises(ValueError, match="rank"):
            mask_of_rank(rank, 2, 8)


def test_crc_check_value() -> None:
    import binascii

    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1
    assert packet_crc(0x34333231, b"56789") == 0x29B1


def test_sizes_of_the_default_parameters() -> None:
    # code + mask rank + indices, to a byte, + CRC
    assert SHIPPED.packet_bytes((0,)) == (4 + 860) // 8 + 2 == 110
    assert SHIPPED.packet_bytes((2,)) == ceil((4 + 5 + 2580) / 8) + 2 == 326
    assert SHIPPED.packet_bytes((8,)) == (4 + 7740) // 8 + 2 == 970
    assert SHIPPED.packet_bytes((2, 3)) == ceil((8 + 5 + 6 + 7 * 860) / 8) + 2
    assert SHIPPED.packet_bytes((SHIPPED.silent_code,)) == 3
    assert SHIPPED.packet_bytes((2, SHIPPED.copy_code)) == ceil((8 + 5 + 2580) / 8) + 2
    cascade = StreamParameters(44100, 1024, 43, 8, 1024, 2)
    assert [cascade.packet_bytes((k,)) for k in range(9)] == [SHIPPED.packet_bytes((k,)) for k in range(9)]


@pytest.mark.parametrize("experts", range(33))
def test_every_k_of_every_expert_count(experts: int) -> None:
    rng = np.random.default_rng(experts)
    parameters = StreamParameters(8000, 10, 3, experts, 5, 2)
    assert parameters.code_bits == ceil(log2(experts + 6))
    assert parameters.short_code < parameters.end_code
    for chosen in range(experts + 1):
        for frames in (1, 2, 3):
            round_trip(parameters, Window(frames, (random_block(parameters, chosen, frames, rng),)))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_round_trip_of_any_packet(data: st.DataObject) -> None:
    parameters = StreamParameters(
        sample_rate=44100,
        hop=data.draw(st.sampled_from([1, 512]), "hop"),
        frames_per_window=data.draw(st.integers(1, 40), "frames per window"),
        experts=data.draw(st.integers(0, 32), "experts"),
        codebook_size=data.draw(st.one_of(st.integers(2, 65536), st.sampled_from([2, 3, 1000, 1024, 65536]))),
        codebooks_per_quantizer=data.draw(st.integers(1, 4), "stages"),
    )
    frames = data.draw(st.integers(1, parameters.frames_per_window), "frames")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), "seed"))
    chosen = st.integers(0, parameters.experts)
    blocks = [random_block(parameters, data.draw(chosen), frames, rng)]
    kinds = ["none", "coded", "silent", "copy", "panned", "first silent", "first panned"]
    second = data.draw(st.sampled_from(kinds))
    levels = st.lists(st.integers(0, 31), min_size=8, max_size=8)
    if second == "coded":
        blocks.append(random_block(parameters, data.draw(chosen), frames, rng))
    elif second == "first silent":
        blocks.insert(0, SILENT)
    elif second == "first panned":
        blocks.insert(0, intensity_block(data.draw(levels)))
    elif second == "panned":
        blocks.append(intensity_block(data.draw(levels)))
    elif second != "none":
        blocks.append(SILENT if second == "silent" else COPY)
    round_trip(parameters, Window(frames, tuple(blocks)), data.draw(st.integers(0, 2**31 - 2), "number"))


def test_order_of_bits_is_that_of_the_specification() -> None:
    rng = np.random.default_rng(3)
    parameters = StreamParameters(8000, 10, 5, 6, 12, 2)
    first, second = random_block(parameters, 2, 4, rng), random_block(parameters, 3, 4, rng)
    window = Window(4, (first, second))
    bits = f"{parameters.short_code:04b}" + f"{3:03b}" + f"{2:04b}{3:04b}"
    bits += f"{rank_of_mask(first.experts):04b}{rank_of_mask(second.experts):05b}"
    for block in (first, second):
        for quantizer in range(1 + len(block.experts)):
            for stage in range(2):
                for frame in range(4):
                    bits += f"{block.indices[quantizer, stage, frame]:04b}"
    bits += "0" * (-len(bits) % 8)
    body = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    assert encode_packet(parameters, 9, window) == body + packet_crc(9, body).to_bytes(2, "little")


def test_levels_stand_between_ranks_and_indices() -> None:
    rng = np.random.default_rng(4)
    block, levels = random_block(SMALL, 2, 4, rng), (24, 31, 0, 1, 2, 3, 4, 5)
    bits = f"{SMALL.intensity_code:04b}{2:04b}{rank_of_mask(block.experts):03b}"
    bits += "".join(f"{level:05b}" for level in levels)
    bits += "".join(f"{index:04b}" for index in block.indices.ravel())
    bits += "0" * (-len(bits) % 8)
    body = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    packet = encode_packet(SMALL, 5, Window(4, (intensity_block(levels), block)))
    assert packet == body + packet_crc(5, body).to_bytes(2, "little")
    assert len(packet) == SMALL.packet_bytes((SMALL.intensity_code, 2))


def test_resolved_replaces_what_is_derived() -> None:
    block = random_block(SMALL, 1, 4, np.random.default_rng(0))
    assert Window(4, (block, COPY)).resolved == (block, block)
    assert Window(4, (block, intensity_block(range(8)))).resolved == (block, block)
    assert Window(4, (intensity_block(range(8)), block)).resolved == (block, block)
    assert Window(4, (block, SILENT)).resolved == (block, SILENT)


def test_codes_that_may_stand_together() -> None:
    silent, copy, panned = SMALL.silent_code, SMALL.copy_code, SMALL.intensity_code
    allowed = SMALL.all_codes(2)
    assert len(allowed) == len(set(allowed)) == (SMALL.experts + 2) ** 2 + 3 * (SMALL.experts + 1)
    for codes in [
        (copy, 0),
        (silent, copy),
        (copy, copy),
        (panned, panned),
        (panned, silent),
        (copy, panned),
    ]:
        assert codes not in allowed and SMALL.code_flaw(codes)
    assert {(0, copy), (0, panned), (panned, 4), (silent, silent)} <= set(allowed)
    assert SMALL.all_codes(1) == [(code,) for code in range(silent + 1)]
    assert SMALL.code_flaw((SMALL.short_code,)) and SMALL.code_flaw((-1,))


ZEROS = np.zeros((2, 1, 4), int)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(0, (SILENT,)), "frames"),
        (Window(5, (SILENT,)), "frames"),
        (Window(4, (SILENT, SILENT)), "blocks"),
        (Window(4, (COPY,)), "copy"),
        (Window(4, (intensity_block(range(8)),)), "levels of nothing"),
        (Window(4, (Block(BlockKind.SILENT, levels=(1,)),)), "levels"),
        (Window(4, (Block(BlockKind.SILENT, (1,)),)), "no experts"),
        (Window(4, (coded_block((4,), ZEROS),)), "ascend"),
        (Window(4, (coded_block((-1,), ZEROS),)), "ascend"),
        (Window(4, (coded_block((1, 1), np.zeros((3, 1, 4), int)),)), "ascend"),
        (Window(4, (coded_block((2, 1), np.zeros((3, 1, 4), int)),)), "ascend"),
        (Window(3, (coded_block((1,), ZEROS),)), "shape"),
        (Window(4, (Block(BlockKind.CODED, (1,)),)), "shape"),
        (Window(4, (coded_block((1,), ZEROS + 16),)), "within"),
        (Window(4, (coded_block((1,), ZEROS - 1),)), "within"),
        (Window(4, (coded_block((1,), ZEROS * 0.5),)), "integers"),
    ],
)
def test_impossible_windows_are_refused(window: Window, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_window(SMALL, 1, window)


@pytest.mark.parametrize("levels", [range(7), range(9), [24] * 7 + [32], [24] * 7 + [-1]])
def test_impossible_levels_are_refused(levels) -> None:
    block = random_block(SMALL, 1, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="levels"):
        check_window(SMALL, 2, Window(4, (block, intensity_block(levels))))


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
        ({"hop": 1, "frames_per_window": 65535}, "largest packet"),
        ({"hop": 10.0}, "hop"),
    ],
)
def test_limits_of_parameters(change: dict, words: str) -> None:
    good = {"sample_rate": 44100, "hop": 512, "frames_per_window": 86, "experts": 8, "codebook_size": 1024}
    with pytest.raises(UsageError, match=words):
        StreamParameters(**(good | change))
