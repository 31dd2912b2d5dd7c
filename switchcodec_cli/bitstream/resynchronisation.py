"""Finding the packet behind a damaged one without a trailer (section 8 of the specification)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..errors import BadInputError
from .byte_source import ByteSource
from .errors import PacketDamage, TruncatedError
from .header import Header
from .packet import MIN_PACKET_BYTES, crc_matches, parse_start
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
        if header.experts_total is not None and not header.entropy_coded:
            self._constant_sizes = constant_packet_sizes(
                header.parameters, header.signals, header.experts_total
            )
        self._work = 0  # in bytes, so far

    @cached_property
    def _sizes(self) -> Sequence[int]:
        """All sizes that a full packet can have, in ascending order."""
        return self._header.packet_sizes()

    @cached_property
    def _largest(self) -> int:
        """Largest size of any packet."""
        return self._header.largest_packet_bytes

    def find_end(self, index: int, claimed: int | None) -> DamagedExtent:
        """The extent of the damaged packet at the position of the source.

        Tried in this order: a trailer that counts ``index + 1`` packets; a sound packet ``index + 1``, first
        behind the claimed size, then behind every size that a packet can have; without any of these, as
        when two packets in a row are damaged, the size of a constant rate or the claimed size. Where packets
        can have any size, two sound packets in a row are required, or one and the end of the packets.

        Args:
            index: of the window
            claimed: size that the packet's own start gives; None if it is damaged

        Raises:
            BadInputError: the next packet cannot be found.
        """
        # Room for packets of the largest size behind this one, or for the fixed part of a trailer
        packets = 1 + self._sound_packets
        ahead = self._source.peek(
            max(packets * self._largest + self._header.layout.start_bytes, self._largest + FIXED_BYTES)
        )
        self._work += len(ahead)
        extent = self._before_trailer(ahead, index)
        if extent is None:
            extent = self._before_packets(ahead, index, claimed)
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

    @property
    def _sound_packets(self) -> int:
        """Sound packets that must follow: a CRC of 16 bits does not suffice to try thousands of sizes."""
        return 2 if self._header.entropy_coded else 1

    def _before_packets(self, ahead: bytes, index: int, claimed: int | None) -> DamagedExtent | None:
        """The first extent that sound packets follow, beginning with ``index + 1``."""
        if claimed is not None and self._are_packets(ahead, claimed, index + 1):
            return DamagedExtent(claimed)
        most = len(ahead) - MIN_PACKET_BYTES  # behind a larger size there is no room for a packet
        for size in self._sizes[: bisect_right(self._sizes, most)]:
            if self._are_packets(ahead, size, index + 1):
                return DamagedExtent(size)
        return None

    def _are_packets(self, ahead: bytes, at: int, first: int) -> bool:
        """Whether sound packets start at ``at``, that of window ``first`` and as many as required."""
        for index in range(first, first + self._sound_packets):
            if index > first and ahead[at:].startswith(MARKER):
                return True
            size = self._packet_size(ahead, at, index)
            if size is None:
                return False
            at += size
        return True

    def _packet_size(self, ahead: bytes, at: int, index: int) -> int | None:
        """Size of the packet of window ``index`` that starts at ``at``; None if there is no sound one."""
        self._work += CANDIDATE_BYTES
        try:
            start = parse_start(self._header.layout, ahead[at : at + self._header.layout.start_bytes])
        except PacketDamage:
            return None
        packet = ahead[at : at + start.packet_bytes]
        self._work += len(packet)
        complete = len(packet) == start.packet_bytes
        sound = complete and self._header.modes_allowed(start.modes) and crc_matches(index, packet)
        return start.packet_bytes if sound else None

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
