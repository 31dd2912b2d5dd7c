"""Windows and packets: round trips, the order of bits, and invalid windows."""

from __future__ import annotations

import binascii
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import SMALL, random_block

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    Block,
    BlockKind,
    BlockMode,
    StreamParameters,
    Window,
    coded_block,
    intensity_block,
    modelled_block,
    rank_of_mask,
)
from switchcodec_cli.bitstream.packet import (
    PacketLayout,
    crc_matches,
    decode_packet,
    encode_packet,
    packet_crc,
    parse_start,
)
from switchcodec_cli.bitstream.window import check_window


def round_trip(parameters: StreamParameters, window: Window, index: int = 5) -> None:
    signals = len(window.blocks)
    check_window(parameters, signals, window)
    for entropy_coded, layers in ((False, False), (True, False), (True, True)):
        layout = PacketLayout(parameters, signals, entropy_coded, layers)
        packet = encode_packet(layout, index, window)
        assert crc_matches(index, packet)
        assert not crc_matches(index + 1, packet)
        start = parse_start(layout, packet)
        assert (start.frames, start.modes, start.packet_bytes) == (window.frames, window.modes, len(packet))
        assert decode_packet(layout, packet) == window
        frames = window.frames if window.frames < parameters.frames_per_window else None
        if not entropy_coded:
            assert len(packet) == parameters.packet_bytes(window.modes, frames)


def modelled_round_trip(parameters: StreamParameters, window: Window) -> None:
    """With modelled indices of every size in place of those of the first block."""
    layout, first = PacketLayout(parameters, len(window.blocks), True), window.blocks[0]
    for size in {1, parameters.plain_bytes(len(first.experts), window.frames) - 1} - {0}:
        changed = modelled_block(first.experts, bytes(range(256)) * (size // 256) + bytes(size % 256))
        with_payload = Window(window.frames, (changed, *window.blocks[1:]))
        check_window(parameters, layout.signals, with_payload)
        packet = encode_packet(layout, 5, with_payload)
        assert parse_start(layout, packet).packet_bytes == len(packet)
        assert decode_packet(layout, packet) == with_payload


def with_crc(index: int, bits: str) -> bytes:
    """A packet from a string of bits, padded."""
    bits += "0" * (-len(bits) % 8)
    body = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return body + packet_crc(index, body).to_bytes(2, "little")


def test_crc_check_value() -> None:
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1
    assert packet_crc(0x34333231, b"56789") == 0x29B1


@pytest.mark.parametrize("experts", range(33))
def test_every_number_of_experts(experts: int) -> None:
    rng = np.random.default_rng(experts)
    parameters = StreamParameters(8000, 10, 3, experts, 5, 2)
    for count in range(experts + 1):
        for frames in (1, 2, 3):
            window = Window(frames, (random_block(parameters, count, frames, rng),))
            round_trip(parameters, window)
            if parameters.plain_bytes(count, frames) > 1:
                modelled_round_trip(parameters, window)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_packet(data: st.DataObject) -> None:
    parameters = StreamParameters(
        sample_rate=44100,
        hop=data.draw(st.sampled_from([1, 512]), "hop"),
        frames_per_window=data.draw(st.integers(1, 40), "frames per window"),
        experts=data.draw(st.integers(0, 32), "experts"),
        codebook_size=data.draw(st.one_of(st.integers(2, 65536), st.sampled_from([2, 3, 1000, 1024, 65536]))),
        codebooks_per_quantizer=data.draw(st.integers(1, 4), "codebooks"),
    )
    frames = data.draw(st.integers(1, parameters.frames_per_window), "frames")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), "seed"))
    counts = st.integers(0, parameters.experts)
    levels = st.lists(st.integers(0, 31), min_size=8, max_size=8)
    blocks = [random_block(parameters, data.draw(counts), frames, rng)]
    layout = data.draw(
        st.sampled_from(["mono", "coded", "silent", "copy", "intensity", "silent first", "intensity first"])
    )
    if layout == "coded":
        blocks.append(random_block(parameters, data.draw(counts), frames, rng))
    elif layout == "silent first":
        blocks.insert(0, SILENT)
    elif layout == "intensity first":
        blocks.insert(0, intensity_block(data.draw(levels)))
    elif layout == "intensity":
        blocks.append(intensity_block(data.draw(levels)))
    elif layout != "mono":
        blocks.append(SILENT if layout == "silent" else COPY)
    round_trip(parameters, Window(frames, tuple(blocks)), data.draw(st.integers(0, 2**31 - 2), "index"))


def test_order_of_bits() -> None:
    rng = np.random.default_rng(3)
    parameters = StreamParameters(8000, 10, 5, 6, 12, 2)
    first, second = random_block(parameters, 2, 4, rng), random_block(parameters, 3, 4, rng)
    bits = f"{parameters.short_window_field:04b}" + f"{3:03b}" + f"{2:04b}{3:04b}"
    bits += f"{rank_of_mask(first.experts):04b}{rank_of_mask(second.experts):05b}"
    for block in (first, second):
        for quantizer in range(1 + len(block.experts)):
            for codebook in range(2):
                for frame in range(4):
                    bits += f"{block.indices[quantizer, codebook, frame]:04b}"
    assert encode_packet(PacketLayout(parameters, 2), 9, Window(4, (first, second))) == with_crc(9, bits)


def test_order_of_bits_of_entropy_coded_packets() -> None:
    rng = np.random.default_rng(3)
    parameters = StreamParameters(8000, 10, 5, 6, 12, 2)
    plain, payload = random_block(parameters, 2, 3, rng), b"\x12\x34\x56\x78"
    bits = f"{parameters.short_window_field:04b}" + f"{2:03b}" + f"{3:04b}{2:04b}"
    bits += f"{4:04b}{0:04b}"  # of 12 and 9 bytes
    bits += f"{rank_of_mask((0, 3, 5)):05b}{rank_of_mask(plain.experts):04b}"
    bits += "0" * (-len(bits) % 8) + "".join(f"{byte:08b}" for byte in payload)
    bits += "".join(f"{index:04b}" for index in plain.indices.ravel())
    window = Window(3, (modelled_block((0, 3, 5), payload), plain))
    assert encode_packet(PacketLayout(parameters, 2, True), 9, window) == with_crc(9, bits)


def test_order_of_bits_with_waveform_layers() -> None:
    """The size of a layer follows that of the indices; the layers follow all indices."""
    rng = np.random.default_rng(3)
    parameters = StreamParameters(8000, 10, 5, 6, 12, 2)
    plain, payload = random_block(parameters, 2, 3, rng), b"\x12\x34\x56\x78"
    layers = b"\x9a\xbc\xde", rng.bytes(300)
    bits = f"{parameters.short_window_field:04b}" + f"{2:03b}" + f"{3:04b}{2:04b}"
    bits += f"{4:04b}{3:012b}{0:04b}{300:012b}"
    bits += f"{rank_of_mask((0, 3, 5)):05b}{rank_of_mask(plain.experts):04b}"
    bits += "0" * (-len(bits) % 8) + "".join(f"{byte:08b}" for byte in payload)
    bits += "".join(f"{index:04b}" for index in plain.indices.ravel())
    bits += "0" * (-len(bits) % 8) + "".join(f"{byte:08b}" for byte in b"".join(layers))
    blocks = modelled_block((0, 3, 5), payload, layers[0]), replace(plain, waveform=layers[1])
    layout, window = PacketLayout(parameters, 2, True, True), Window(3, blocks)
    check_window(parameters, 2, window)
    packet = encode_packet(layout, 9, window)
    assert packet == with_crc(9, bits)
    assert len(packet) == layout.packet_bytes(window.modes, 3, [4, 0], [3, 300])
    assert parse_start(layout, packet).layer_sizes == (3, 300)
    assert decode_packet(layout, packet) == window
    without_second = Window(3, (blocks[0], plain))
    assert without_second != window
    packet = encode_packet(layout, 9, without_second)
    assert parse_start(layout, packet[: layout.start_bytes]).packet_bytes == len(packet)
    assert decode_packet(layout, packet) == without_second


@pytest.mark.parametrize("layers", [False, True])
def test_start_of_a_packet_fits(layers: bool) -> None:
    """With the widest fields: prefix, two mode fields and the sizes of two blocks."""
    parameters = StreamParameters(8000, 1, 37448, 27, 2)
    layout = PacketLayout(parameters, 2, True, layers)
    sizes = layout.size_bits(27, 37447) + layout.layer_size_bits
    bits = 3 * parameters.mode_bits + parameters.frame_bits + 2 * sizes
    assert bits == (92 if layers else 68)
    assert bits <= 8 * layout.start_bytes


def test_levels_are_between_ranks_and_indices() -> None:
    rng = np.random.default_rng(4)
    block, levels = random_block(SMALL, 2, 4, rng), (24, 31, 0, 1, 2, 3, 4, 5)
    intensity = BlockMode(BlockKind.INTENSITY)
    bits = f"{SMALL.mode_field(intensity):04b}{2:04b}{rank_of_mask(block.experts):03b}"
    bits += "".join(f"{level:05b}" for level in levels)
    bits += "".join(f"{index:04b}" for index in block.indices.ravel())
    packet = encode_packet(PacketLayout(SMALL, 2), 5, Window(4, (intensity_block(levels), block)))
    assert packet == with_crc(5, bits)
    assert len(packet) == SMALL.packet_bytes((intensity, BlockMode(BlockKind.CODED, 2)))


def test_resolved_replaces_derived_blocks() -> None:
    block = random_block(SMALL, 1, 4, np.random.default_rng(0))
    assert Window(4, (block, COPY)).resolved == (block, block)
    assert Window(4, (block, intensity_block(range(8)))).resolved == (block, block)
    assert Window(4, (intensity_block(range(8)), block)).resolved == (block, block)
    assert Window(4, (block, SILENT)).resolved == (block, SILENT)


ZEROS = np.zeros((2, 1, 4), int)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(0, (SILENT,)), "frames"),
        (Window(5, (SILENT,)), "frames"),
        (Window(4, (SILENT, SILENT)), "blocks"),
        (Window(4, (COPY,)), "copy"),
        (Window(4, (intensity_block(range(8)),)), "intensity stereo needs"),
        (Window(4, (Block(BlockKind.SILENT, levels=(1,)),)), "levels"),
        (Window(4, (Block(BlockKind.SILENT, (1,)),)), "no experts"),
        (Window(4, (Block(BlockKind.SILENT, indices=ZEROS),)), "no indices"),
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
def test_invalid_windows_are_refused(window: Window, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_window(SMALL, 1, window)


@pytest.mark.parametrize("levels", [range(7), range(9), [24] * 7 + [32], [24] * 7 + [-1]])
def test_invalid_levels_are_refused(levels: list[int]) -> None:
    block = random_block(SMALL, 1, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="levels"):
        check_window(SMALL, 2, Window(4, (block, intensity_block(levels))))
