"""What a stream holds (inspect) and what is wrong with it (verify), without decoding any sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from ..errors import SwcError
from .bit_budget import BitBudget
from .header import Header
from .packet import HEAD_BYTES, PacketDamage, parse_masks
from .rates import nominal_kbps
from .reader import DamagedWindow, RawPacket, StreamReader


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; without a window it concerns the stream as a whole."""

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
    """The outcome of verify."""

    header: Header | None  # None if even the header cannot be read
    windows: int  # found, damaged ones included
    damaged: int
    total_samples: int | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.problems


@dataclass(frozen=True)
class Summary:
    """The outcome of inspect."""

    header: Header
    budget: BitBudget  # of what could be read
    codes: np.ndarray  # (windows, signals) uint8; 0..experts, silent, copy; 255 for a damaged window
    window_bytes: np.ndarray  # (windows,) int64; 0 for a damaged window
    masks: np.ndarray  # (windows, signals, experts) bool
    total_samples: int | None
    seconds: float  # of the recording; of the windows read where the total is unknown
    problems: tuple[Problem, ...] = field(default=())

    @property
    def windows(self) -> int:
        """Number of windows found."""
        return len(self.codes)

    @property
    def stream_bytes(self) -> int:
        """Size of all that could be read."""
        return -(-self.budget.total // 8)

    @property
    def real_kbps(self) -> float:
        """Real rate, everything included; 0 for a recording without length."""
        return self.budget.total / self.seconds / 1000 if self.seconds else 0.0

    @property
    def quantizers(self) -> float:
        """Quantizers per window over all signals: as promised by a constant rate, else on average."""
        if self.header.experts_total is not None:
            return self.header.signals + self.header.experts_total
        coded = self.codes <= self.header.parameters.experts
        return float(np.where(coded, self.codes.astype(int) + 1, 0).sum() / max(self.windows, 1))

    @property
    def nominal_kbps(self) -> float:
        """The nominal label."""
        return nominal_kbps(self.header.parameters, self.quantizers)

    @property
    def ratio_to_pcm(self) -> float:
        """How many times smaller than 16-bit PCM at the original rate and channels."""
        pcm_bits = self.seconds * self.header.original_rate * self.header.channels * 16
        return pcm_bits / self.budget.total

    @property
    def expert_use(self) -> np.ndarray:
        """How many windows use each expert.  (signals, experts)"""
        return self.masks.sum(axis=0)

    @property
    def silent_windows(self) -> int:
        """Windows in which every signal is silent."""
        return int((self.codes == self.header.parameters.silent_code).all(axis=1).sum())


def _window_problem(reader: StreamReader, packet: RawPacket | DamagedWindow, reason: str) -> Problem:
    start = reader.window_start(packet.index)
    parameters = reader.header.parameters
    seconds = packet.frames * parameters.hop / parameters.sample_rate
    return Problem(reason, packet.index, start, start + seconds)


def verify(file: BinaryIO) -> Report:
    """Reads the whole stream and lists everything that is wrong with it.  Raises nothing but OSError."""
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
                problems.append(_window_problem(reader, window, window.reason))
    except SwcError as error:
        problems.append(Problem(str(error)))
    return Report(reader.header, windows, damaged, reader.total_samples, tuple(problems))


def inspect(file: BinaryIO) -> Summary:
    """Reads all packets, not unpacking their indices, and sums up what they are made of.

    Damage is listed in the summary.  Raises BadInputError if the header cannot be read.
    """
    reader = StreamReader(file)
    header, parameters = reader.header, reader.header.parameters
    budget = BitBudget(container=8 * reader.header_bytes)
    codes = bytearray()
    sizes: list[int] = []
    masks = bytearray()
    problems = []
    frames = 0
    try:
        for packet in reader.packets():
            reason = packet.damage
            chosen = np.zeros((header.signals, parameters.experts), np.bool_)
            if reason is None:
                try:
                    experts = parse_masks(parameters, packet.frames, packet.codes, packet.data[:HEAD_BYTES])
                    for signal, mask in enumerate(experts):
                        chosen[signal, list(mask)] = True
                except PacketDamage as damage:
                    reason = str(damage)
            if reason is None:
                budget.add_packet(parameters, packet.codes, packet.frames)
                codes += bytes(packet.codes)
                sizes.append(len(packet.data))
            else:
                problems.append(_window_problem(reader, packet, reason))
                codes += b"\xff" * header.signals
                sizes.append(0)
            masks += chosen.tobytes()
            frames += packet.frames
    except SwcError as error:
        problems.append(Problem(str(error)))
    if reader.trailer:
        budget.container += 8 * reader.trailer.size
    total = reader.total_samples
    truncated = reader.trailer is None
    seconds = frames * parameters.hop / parameters.sample_rate
    return Summary(
        header,
        budget,
        np.frombuffer(bytes(codes), np.uint8).reshape(-1, header.signals),
        np.array(sizes, np.int64),
        np.frombuffer(bytes(masks), np.bool_).reshape(len(sizes), header.signals, parameters.experts),
        total,
        seconds if total is None or truncated else total / header.original_rate,
        tuple(problems),
    )
