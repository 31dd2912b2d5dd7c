"""Packets of a stream that is read: checked but still packed, or damaged."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import PacketDamage
from .header import Header
from .modes import BlockMode
from .packet import crc_matches, decode_packet, parse_start
from .window import Window


@dataclass(frozen=True)
class RawPacket:
    """A packet whose size, CRC and mode fields are right. Masks and indices have not been checked."""

    index: int  # of the window
    frames: int
    modes: tuple[BlockMode, ...]
    data: bytes


@dataclass(frozen=True)
class DamagedWindow:
    """A window whose packet is damaged."""

    index: int
    start: float  # seconds
    frames: int
    reason: str


def damaged_window(header: Header, index: int, frames: int, reason: str) -> DamagedWindow:
    """Window ``index`` of a stream, damaged for this reason."""
    return DamagedWindow(index, header.parameters.window_start(index), frames, reason)


def check_packet(
    header: Header, index: int, data: bytes, expected_frames: int | None
) -> RawPacket | DamagedWindow:
    """Checks all of a packet but its masks and indices.

    Args:
        data: the packet, whose size has been found from the trailer or from the packet's own start
        expected_frames: latent frames in the window, None if the total number of samples is not known
    """
    parameters = header.parameters
    frames = expected_frames or parameters.frames_per_window
    if not crc_matches(index, data):
        return damaged_window(header, index, frames, "wrong checksum")
    try:
        start = parse_start(header.layout, data)
    except PacketDamage as damage:
        return damaged_window(header, index, frames, str(damage))
    frames = expected_frames or start.frames
    if start.packet_bytes != len(data):
        return damaged_window(header, index, frames, "its size is not what its mode fields imply")
    if not header.modes_allowed(start.modes):
        reason = f"its number of experts breaks the constant rate of {header.experts_total} per window"
        return damaged_window(header, index, frames, reason)
    if start.frames != frames:
        return damaged_window(header, index, frames, f"it has {start.frames} frames instead of {frames}")
    return RawPacket(index, frames, start.modes, data)


def unpack(header: Header, packet: RawPacket) -> Window | DamagedWindow:
    """The window in a packet."""
    try:
        return decode_packet(header.layout, packet.data)
    except PacketDamage as damage:
        return damaged_window(header, packet.index, packet.frames, str(damage))
