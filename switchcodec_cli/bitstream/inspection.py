"""Summary of a stream (inspect) and what is wrong with it (verify), without decoding audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import SwcError
from .bit_budget import BitBudget
from .errors import PacketDamage
from .header import Header
from .modes import BlockKind, BlockMode
from .packet import parse_masks
from .rates import nominal_kbps
from .raw_packet import DamagedWindow, RawPacket, damaged_window
from .reader import StreamReader


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a window or, if ``window`` is None, with the stream as a whole."""

    reason: str
    window: int | None = None
    start: float | None = None  # seconds
    end: float | None = None

    def __str__(self) -> str:
        if self.window is None:
            return self.reason
        return f"window {self.window} ({self.start:.3f}-{self.end:.3f} s): {self.reason}"


@dataclass(frozen=True)
class Report:
    """The result of verify."""

    header: Header | None  # None if it cannot be read
    windows: int  # found, damaged ones included
    damaged: int
    total_samples: int | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True)
class Summary:
    """The result of inspect."""

    header: Header
    budget: BitBudget  # of what could be read
    modes: tuple[tuple[BlockMode, ...] | None, ...]  # of each window one per signal; None if it is damaged
    masks: np.ndarray  # (windows, signals, experts) bool: the experts in use
    window_bytes: np.ndarray  # (windows,) int64, sizes of the packets; 0 for damaged windows
    total_samples: int | None
    seconds: float  # of the recording; if its end is missing, of the windows found
    problems: tuple[Problem, ...]

    @property
    def windows(self) -> int:
        """Number of windows found."""
        return len(self.modes)

    @property
    def expert_use(self) -> np.ndarray:
        """Number of windows that use each expert.  # (signals, experts)"""
        use: np.ndarray = self.masks.sum(axis=0)
        return use

    @property
    def silent_windows(self) -> int:
        """Number of windows whose signals are all silent."""
        silent = (BlockMode(BlockKind.SILENT),) * self.header.signals
        return self.modes.count(silent)

    @property
    def coded_blocks(self) -> int:
        """Number of coded blocks in all windows."""
        sound = (modes for modes in self.modes if modes is not None)
        return sum(mode.kind is BlockKind.CODED for modes in sound for mode in modes)

    @property
    def quantizers(self) -> float:
        """Quantizers per window over all signals: that of a constant rate, else the mean."""
        if self.header.experts_total is not None:
            return self.header.signals + self.header.experts_total
        return (self.coded_blocks + int(self.masks.sum())) / max(self.windows, 1)

    @property
    def nominal_kbps(self) -> float:
        """Nominal label of the rate."""
        return nominal_kbps(self.header.parameters, self.quantizers)

    @property
    def stream_bytes(self) -> int:
        """Size of all that could be read."""
        return -(-self.budget.total // 8)

    @property
    def real_kbps(self) -> float:
        """Rate of all that could be read; 0 for a recording of no samples."""
        return self.budget.total / self.seconds / 1000 if self.seconds else 0.0

    @property
    def ratio_to_pcm(self) -> float:
        """Size of 16-bit PCM with the original rate and channels, divided by the size of the stream."""
        pcm_bits = self.seconds * self.header.original_rate * self.header.channels * 16
        return pcm_bits / self.budget.total


def verify(file: BinaryIO) -> Report:
    """Reads the whole stream and reports everything that is wrong with it. Raises only OSError."""
    try:
        reader = StreamReader(file)
    except SwcError as error:
        return Report(None, 0, 0, None, (Problem(str(error)),))
    problems = []
    windows = damaged = 0
    try:
        for window in reader:
            windows += 1
            if isinstance(window, DamagedWindow):
                damaged += 1
                problems.append(_window_problem(reader.header, window))
    except SwcError as error:
        problems.append(Problem(str(error)))
    return Report(reader.header, windows, damaged, reader.total_samples, tuple(problems))


def inspect(file: BinaryIO) -> Summary:
    """Reads all packets, without unpacking their indices, and summarises them; damage is listed.

    Raises:
        BadInputError: the header cannot be read.
    """
    reader = StreamReader(file)
    header, parameters = reader.header, reader.header.parameters
    contents = _Contents(header)
    problems = []
    try:
        for packet in reader.packets():
            if isinstance(packet, RawPacket):
                try:
                    contents.add(packet, parse_masks(parameters, header.signals, packet.data))
                    continue
                except PacketDamage as damage:
                    packet = damaged_window(header, packet.index, packet.frames, str(damage))
            contents.add_damaged(packet)
            problems.append(_window_problem(header, packet))
    except SwcError as error:
        problems.append(Problem(str(error)))
    budget = contents.budget
    budget.container += 8 * reader.header_bytes + (8 * reader.trailer.size if reader.trailer else 0)
    seconds = contents.frames * parameters.hop / parameters.sample_rate
    if reader.trailer is not None:
        seconds = reader.trailer.total_samples / header.original_rate
    return Summary(
        header=header,
        budget=budget,
        modes=tuple(contents.modes),
        masks=contents.masks(),
        window_bytes=np.array(contents.sizes, np.int64),
        total_samples=reader.total_samples,
        seconds=seconds,
        problems=tuple(problems),
    )


class _Contents:
    """What the packets of a stream are made of."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._masks = bytearray()  # of all blocks, a byte for each expert
        self.modes: list[tuple[BlockMode, ...] | None] = []
        self.sizes: list[int] = []
        self.frames = 0
        self.budget = BitBudget()

    def add(self, packet: RawPacket, masks: tuple[tuple[int, ...], ...]) -> None:
        """Adds a sound packet with these masks."""
        chosen = np.zeros((len(masks), self._header.parameters.experts), np.bool_)
        for signal, mask in enumerate(masks):
            chosen[signal, list(mask)] = True
        self.budget.add_packet(self._header.parameters, packet.modes, packet.frames)
        self._add(packet.modes, chosen.tobytes(), len(packet.data), packet.frames)

    def add_damaged(self, window: DamagedWindow) -> None:
        """Adds a damaged window."""
        no_masks = bytes(self._header.signals * self._header.parameters.experts)
        self._add(None, no_masks, 0, window.frames)

    def _add(self, modes: tuple[BlockMode, ...] | None, masks: bytes, size: int, frames: int) -> None:
        self.modes.append(modes)
        self._masks += masks
        self.sizes.append(size)
        self.frames += frames

    def masks(self) -> np.ndarray:
        """Masks of all blocks.  # (windows, signals, experts)"""
        flat = np.frombuffer(bytes(self._masks), np.bool_)
        return flat.reshape(len(self.sizes), self._header.signals, self._header.parameters.experts)


def _window_problem(header: Header, window: DamagedWindow) -> Problem:
    parameters = header.parameters
    seconds = window.frames * parameters.hop / parameters.sample_rate
    return Problem(window.reason, window.index, window.start, window.start + seconds)
