"""Summary of a stream (inspect) and what is wrong with it (verify), without decoding audio."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import SwcError
from .additions import EncodingRequest, SourceDigest
from .bit_budget import BitBudget
from .header import Header
from .modes import BlockKind, BlockMode
from .rates import nominal_kbps
from .raw_packet import DamagedWindow, RawPacket, unpack
from .reader import StreamReader
from .window import Window

MAX_PROBLEMS = 1000  # damaged windows that are listed one by one
MIN_SECONDS_OF_RATE = 0.1  # below, header and trailer would make a rate of thousands of kbps


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
    unlisted: int = 0  # damaged windows beyond the first MAX_PROBLEMS

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
    layer_bytes: np.ndarray  # (windows, signals) int64, sizes of the waveform layers
    sound_frames: np.ndarray  # latent frames of the windows that are not damaged
    total_samples: int | None
    seconds: float  # of the recording; if its end is missing, of the windows found
    problems: tuple[Problem, ...]
    unlisted: int  # damaged windows beyond the first MAX_PROBLEMS
    source: SourceDigest | None
    request: EncodingRequest | None

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
    def index_count(self) -> int:
        """Number of codebook indices in all sound windows."""
        sound = (modes for modes in self.modes if modes is not None)
        parameters = self.header.parameters
        plain = sum(
            parameters.payload_bits(modes, int(frames))
            for modes, frames in zip(sound, self.sound_frames, strict=True)
        )
        return plain // parameters.index_bits

    @property
    def bits_per_index(self) -> float | None:
        """Mean cost of an index; None if there is none."""
        return self.budget.payload / self.index_count if self.index_count else None

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
    def real_kbps(self) -> float | None:
        """Rate of all that could be read; None for a recording that is too short to have one."""
        return self._kbps(self.budget.total)

    @property
    def packet_kbps(self) -> float | None:
        """Rate of the packets alone, without header and trailer; None as for real_kbps."""
        return self._kbps(8 * int(self.window_bytes.sum()))

    @property
    def layer_kbps(self) -> float | None:
        """Rate of the waveform layers; None as for real_kbps."""
        return self._kbps(self.budget.layers)

    def _kbps(self, bits: int) -> float | None:
        if self.seconds < MIN_SECONDS_OF_RATE:
            return None
        return bits / self.seconds / 1000

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
    problems = _Problems(reader.header)
    windows = 0
    try:
        for window in reader:
            windows += 1
            if isinstance(window, DamagedWindow):
                problems.add_window(window)
    except SwcError as error:
        problems.add_stream(error)
    return Report(
        header=reader.header,
        windows=windows,
        damaged=problems.windows,
        total_samples=reader.total_samples,
        problems=tuple(problems.listed),
        unlisted=problems.unlisted,
    )


def inspect(file: BinaryIO) -> Summary:
    """Reads and checks all packets, and summarises them; damage is listed.

    Raises:
        BadInputError: the header cannot be read.
    """
    reader = StreamReader(file)
    header, parameters = reader.header, reader.header.parameters
    contents = _Contents(header)
    problems = _Problems(header)
    try:
        for packet in reader.packets():
            window = unpack(header, packet) if isinstance(packet, RawPacket) else packet
            if isinstance(packet, RawPacket) and isinstance(window, Window):
                contents.add(window, len(packet.data))
            elif isinstance(window, DamagedWindow):
                contents.add_damaged(window)
                problems.add_window(window)
    except SwcError as error:
        problems.add_stream(error)
    budget, trailer = contents.budget, reader.trailer
    budget.container += 8 * reader.header_bytes + (8 * trailer.size if trailer else 0)
    seconds = contents.frames * parameters.hop / parameters.sample_rate
    if trailer is not None:
        seconds = trailer.total_samples / header.original_rate
    return Summary(
        header=header,
        budget=budget,
        modes=tuple(contents.modes),
        masks=contents.masks(),
        window_bytes=np.array(contents.sizes, np.int64),
        layer_bytes=np.array(contents.layer_sizes, np.int64).reshape(-1, header.signals),
        sound_frames=np.array(contents.sound_frames, np.int64),
        total_samples=reader.total_samples,
        seconds=seconds,
        problems=tuple(problems.listed),
        unlisted=problems.unlisted,
        source=trailer.source if trailer else None,
        request=trailer.request if trailer else None,
    )


class _Contents:
    """What the packets of a stream are made of."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._masks = bytearray()  # of all blocks, a byte for each expert
        self.modes: list[tuple[BlockMode, ...] | None] = []
        self.sizes: list[int] = []
        self.layer_sizes = array("H")  # of all blocks
        self.sound_frames: list[int] = []
        self.frames = 0
        self.budget = BitBudget()

    def add(self, window: Window, size: int) -> None:
        """Adds the window of a sound packet of this size."""
        chosen = np.zeros((len(window.blocks), self._header.parameters.experts), np.bool_)
        for signal, block in enumerate(window.blocks):
            chosen[signal, list(block.experts)] = True
        self.budget.add_packet(self._header.layout, window, size)
        self.sound_frames.append(window.frames)
        self.layer_sizes.extend(len(block.waveform) for block in window.blocks)
        self._add(window.modes, chosen.tobytes(), size, window.frames)

    def add_damaged(self, window: DamagedWindow) -> None:
        """Adds a damaged window."""
        no_masks = bytes(self._header.signals * self._header.parameters.experts)
        self.layer_sizes.extend([0] * self._header.signals)
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


class _Problems:
    """Collects problems, in bounded memory."""

    def __init__(self, header: Header) -> None:
        self._parameters = header.parameters
        self.listed: list[Problem] = []
        self.windows = 0  # damaged ones

    @property
    def unlisted(self) -> int:
        """Damaged windows that are not listed."""
        return max(0, self.windows - MAX_PROBLEMS)

    def add_window(self, window: DamagedWindow) -> None:
        """Adds a damaged window."""
        self.windows += 1
        if self.windows <= MAX_PROBLEMS:
            seconds = window.frames * self._parameters.hop / self._parameters.sample_rate
            self.listed.append(Problem(window.reason, window.index, window.start, window.start + seconds))

    def add_stream(self, error: SwcError) -> None:
        """Adds an error of the stream as a whole."""
        self.listed.append(Problem(str(error)))
