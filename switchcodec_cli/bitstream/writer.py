"""Writing a stream, packet by packet, to anything that takes bytes."""

from __future__ import annotations

import zlib
from array import array
from typing import BinaryIO

import numpy as np

from .additions import EncodingRequest, SourceDigest
from .bit_budget import BitBudget
from .header import Header, encode_header
from .packet import encode_packet
from .parameters import MAX_PACKETS
from .trailer import Trailer, encode_trailer, pack_mode_fields, pack_sizes
from .window import Window, check_window


class StreamWriter:
    """Writes a stream without seeking.

    Memory: one byte per signal and window for the trailer's table; for entropy-coded packets, four bytes per
    window. A stream that is not closed has no trailer; readers report it as truncated.

    Args:
        file: takes the bytes
        header: is written at once; always as version 1.1
        request: what the encoder was asked for, for the trailer

    Attributes:
        header: the header, which has been written
        budget: bits written so far
    """

    def __init__(self, file: BinaryIO, header: Header, request: EncodingRequest | None = None) -> None:
        self.header = header
        self.budget = BitBudget()
        self._file, self._request = file, request
        self._trailer = _TrailerBuilder(header)
        self._closed = False
        self._write_container(encode_header(header))

    def write(self, window: Window) -> int:
        """Writes one window and returns the size of its packet in bytes.

        Raises:
            ValueError: the window does not fit the header or follows a short window.
        """
        header, parameters = self.header, self.header.parameters
        index = self._trailer.packets
        self._check_open()
        if index and self._trailer.last_frames < parameters.frames_per_window:
            raise ValueError("only the last window may be short")
        if index == MAX_PACKETS:
            raise ValueError(f"a stream holds at most {MAX_PACKETS} windows")
        check_window(parameters, header.signals, window)
        if not header.entropy_coded and any(block.modelled for block in window.blocks):
            raise ValueError("the packets of this stream are not entropy-coded")
        if not header.waveform_layers and any(block.waveform for block in window.blocks):
            raise ValueError("the blocks of this stream have no waveform layers")
        if not header.modes_allowed(window.modes):
            modes = ", ".join(map(str, window.modes))
            raise ValueError(
                f"a window ({modes}) breaks the constant rate of {header.experts_total} experts per window"
            )
        packet = encode_packet(header.layout, index, window)
        self._file.write(packet)
        self._trailer.add(packet, window)
        self.budget.add_packet(header.layout, window, len(packet))
        return len(packet)

    def close(
        self,
        total_samples: int | None = None,
        source: SourceDigest | None = None,
        request: EncodingRequest | None = None,
    ) -> Trailer:
        """Writes and returns the trailer. The file stays open.

        Args:
            total_samples: per channel at the original rate; may be omitted if the header has it
            source: digest of the recording, if it is known
            request: what the encoder was asked for, if it is known only now

        Raises:
            ValueError: the total contradicts the header or the number of frames written.
        """
        self._check_open()
        header = self.header
        total = header.total_samples if total_samples is None else total_samples
        if total is None or header.total_samples not in (None, total):
            raise ValueError(
                f"the header says {header.total_samples} samples, but {total} were given at the end"
            )
        header.check_total(total)
        frames, written = header.frames_in(total), self._trailer.frames
        if written != frames:
            raise ValueError(f"{total} samples need {frames} frames, but {written} were written")
        trailer = self._trailer.build(total, source, request or self._request)
        self._write_container(encode_trailer(trailer))
        self._closed = True
        return trailer

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the stream is closed")

    def _write_container(self, data: bytes) -> None:
        self._file.write(data)
        self.budget.container += 8 * len(data)


class _TrailerBuilder:
    """Collects what the trailer says about the packets."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._crc = 0
        self._mode_fields = bytearray()
        self._sizes = array("I")  # of entropy-coded packets
        self._first_size = 0  # of packet 0
        self._last_size = 0
        self._sizes_vary = False  # among all packets but the last
        self.packets = 0
        self.last_frames = 0  # latent frames in the last window so far

    @property
    def frames(self) -> int:
        """Latent frames in all windows so far."""
        return max(self.packets - 1, 0) * self._header.parameters.frames_per_window + self.last_frames

    def add(self, packet: bytes, window: Window) -> None:
        """Adds a packet with this window."""
        if self.packets == 0:
            self._first_size = len(packet)
        else:
            self._sizes_vary |= self._last_size != self._first_size
        self._last_size = len(packet)
        self._crc = zlib.crc32(packet, self._crc)
        if self._header.entropy_coded:
            self._sizes.append(len(packet))
        else:
            self._mode_fields += bytes(map(self._header.parameters.mode_field, window.modes))
        self.packets += 1
        self.last_frames = window.frames

    def build(
        self, total_samples: int, source: SourceDigest | None, request: EncodingRequest | None
    ) -> Trailer:
        """The trailer, with a table unless plain packets other than the last have a common size."""
        common, table, size_bits = 0, b"", 0
        if self._header.entropy_coded:
            table, size_bits = pack_sizes(np.array(self._sizes, np.uint32))
        elif self.packets < 2 or self._sizes_vary:
            table = pack_mode_fields(self._header, np.frombuffer(bytes(self._mode_fields), np.uint8))
        else:
            common = self._first_size
        return Trailer(
            total_samples,
            self.packets,
            self._crc,
            common,
            self.last_frames,
            table,
            size_bits,
            source,
            request,
        )
