"""Bits of a stream by purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .modes import BlockMode
from .parameters import StreamParameters


@dataclass
class BitBudget:
    """Bits of a stream by purpose; their sum is the size of the stream."""

    payload: int = 0  # codebook indices
    side: int = 0  # mode fields, mask ranks, levels and short-window prefixes
    container: int = 0  # header, tags, padding, CRCs and trailer

    def add_packet(self, parameters: StreamParameters, modes: Sequence[BlockMode], frames: int) -> None:
        """Adds the bits of one packet."""
        payload = parameters.payload_bits(modes, frames)
        side = parameters.side_bits(modes, frames)
        self.payload += payload
        self.side += side
        self.container += 8 * parameters.packet_bytes(modes, frames) - payload - side

    @property
    def total(self) -> int:
        """Bits of the whole stream."""
        return self.payload + self.side + self.container
