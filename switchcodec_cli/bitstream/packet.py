"""Packets: one window each, as bits (section 6 of the specification)."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .bits import BitReader, BitWriter
from .errors import PacketDamage
from .intensity import LEVEL_BANDS, LEVEL_BITS
from .masks import mask_of_rank, rank_of_mask
from .modes import BlockKind, BlockMode
from .parameters import LAYER_SIZE_BITS, PACKET_CRC_BYTES, StreamParameters, bits_for
from .window import COPY, SILENT, Block, Window, coded_block, intensity_block, modelled_block

MIN_PACKET_BYTES = 1 + PACKET_CRC_BYTES
# Hold what a packet begins with: prefix, mode fields and sizes, at most 6 + 16 + 2 × 6 + 2 × 18 bits
START_BYTES = 9
START_BYTES_WITH_LAYERS = START_BYTES + 2 * LAYER_SIZE_BITS // 8  # two sizes more


@dataclass(frozen=True)
class PacketLayout:
    """What determines the layout of the packets of a stream."""

    parameters: StreamParameters
    signals: int
    entropy_coded: bool = False  # whether the packets hold the sizes of their indices, which may be modelled
    waveform_layers: bool = False  # whether coded blocks may have waveform layers; only if entropy-coded

    @property
    def layer_size_bits(self) -> int:
        """Width of the size of a coded block's waveform layer."""
        return LAYER_SIZE_BITS if self.waveform_layers else 0

    @property
    def start_bytes(self) -> int:
        """Bytes that hold what a packet begins with."""
        return START_BYTES_WITH_LAYERS if self.waveform_layers else START_BYTES

    def size_bits(self, experts: int, frames: int) -> int:
        """Width of the size of a coded block's indices."""
        return bits_for(self.parameters.plain_bytes(experts, frames)) if self.entropy_coded else 0

    def side_bits(self, modes: Sequence[BlockMode], frames: int) -> int:
        """Bits of a packet before its indices, without padding."""
        coded = (mode for mode in modes if mode.kind is BlockKind.CODED)
        sizes = sum(self.size_bits(mode.experts, frames) + self.layer_size_bits for mode in coded)
        return self.parameters.side_bits(modes, frames) + sizes

    def packet_bytes(
        self,
        modes: Sequence[BlockMode],
        frames: int,
        sizes: Sequence[int],
        layer_sizes: Sequence[int] = (),
    ) -> int:
        """Size of a packet.

        Args:
            modes: one per signal
            frames: latent frames of the window
            sizes: of the modelled indices of each coded block in bytes, 0 where they are plain
            layer_sizes: of the waveform layers in bytes; none by default
        """
        if not self.entropy_coded:
            return self.parameters.packet_bytes(modes, frames)
        counts = [mode.experts for mode in modes if mode.kind is BlockKind.CODED]
        payload = sum(
            size or self.parameters.plain_bytes(experts, frames)
            for experts, size in zip(counts, sizes, strict=True)
        )
        return -(-self.side_bits(modes, frames) // 8) + payload + sum(layer_sizes) + PACKET_CRC_BYTES


@dataclass(frozen=True)
class PacketStart:
    """What a packet says of itself before its masks."""

    frames: int
    modes: tuple[BlockMode, ...]
    sizes: tuple[int, ...]  # of the modelled indices of each coded block, in bytes; 0: plain
    layer_sizes: tuple[int, ...]  # of the waveform layer of each coded block, in bytes; 0: none
    packet_bytes: int


def packet_crc(index: int, body: bytes) -> int:
    """CRC-16 (polynomial 0x1021, initial value 0xFFFF) of the window's index, as a u32, and the body."""
    return binascii.crc_hqx(body, binascii.crc_hqx(struct.pack("<I", index), 0xFFFF))


def crc_matches(index: int, packet: bytes) -> bool:
    """Whether ``packet`` ends with the CRC of its body as that of window ``index``."""
    body, crc = packet[:-PACKET_CRC_BYTES], packet[-PACKET_CRC_BYTES:]
    return packet_crc(index, body) == int.from_bytes(crc, "little")


def encode_packet(layout: PacketLayout, index: int, window: Window) -> bytes:
    """The packet of window ``index``, which must have passed check_window."""
    parameters, bits = layout.parameters, BitWriter()
    if window.frames < parameters.frames_per_window:
        bits.write(parameters.short_window_field, parameters.mode_bits)
        bits.write(window.frames - 1, parameters.frame_bits)
    for mode in window.modes:
        bits.write(parameters.mode_field(mode), parameters.mode_bits)
    coded = [block for block in window.blocks if block.kind is BlockKind.CODED]
    for block in coded:
        bits.write(len(block.modelled), layout.size_bits(len(block.experts), window.frames))
        bits.write(len(block.waveform), layout.layer_size_bits)
    for block in coded:
        bits.write(rank_of_mask(block.experts), parameters.rank_bits(len(block.experts)))
    for block in window.blocks:
        for level in block.levels:
            bits.write(level, LEVEL_BITS)
    if layout.entropy_coded:
        payloads = [block.modelled or _plain_indices(parameters, block) for block in coded]
        body = bits.to_bytes() + b"".join(payloads) + b"".join(block.waveform for block in coded)
    else:
        for block in coded:
            bits.write_array(block.indices, parameters.index_bits)
        body = bits.to_bytes()
    return body + struct.pack("<H", packet_crc(index, body))


def _plain_indices(parameters: StreamParameters, block: Block) -> bytes:
    bits = BitWriter()
    bits.write_array(block.indices, parameters.index_bits)
    return bits.to_bytes()


def parse_start(layout: PacketLayout, start: bytes) -> PacketStart:
    """What the first ``layout.start_bytes`` bytes of a packet say of it.

    Raises:
        PacketDamage: a mode field is reserved or not allowed at its place, or a size is too large.
    """
    size = layout.start_bytes
    return _read_start(layout, BitReader(start[:size].ljust(size, b"\0")))


def decode_packet(layout: PacketLayout, packet: bytes) -> Window:
    """The window of a packet whose size and CRC have been checked.

    Raises:
        PacketDamage: the content breaks a rule of the format.
    """
    parameters, bits = layout.parameters, BitReader(packet[:-PACKET_CRC_BYTES])
    start = _read_start(layout, bits)
    masks = _read_masks(parameters, start.modes, bits)
    intensity = any(mode.kind is BlockKind.INTENSITY for mode in start.modes)  # of one signal at most
    levels = [bits.read(LEVEL_BITS) for _ in range(LEVEL_BANDS)] if intensity else []
    if layout.entropy_coded:
        _skip_padding(bits)
    sizes, blocks = iter(start.sizes), []
    for mode, mask in zip(start.modes, masks, strict=True):
        if mode.kind is BlockKind.CODED:
            blocks.append(_read_coded_block(layout, mask, start.frames, next(sizes), bits))
        elif mode.kind is BlockKind.INTENSITY:
            blocks.append(intensity_block(levels))
        else:
            blocks.append(COPY if mode.kind is BlockKind.COPY else SILENT)
    if layout.waveform_layers:
        layers = iter(start.layer_sizes)
        blocks = [
            replace(block, waveform=bits.read_bytes(next(layers))) if block.kind is BlockKind.CODED else block
            for block in blocks
        ]
    if not bits.rest_is_zero():
        raise PacketDamage("padding bits are not zero")
    return Window(start.frames, tuple(blocks))


def _read_start(layout: PacketLayout, bits: BitReader) -> PacketStart:
    parameters = layout.parameters
    frames = parameters.frames_per_window
    field = bits.read(parameters.mode_bits)
    if field == parameters.short_window_field:
        frames = bits.read(parameters.frame_bits) + 1
        if frames >= parameters.frames_per_window:
            raise PacketDamage("the prefix of a short window gives the frames of a full one")
        field = bits.read(parameters.mode_bits)
    fields = [field] + [bits.read(parameters.mode_bits) for _ in range(layout.signals - 1)]
    try:
        modes = parameters.modes_of_fields(fields)
    except ValueError as error:
        raise PacketDamage(str(error)) from None
    sizes, layer_sizes = [], []
    for mode in modes:
        if mode.kind is BlockKind.CODED:
            size = bits.read(layout.size_bits(mode.experts, frames))
            plain = parameters.plain_bytes(mode.experts, frames)
            if size >= plain:
                raise PacketDamage(
                    f"modelled indices of {size} bytes, which is not below the {plain} of plain ones"
                )
            sizes.append(size)
            layer_sizes.append(bits.read(layout.layer_size_bits))
    packet_bytes = layout.packet_bytes(modes, frames, sizes, layer_sizes)
    return PacketStart(frames, modes, tuple(sizes), tuple(layer_sizes), packet_bytes)


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
    layout: PacketLayout, mask: tuple[int, ...], frames: int, size: int, bits: BitReader
) -> Block:
    if size:
        return modelled_block(mask, bits.read_bytes(size))
    parameters = layout.parameters
    shape = (1 + len(mask), parameters.codebooks_per_quantizer, frames)
    count = shape[0] * shape[1] * shape[2]
    indices = bits.read_array(count, parameters.index_bits).reshape(shape)
    if indices.max() >= parameters.codebook_size:
        raise PacketDamage(f"index {indices.max()} is not below the codebook size")
    if layout.entropy_coded:
        _skip_padding(bits)
    return coded_block(mask, indices)


def _skip_padding(bits: BitReader) -> None:
    """Skip to the next whole byte."""
    if bits.read(-bits.position % 8):
        raise PacketDamage("padding bits are not zero")
