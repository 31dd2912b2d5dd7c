"""Packets: one window each, as bits (section 6 of the specification)."""

from __future__ import annotations

import binascii
import struct

from .bits import BitReader, BitWriter
from .errors import PacketDamage
from .intensity import LEVEL_BANDS, LEVEL_BITS
from .masks import mask_of_rank, rank_of_mask
from .modes import BlockKind, BlockMode
from .parameters import PACKET_CRC_BYTES, StreamParameters
from .window import COPY, SILENT, Block, Window, coded_block, intensity_block

MIN_PACKET_BYTES = 1 + PACKET_CRC_BYTES
MODES_BYTES = 5  # hold the short-window prefix and the mode fields of any packet: at most 6 + 16 + 2 × 6 bits


def packet_crc(index: int, body: bytes) -> int:
    """CRC-16 (polynomial 0x1021, initial value 0xFFFF) of the window's index, as a u32, and the body."""
    return binascii.crc_hqx(body, binascii.crc_hqx(struct.pack("<I", index), 0xFFFF))


def crc_matches(index: int, packet: bytes) -> bool:
    """Whether ``packet`` ends with the CRC of its body as that of window ``index``."""
    body, crc = packet[:-PACKET_CRC_BYTES], packet[-PACKET_CRC_BYTES:]
    return packet_crc(index, body) == int.from_bytes(crc, "little")


def encode_packet(parameters: StreamParameters, index: int, window: Window) -> bytes:
    """The packet of window ``index``, which must have passed check_window."""
    bits = BitWriter()
    if window.frames < parameters.frames_per_window:
        bits.write(parameters.short_window_field, parameters.mode_bits)
        bits.write(window.frames - 1, parameters.frame_bits)
    for mode in window.modes:
        bits.write(parameters.mode_field(mode), parameters.mode_bits)
    coded = [block for block in window.blocks if block.kind is BlockKind.CODED]
    for block in coded:
        bits.write(rank_of_mask(block.experts), parameters.rank_bits(len(block.experts)))
    for block in window.blocks:
        for level in block.levels:
            bits.write(level, LEVEL_BITS)
    for block in coded:
        bits.write_array(block.indices, parameters.index_bits)
    body = bits.to_bytes()
    return body + struct.pack("<H", packet_crc(index, body))


def parse_modes(
    parameters: StreamParameters, signals: int, start: bytes
) -> tuple[int, tuple[BlockMode, ...]]:
    """Number of latent frames and modes of a packet, from its first MODES_BYTES bytes.

    Raises:
        PacketDamage: a mode field is reserved or not allowed at its place.
    """
    return _read_modes(parameters, signals, BitReader(start[:MODES_BYTES].ljust(MODES_BYTES, b"\0")))


def decode_packet(parameters: StreamParameters, signals: int, packet: bytes) -> Window:
    """The window of a packet whose size and CRC have been checked.

    Raises:
        PacketDamage: the content breaks a rule of the format.
    """
    bits = BitReader(packet[:-PACKET_CRC_BYTES])
    frames, modes = _read_modes(parameters, signals, bits)
    masks = _read_masks(parameters, modes, bits)
    intensity = any(mode.kind is BlockKind.INTENSITY for mode in modes)  # of one signal at most
    levels = [bits.read(LEVEL_BITS) for _ in range(LEVEL_BANDS)] if intensity else []
    blocks = []
    for mode, mask in zip(modes, masks, strict=True):
        if mode.kind is BlockKind.CODED:
            blocks.append(_read_coded_block(parameters, mask, frames, bits))
        elif mode.kind is BlockKind.INTENSITY:
            blocks.append(intensity_block(levels))
        else:
            blocks.append(COPY if mode.kind is BlockKind.COPY else SILENT)
    if not bits.rest_is_zero():
        raise PacketDamage("padding bits are not zero")
    return Window(frames, tuple(blocks))


def _read_modes(
    parameters: StreamParameters, signals: int, bits: BitReader
) -> tuple[int, tuple[BlockMode, ...]]:
    frames = parameters.frames_per_window
    field = bits.read(parameters.mode_bits)
    if field == parameters.short_window_field:
        frames = bits.read(parameters.frame_bits) + 1
        if frames >= parameters.frames_per_window:
            raise PacketDamage("the prefix of a short window gives the frames of a full one")
        field = bits.read(parameters.mode_bits)
    fields = [field] + [bits.read(parameters.mode_bits) for _ in range(signals - 1)]
    try:
        return frames, parameters.modes_of_fields(fields)
    except ValueError as error:
        raise PacketDamage(str(error)) from None


def _read_masks(
    parameters: StreamParameters, modes: tuple[BlockMode, ...], bits: BitReader
) -> tuple[tuple[int, ...], ...]:
    masks: list[tuple[int, ...]] = []
    for kind, experts in modes:
        if kind is not BlockKind.CODED:
            masks.append(())
            continue
        try:
            masks.append(mask_of_rank(bits.read(parameters.rank_bits(experts)), experts, parameters.experts))
        except ValueError as error:
            raise PacketDamage(str(error)) from None
    return tuple(masks)


def _read_coded_block(
    parameters: StreamParameters, mask: tuple[int, ...], frames: int, bits: BitReader
) -> Block:
    shape = (1 + len(mask), parameters.codebooks_per_quantizer, frames)
    count = shape[0] * shape[1] * shape[2]
    indices = bits.read_array(count, parameters.index_bits).reshape(shape)
    if indices.max() >= parameters.codebook_size:
        raise PacketDamage(f"index {indices.max()} is not below the codebook size")
    return coded_block(mask, indices)
