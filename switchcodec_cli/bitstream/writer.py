"""Writing a stream, packet by packet, to anything that takes bytes."""

from __future__ import annotations

import zlib
from typing import BinaryIO

import numpy as np

from .bit_budget import BitBudget
from .header import Header, encode_header
from .packet import Window, check_window, encode_packet
from .parameters import MAX_PACKETS
from .trailer import Trailer, encode_trailer, pack_table


class StreamWriter:
    """Writes a stream without ever seeking.

    Memory: one byte per signal and window (for the trailer's table).  A stream that is not closed has no
    trailer, which readers report as truncation.
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self.header = header
        self.budget = BitBudget()
        self._file = file
        self._crc = 0
        self._codes = bytearray()
        self._first_size = 0  # of packet 0
        self._last_size = 0
        self._sizes_vary = False  # among all packets but the last
        self._packets = 0
        self._last_frames = 0
        self._closed = False
        data = encode_header(header)
        file.write(data)
        self.budget.container += 8 * len(data)

    @property
    def windows(self) -> int:
        """Windows written so far."""
        return self._packets

    def write(self, window: Window) -> int:
        """Writes one window and returns the size of its packet in bytes.

        Raises ValueError if the window does not fit the header or follows a short one.
        """
        parameters = self.header.parameters
        if self._closed:
            raise ValueError("the stream is closed")
        if self._packets and self._last_frames < parameters.frames_per_window:
            raise ValueError("only the last window may be short")
        if self._packets == MAX_PACKETS:
            raise ValueError(f"a stream holds at most {MAX_PACKETS} windows")
        check_window(parameters, self.header.signals, window)
        codes = window.codes(parameters)
        if not self.header.codes_allowed(codes):
            raise ValueError(f"codes {codes} break the constant rate of {self.header.experts_total} experts")
        packet = encode_packet(parameters, self._packets, window)
        self._file.write(packet)
        self._crc = zlib.crc32(packet, self._crc)
        if self._packets == 0:
            self._first_size = len(packet)
        else:
            self._sizes_vary |= self._last_size != self._first_size
        self._last_size = len(packet)
        self._codes += bytes(codes)
        self._packets += 1
        self._last_frames = window.frames
        self.budget.add_packet(parameters, codes, window.frames)
        return len(packet)

    def close(self, total_samples: int | None = None) -> Trailer:
        """Writes the trailer; the file itself stays open.

        ``total_samples`` per channel at the original rate may be left out if the header has it.  Raises
        ValueError if it contradicts the header or the frames that were written.
        """
        if self._closed:
            raise ValueError("the stream is closed")
        header = self.header
        if total_samples is None:
            total_samples = header.total_samples
        if total_samples is None or header.total_samples not in (None, total_samples):
            raise ValueError(f"the header says {header.total_samples} samples, the end {total_samples}")
        header.check_total(total_samples)
        frames = header.frames_in(total_samples)
        full = header.parameters.frames_per_window
        written = max(self._packets - 1, 0) * full + self._last_frames
        if written != frames:
            raise ValueError(f"{total_samples} samples need {frames} frames, but {written} were written")
        common = 0 if self._packets < 2 or self._sizes_vary else self._first_size
        table = b"" if common else pack_table(header, bytes(self._codes))
        trailer = Trailer(total_samples, self._packets, self._crc, common, self._last_frames, table)
        data = encode_trailer(trailer)
        self._file.write(data)
        self.budget.container += 8 * len(data)
        self._closed = True
        return trailer

    @property
    def codes(self) -> np.ndarray:
        """Codes of all windows so far.  (windows, signals) uint8"""
        return np.frombuffer(bytes(self._codes), np.uint8).reshape(-1, self.header.signals)
