"""Reading the packets of a stream one after the other (section 7.2 of the specification)."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator

import numpy as np

from ..errors import BadInputError
from .byte_source import ByteSource
from .errors import PacketDamage
from .header import MAGIC, Header
from .packet import crc_matches, parse_start
from .raw_packet import DamagedWindow, RawPacket, check_packet, damaged_window
from .resynchronisation import Resynchroniser, truncated_after
from .trailer import (
    MARKER,
    WRONG_PACKETS_CRC,
    Trailer,
    is_trailer_without_marker,
    read_trailer,
    unpack_mode_fields,
    unpack_sizes,
)


class ForwardReader:
    """Reads all packets and the trailer of a stream whose header has been read.

    Attributes:
        trailer: the trailer, once it has been read and found sound
    """

    def __init__(self, header: Header, source: ByteSource) -> None:
        self._header, self._source = header, source
        self._resynchroniser = Resynchroniser(header, source)
        self._log = _PacketLog(header)
        self.trailer: Trailer | None = None

    def packets(self) -> Iterator[RawPacket | DamagedWindow]:
        """Yields all packets and reads the trailer.

        Raises:
            BadInputError: the stream is truncated, the packet behind a damaged one cannot be found, the
                trailer is damaged or contradicts the packets, or something follows it.
        """
        while not self._at_trailer():
            self._check_another_packet_allowed()
            packet, size = self._next_packet()
            self._log.add(packet, self._source.take(size))
            yield packet
        packets = self._log.packets
        trailer = read_trailer(self._header, self._source.take, range(packets, packets + 1))
        self._log.check_trailer(trailer)
        self.trailer = trailer
        self._check_end_of_file()

    def _at_trailer(self) -> bool:
        start = self._source.peek(len(MARKER))
        if start == MARKER:
            return True
        if MARKER.startswith(start):  # shorter than the marker: the file ends here
            raise truncated_after(self._header, self._log.packets)
        return False

    def _check_another_packet_allowed(self) -> None:
        packets, parameters = self._log.packets, self._header.parameters
        if packets == self._header.window_count:
            raise BadInputError(f"no trailer follows the {packets} windows that the header announces")
        if packets and self._log.last_frames < parameters.frames_per_window:
            start = parameters.window_start(packets - 1)
            raise BadInputError(
                f"no trailer follows window {packets - 1} at {start:.3f} s, which is short; "
                "only the last window may be"
            )

    def _next_packet(self) -> tuple[RawPacket | DamagedWindow, int]:
        """The packet at the position of the source, which is not taken, and its size."""
        index, expected_frames = self._log.packets, self._expected_frames()
        claimed = self._claimed_size()
        if claimed is not None:
            data = self._source.peek(claimed)
            if len(data) == claimed and crc_matches(index, data):
                return check_packet(self._header, index, data, expected_frames), claimed
        if is_trailer_without_marker(self._header, self._source.peek, index):
            raise BadInputError("the trailer is damaged (wrong marker)")
        extent = self._resynchroniser.find_end(index, claimed)
        frames = expected_frames or extent.frames or self._header.parameters.frames_per_window
        reason = "damaged mode fields" if claimed is None else "wrong checksum"
        return damaged_window(self._header, index, frames, reason), extent.size

    def _claimed_size(self) -> int | None:
        """Size of the next packet according to its start; None if that is damaged."""
        layout = self._header.layout
        try:
            return parse_start(layout, self._source.peek(layout.start_bytes)).packet_bytes
        except PacketDamage:
            return None

    def _expected_frames(self) -> int | None:
        """Latent frames of the next window; None if the header does not give the total."""
        if self._header.total_samples is None:
            return None
        frames = self._header.frames_in(self._header.total_samples)
        return self._header.parameters.frames_in_window(self._log.packets, frames)

    def _check_end_of_file(self) -> None:
        following = self._source.peek(len(MAGIC))
        if following == MAGIC:
            raise BadInputError("another stream follows the trailer; .swc files cannot be concatenated")
        if following:
            raise BadInputError("something follows the trailer")


class _PacketLog:
    """What is needed of all packets to check the trailer: one byte per signal and window.

    Of entropy-coded packets, it is their size in four bytes.
    """

    UNKNOWN = 0xFF  # for the mode fields of a damaged packet; no mode field is that wide

    def __init__(self, header: Header) -> None:
        self._header = header
        self._crc = 0
        self._damaged = False
        self._mode_fields = bytearray()
        self._sizes = array("I")  # of entropy-coded packets; 0 for a damaged one
        self.packets = 0
        self.last_frames = 0  # latent frames in the last window so far

    def add(self, packet: RawPacket | DamagedWindow, data: bytes) -> None:
        """Adds a packet and its bytes."""
        if self._header.entropy_coded:
            sound = isinstance(packet, RawPacket)
            self._sizes.append(len(data) if sound else 0)
            self._damaged |= not sound
        elif isinstance(packet, RawPacket):
            self._mode_fields += bytes(map(self._header.parameters.mode_field, packet.modes))
        else:
            self._mode_fields += bytes([self.UNKNOWN] * self._header.signals)
            self._damaged = True
        self._crc = zlib.crc32(data, self._crc)
        self.packets += 1
        self.last_frames = packet.frames

    def check_trailer(self, trailer: Trailer) -> None:
        """Raises BadInputError where the trailer contradicts the packets."""
        if self.last_frames != trailer.last_frames:
            raise BadInputError(
                f"the last window has {self.last_frames} frames, but the trailer says {trailer.last_frames}"
            )
        if self._header.entropy_coded:
            self._check_sizes(trailer)
        else:
            self._check_mode_fields(trailer)
        if not self._damaged and self._crc != trailer.packets_crc:
            raise BadInputError(WRONG_PACKETS_CRC)

    def _check_sizes(self, trailer: Trailer) -> None:
        sizes = np.array(self._sizes, np.uint32)
        table = unpack_sizes(trailer, 0, trailer.packets)
        if (table != sizes)[sizes > 0].any():
            raise BadInputError("the trailer's table contradicts the packets")

    def _check_mode_fields(self, trailer: Trailer) -> None:
        fields = np.frombuffer(bytes(self._mode_fields), np.uint8).reshape(-1, self._header.signals)
        sound = fields[:, 0] != self.UNKNOWN
        if trailer.packet_bytes:
            full = fields[:-1][sound[:-1]]
            if (self._header.parameters.packet_bytes_of_fields(full) != trailer.packet_bytes).any():
                raise BadInputError("the packets do not have the common size that the trailer gives")
            return
        table = unpack_mode_fields(self._header, trailer.table, 0, trailer.packets)
        if (table != fields)[sound].any():
            raise BadInputError("the trailer's table contradicts the packets")
