"""One packet: the codes, masks and indices of one window."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import comb

import numpy as np

from .masks import mask_of_rank, rank_of_mask
from .parameters import (
    LEVEL_BANDS,
    LEVEL_BITS,
    LEVEL_STEP,
    LEVEL_UNITY,
    LEVELS_BITS,
    PACKET_CRC_BYTES,
    StreamParameters,
)

HEAD_BYTES = 14  # holds prefix, codes, ranks and levels of any legal packet: at most 6+16 + 2*6 + 30+40 bits
CODES_BYTES = 5  # holds prefix and codes: at most 6+16 + 2*6 bits


class PacketDamage(Exception):
    """A packet does not say what a packet may say; the message is the reason."""


class BlockKind(str, Enum):
    """How one signal of one window is coded."""

    CODED = "coded"
    SILENT = "silent"  # digital silence
    COPY = "copy"  # second signal only: the same as the first
    INTENSITY = "panned"  # the same as the other signal but for its levels


@dataclass(frozen=True, eq=False)
class Block:
    """One signal in one window.

    ``experts`` is ascending.  ``indices`` is (1 + len(experts), codebooks per quantizer, frames) uint16,
    the shared quantizer first; None unless the block is coded.  ``levels`` are those of a panned block.
    """

    kind: BlockKind
    experts: tuple[int, ...] = ()
    indices: np.ndarray | None = None
    levels: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Block):
            return NotImplemented
        if self.kind != other.kind or tuple(self.experts) != tuple(other.experts):
            return False
        if tuple(self.levels) != tuple(other.levels):
            return False
        return self.kind is not BlockKind.CODED or np.array_equal(self.indices, other.indices)

    def code(self, parameters: StreamParameters) -> int:
        """The code that announces this block."""
        if self.kind is BlockKind.CODED:
            return len(self.experts)
        return {
            BlockKind.SILENT: parameters.silent_code,
            BlockKind.COPY: parameters.copy_code,
            BlockKind.INTENSITY: parameters.intensity_code,
        }[self.kind]


SILENT = Block(BlockKind.SILENT)
COPY = Block(BlockKind.COPY)


def coded_block(experts: tuple[int, ...], indices: np.ndarray) -> Block:
    """A coded block.  indices: (1 + len(experts), codebooks per quantizer, frames)."""
    return Block(BlockKind.CODED, tuple(int(expert) for expert in experts), indices)


def intensity_block(levels: Sequence[int]) -> Block:
    """A panned block.  levels: one for each band, 0 (silence) to 31, in steps of LEVEL_STEP dB."""
    return Block(BlockKind.INTENSITY, levels=tuple(int(level) for level in levels))


def level_gains(levels: Sequence[int]) -> tuple[float, ...]:
    """What the levels of a panned block multiply the other signal's spectrum by, band for band."""
    return tuple(10 ** (LEVEL_STEP * (level - LEVEL_UNITY) / 20) if level else 0.0 for level in levels)


@dataclass(frozen=True)
class Window:
    """One window: its number of frames and one block per signal."""

    frames: int
    blocks: tuple[Block, ...]

    def codes(self, parameters: StreamParameters) -> tuple[int, ...]:
        """The code of each signal."""
        return tuple(block.code(parameters) for block in self.blocks)

    @property
    def resolved(self) -> tuple[Block, ...]:
        """The blocks with copied and panned ones replaced by what they copy: only coded and silent ones."""
        derived = (BlockKind.COPY, BlockKind.INTENSITY)
        return tuple(
            self.blocks[1 - signal] if block.kind in derived else block
            for signal, block in enumerate(self.blocks)
        )


def packet_crc(number: int, body: bytes) -> int:
    """CRC-16 (polynomial 0x1021, start 0xFFFF) over the window's number, u32, and the packet's body."""
    return binascii.crc_hqx(body, binascii.crc_hqx(struct.pack("<I", number), 0xFFFF))


def crc_matches(number: int, packet: bytes) -> bool:
    """Whether ``packet`` ends in the CRC of its body as window ``number``."""
    body = packet[:-PACKET_CRC_BYTES]
    return packet_crc(number, body) == int.from_bytes(packet[-PACKET_CRC_BYTES:], "little")


def index_bit_array(indices: np.ndarray, width: int) -> np.ndarray:
    """Indices as single bits, most significant first.  indices: any shape, N values → (N * width,) uint8."""
    pairs = np.ascontiguousarray(indices, dtype=">u2").reshape(-1, 1).view(np.uint8)  # (N, 2)
    return np.unpackbits(pairs, axis=1)[:, 16 - width :].ravel()


def indices_of_bits(bits: np.ndarray, width: int) -> np.ndarray:
    """The inverse of index_bit_array.  bits: (N * width,) → (N,) uint16."""
    wide = np.zeros((bits.size // width, 16), np.uint8)
    wide[:, 16 - width :] = bits.reshape(-1, width)
    return np.packbits(wide, axis=1).view(">u2").ravel().astype(np.uint16)


def check_window(parameters: StreamParameters, signals: int, window: Window) -> None:
    """Raises ValueError unless ``window`` can be written with these parameters."""
    if not 1 <= window.frames <= parameters.frames_per_window:
        raise ValueError(f"a window has 1 to {parameters.frames_per_window} frames, not {window.frames}")
    if len(window.blocks) != signals:
        raise ValueError(f"a window of this stream has {signals} blocks, not {len(window.blocks)}")
    flaw = parameters.code_flaw(window.codes(parameters))
    if flaw:
        raise ValueError(flaw)
    for block in window.blocks:
        levels = LEVEL_BANDS if block.kind is BlockKind.INTENSITY else 0
        if len(block.levels) != levels or not all(0 <= level < 1 << LEVEL_BITS for level in block.levels):
            raise ValueError(f"a {block.kind.value} block has {levels} levels of {LEVEL_BITS} bits")
        if block.kind is not BlockKind.CODED:
            if block.experts or block.indices is not None:
                raise ValueError(f"a {block.kind.value} block has no experts and no indices")
            continue
        experts = block.experts
        within = all(0 <= expert < parameters.experts for expert in experts)
        if list(experts) != sorted(set(experts)) or not within:
            raise ValueError(f"experts must ascend within 0..{parameters.experts - 1}, not {experts}")
        shape = (1 + len(experts), parameters.codebooks_per_quantizer, window.frames)
        if block.indices is None or block.indices.shape != shape:
            raise ValueError(f"indices must have the shape {shape}")
        if block.indices.dtype.kind not in "iu":
            raise ValueError(f"indices must be integers, not {block.indices.dtype}")
        if block.indices.min() < 0 or block.indices.max() >= parameters.codebook_size:
            raise ValueError(f"indices must be within 0..{parameters.codebook_size - 1}")


def encode_packet(parameters: StreamParameters, number: int, window: Window) -> bytes:
    """The packet of window ``number``: body, zero padding to a byte, CRC-16.

    The window must have passed check_window.
    """
    fields: list[tuple[int, int]] = []  # (value, bits)
    if window.frames < parameters.frames_per_window:
        fields.append((parameters.short_code, parameters.code_bits))
        fields.append((window.frames - 1, parameters.frame_bits))
    coded = [block for block in window.blocks if block.kind is BlockKind.CODED]
    fields += [(block.code(parameters), parameters.code_bits) for block in window.blocks]
    fields += [(rank_of_mask(block.experts), parameters.rank_bits(len(block.experts))) for block in coded]
    fields += [(level, LEVEL_BITS) for block in window.blocks for level in block.levels]
    head = "".join(format(value, f"0{bits}b") for value, bits in fields if bits)
    head_bits = np.frombuffer(head.encode(), np.uint8) - ord("0")
    index_bits = [index_bit_array(block.indices, parameters.index_bits) for block in coded]
    body = np.packbits(np.concatenate([head_bits, *index_bits])).tobytes()
    return body + struct.pack("<H", packet_crc(number, body))


def parse_codes(parameters: StreamParameters, signals: int, start: bytes) -> tuple[int, tuple[int, ...]]:
    """Frames and the codes of all signals, from the first CODES_BYTES bytes of a packet (or all of it).

    Raises PacketDamage on a code that may not stand there.
    """
    width = parameters.code_bits
    value = int.from_bytes(start[:CODES_BYTES].ljust(CODES_BYTES, b"\0"), "big")
    left = 8 * CODES_BYTES

    def take(bits: int) -> int:
        nonlocal left
        left -= bits
        return (value >> left) & ((1 << bits) - 1)

    frames = parameters.frames_per_window
    code = take(width)
    if code == parameters.short_code:
        frames = take(parameters.frame_bits) + 1
        if frames >= parameters.frames_per_window:
            raise PacketDamage("a short window that is not short")
        code = take(width)
    codes = [code]
    for _ in range(signals - 1):
        codes.append(take(width))
    flaw = parameters.code_flaw(codes)
    if flaw:
        raise PacketDamage(flaw)
    return frames, tuple(codes)


def parse_masks(
    parameters: StreamParameters, frames: int, codes: tuple[int, ...], packet: bytes
) -> tuple[tuple[int, ...], ...]:
    """The experts of each signal (none where it is not coded), from a packet or its first HEAD_BYTES.

    Raises PacketDamage on a rank that no mask has.
    """
    value = int.from_bytes(packet[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0"), "big")
    left = 8 * HEAD_BYTES - len(codes) * parameters.code_bits
    if frames < parameters.frames_per_window:
        left -= parameters.code_bits + parameters.frame_bits
    masks: list[tuple[int, ...]] = []
    for code in codes:
        if code > parameters.experts:
            masks.append(())
            continue
        bits = parameters.rank_bits(code)
        left -= bits
        rank = (value >> left) & ((1 << bits) - 1)
        if rank >= comb(parameters.experts, code):
            raise PacketDamage(f"mask rank {rank} is not below C({parameters.experts},{code})")
        masks.append(mask_of_rank(rank, code, parameters.experts))
    return tuple(masks)


def decode_packet(parameters: StreamParameters, signals: int, packet: bytes) -> Window:
    """The window in a packet whose size and CRC have been checked.

    Raises PacketDamage where the content breaks a rule of the format.
    """
    frames, codes = parse_codes(parameters, signals, packet)
    masks = parse_masks(parameters, frames, codes, packet)
    bits = np.unpackbits(np.frombuffer(packet, np.uint8, len(packet) - PACKET_CRC_BYTES))
    at = parameters.side_bits(codes, frames)
    blocks = []
    for code, experts in zip(codes, masks, strict=True):
        if code == parameters.silent_code:
            blocks.append(SILENT)
            continue
        if code == parameters.copy_code:
            blocks.append(COPY)
            continue
        if code == parameters.intensity_code:
            # one signal at most; its levels stand last before the indices
            side = parameters.side_bits(codes, frames)
            levels = indices_of_bits(bits[side - LEVELS_BITS : side], LEVEL_BITS)
            blocks.append(intensity_block(levels))
            continue
        length = (1 + code) * parameters.quantizer_bits(frames)
        flat = indices_of_bits(bits[at : at + length], parameters.index_bits)
        at += length
        indices = flat.reshape(1 + code, parameters.codebooks_per_quantizer, frames)
        if indices.max() >= parameters.codebook_size:
            raise PacketDamage(f"index {indices.max()} is not below the codebook size")
        blocks.append(Block(BlockKind.CODED, experts, indices))
    if bits[at:].any():
        raise PacketDamage("padding bits are not zero")
    return Window(frames, tuple(blocks))
