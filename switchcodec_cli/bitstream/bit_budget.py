"""Where the bits of a stream go."""

from __future__ import annotations

from dataclasses import dataclass

from .parameters import StreamParameters


@dataclass
class BitBudget:
    """Bits by purpose; their sum is the size of the stream."""

    payload: int = 0  # codebook indices
    side: int = 0  # codes, masks and short-window prefixes
    container: int = 0  # header, tags, padding, checksums and trailer

    def add_packet(self, parameters: StreamParameters, codes: tuple[int, ...], frames: int) -> None:
        """Counts one packet."""
        payload = parameters.payload_bits(codes, frames)
        side = parameters.side_bits(codes, frames)
        self.payload += payload
        self.side += side
        self.container += 8 * parameters.packet_bytes(codes, frames) - payload - side

    @property
    def total(self) -> int:
        """All bits."""
        return self.payload + self.side + self.container
