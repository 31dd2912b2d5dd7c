"""Finding the packet behind a damaged one without a trailer (section 8 of the specification)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..errors import BadInputError
from .byte_source import ByteSource
from .errors import PacketDamage, TruncatedError
from .header import Header
from .packet import MIN_PACKET_BYTES, MODES_BYTES, crc_matches, parse_modes
from .rates import constant_packet_sizes
from .trailer import FIXED_BYTES, MARKER, claimed_packets

# Limit of the work of all searches in a stream, in bytes: a constant and a multiple of the bytes read
SEARCH_BYTES = 1 << 24
SEARCH_FACTOR = 64
CANDIDATE_BYTES = 1 << 9  # work of trying a size, beside the bytes that are checked


@dataclass(frozen=True)
class DamagedExtent:
    """How far a damaged packet extends."""

    size: int  # bytes
    frames: int | None = None  # latent frames in its window, where the trailer that follows gives them


class Resynchroniser:
    """Finds the ends of damaged packets from what follows them."""

    def __init__(self, header: Header, source: ByteSource) -> None:
        self._header, self._source = header, source
        self._constant_sizes: frozenset[int] = frozenset()
        if header.experts_total is not None:
            self._constant_sizes = constant_packet_sizes(
                header.parameters, header.signals, header.experts_total
            )
        self._work = 0  # in bytes, so far

    @cached_property
    def _sizes(self) -> list[int]:
        """All sizes that a full packet can have, in ascending order."""
        return sorted(self._header.packet_sizes())

    @cached_property
    def _largest(self) -> int:
        """Largest size of any packet; with its prefix, a short one can be larger than all full ones."""
        almost_full = self._header.parameters.frames_per_window - 1
        short = self._header.packet_sizes(almost_full) if almost_full else frozenset()
        return max([*self._sizes, *short])

    def find_end(self, index: int, claimed: int | None) -> DamagedExtent:
        """The extent of the damaged packet at the position of the source.

        Tried in this order: a trailer that counts ``index + 1`` packets; a sound packet ``index + 1``, first
        behind the claimed size, then behind every size that a packet can have; without any of these, as
        when two packets in a row are damaged, the size of a constant rate or the claimed size.

        Args:
            index: of the window
            claimed: size that the packet's own mode fields give; None if they are damaged

        Raises:
            BadInputError: the next packet cannot be found.
        """
        # Room for a packet of the largest size behind another, or for the fixed part of a trailer
        ahead = self._source.peek(max(2 * self._largest + MODES_BYTES, self._largest + FIXED_BYTES))
        self._work += len(ahead)
        extent = self._before_trailer(ahead, index)
        if extent is None:
            candidates = self._sizes if claimed is None else [claimed, *self._sizes]
            extent = self._before_packet(ahead, index, candidates)
        if extent is not None:
            return extent
        if self._work > SEARCH_BYTES + SEARCH_FACTOR * self._source.position:
            raise BadInputError(f"there is too much damage before {self._place(index)} to continue")
        size = self._likely_size(claimed)
        if len(ahead) < (self._sizes[-1] if size is None else size):
            raise truncated_after(self._header, index)
        if size is None:
            raise BadInputError(f"{self._place(index)} is damaged and the next packet cannot be found")
        return DamagedExtent(size)

    def _before_trailer(self, ahead: bytes, index: int) -> DamagedExtent | None:
        """The extent up to a trailer that counts ``index + 1`` packets."""
        at = ahead.find(MARKER, MIN_PACKET_BYTES)
        while 0 < at <= self._largest:
            claim = claimed_packets(ahead[at : at + FIXED_BYTES])
            if claim is not None and claim[0] == index + 1:
                frames = claim[1]
                valid = 1 <= frames <= self._header.parameters.frames_per_window
                return DamagedExtent(at, frames if valid else None)
            at = ahead.find(MARKER, at + 1)
        return None

    def _before_packet(self, ahead: bytes, index: int, sizes: Sequence[int]) -> DamagedExtent | None:
        """The first of these extents that a sound packet ``index + 1`` follows."""
        for size in sizes:
            if self._is_packet(ahead, size, index + 1):
                return DamagedExtent(size)
        return None

    def _is_packet(self, ahead: bytes, at: int, index: int) -> bool:
        """Whether a sound packet of window ``index`` starts at position ``at``."""
        parameters = self._header.parameters
        self._work += CANDIDATE_BYTES
        try:
            frames, modes = parse_modes(parameters, self._header.signals, ahead[at : at + MODES_BYTES])
        except PacketDamage:
            return False
        size = parameters.packet_bytes(modes, frames)
        packet = ahead[at : at + size]
        self._work += len(packet)
        return len(packet) == size and self._header.modes_allowed(modes) and crc_matches(index, packet)

    def _likely_size(self, claimed: int | None) -> int | None:
        """The size to assume where nothing sound follows; None without any clue."""
        if not self._constant_sizes:
            return claimed
        return claimed if claimed in self._constant_sizes else max(self._constant_sizes)

    def _place(self, index: int) -> str:
        return f"window {index} at {self._header.parameters.window_start(index):.3f} s"


def truncated_after(header: Header, windows: int) -> TruncatedError:
    """The error that a stream ends after so many windows."""
    of_total = "" if header.window_count is None else f" of {header.window_count}"
    seconds = header.parameters.window_start(windows)
    return TruncatedError(
        f"the stream is truncated: it ends after {windows}{of_total} windows ({seconds:.3f} s)"
    )
