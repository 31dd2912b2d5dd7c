"""Bits of a stream by purpose."""

from __future__ import annotations

from dataclasses import dataclass

from .modes import BlockKind
from .packet import PacketLayout
from .window import Window


@dataclass
class BitBudget:
    """Bits of a stream by purpose; their sum is the size of the stream."""

    payload: int = 0  # codebook indices
    side: int = 0  # mode fields, sizes of payloads and layers, mask ranks, levels and short-window prefixes
    container: int = 0  # header, tags, padding, CRCs and trailer
    layers: int = 0  # waveform layers

    def add_packet(self, layout: PacketLayout, window: Window, size: int) -> None:
        """Adds the bits of the packet of a window, of ``size`` bytes."""
        payload = sum(
            8 * len(block.modelled) or layout.parameters.payload_bits((block.mode,), window.frames)
            for block in window.blocks
            if block.kind is BlockKind.CODED
        )
        side = layout.side_bits(window.modes, window.frames)
        layers = sum(8 * len(block.waveform) for block in window.blocks)
        self.payload += payload
        self.layers += layers
        self.side += side
        self.container += 8 * size - payload - layers - side

    @property
    def total(self) -> int:
        """Bits of the whole stream."""
        return self.payload + self.layers + self.side + self.container
