"""Rate control: the modes of all blocks under a constant rate, an average rate or a quality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

import numpy as np

from ...bitstream import (
    BlockKind,
    BlockMode,
    Header,
    RateMode,
    attainable_rates,
    header_bytes,
    trailer_bytes,
)
from ..chunks import AnalysedChunk, ChunkModes
from ..settings import EncoderSettings
from .allocation import CodingOptions, FloatArray, IntArray, minimise_cost, minimise_distortion

LOOK_AHEAD_CHUNKS = 4  # of 8 windows: an average rate without a first pass looks 32 seconds ahead

# Lagrange multiplier of a quality, in distortion per kbps: at quality 0, and the ratio per step of quality
MULTIPLIER_AT_0, MULTIPLIER_RATIO = 0.22, 10**-0.25


class Allocator(ABC):
    """Chooses the modes of chunks, in order."""

    @abstractmethod
    def push(self, chunk: AnalysedChunk) -> list[ChunkModes]:
        """Take the next chunk; returns the modes of the chunks that are decided now."""

    @abstractmethod
    def finish(self, samples: int) -> list[ChunkModes]:
        """The modes of the remaining chunks, after `samples` samples per channel in total."""


@dataclass(frozen=True)
class RateAllocation:
    """The modes of all windows of a recording, from a first pass over it."""

    modes: ChunkModes


class FirstPassAllocator(Allocator):
    """Applies the result of a first pass.

    Args:
        allocation: The result.
    """

    def __init__(self, allocation: RateAllocation) -> None:
        self._modes, self._position = allocation.modes, 0

    def push(self, chunk: AnalysedChunk) -> list[ChunkModes]:
        """The modes of the chunk."""
        start = self._position
        self._position += chunk.windows
        return [self._modes[start : self._position]]

    def finish(self, samples: int) -> list[ChunkModes]:
        """Nothing; all chunks are decided."""
        return []


@dataclass(frozen=True)
class _Undecided:
    """The options of a chunk's windows."""

    distortion: FloatArray  # infinite for impossible options, (W, O)
    sizes: IntArray  # bytes, (W, O)


class RateControl(Allocator):
    """Chooses modes by distortion and size.

    Constant rates and qualities are decided chunk by chunk, average rates as soon as `look_ahead` further
    chunks are known.

    Args:
        settings: The rate.
        header: Of the stream.
        look_ahead: Chunks for an average rate; None waits for the end.
    """

    def __init__(
        self, settings: EncoderSettings, header: Header, look_ahead: int | None = LOOK_AHEAD_CHUNKS
    ) -> None:
        self._settings, self._header, self._look_ahead = settings, header, look_ahead
        self._parameters = header.parameters
        self._options = coding_options(settings, header)
        self._undecided: deque[_Undecided] = deque()
        self._windows = self._frames = 0  # in all chunks so far
        # bytes for a short window that may follow, and for what it adds to the trailer
        short = (BlockMode(BlockKind.CODED, 0),) * header.signals
        self._reserve = header.parameters.packet_bytes(short, 1) + 8
        self._spent = 0  # bytes of the packets decided on

    def push(self, chunk: AnalysedChunk) -> list[ChunkModes]:
        """Take the next chunk; returns the modes of the chunks that are decided now."""
        possible = self._options.possible(chunk.silent, chunk.same, chunk.intensity)
        distortion = self._options.distortion(self._tables(chunk), possible)
        last_frames = (chunk.frames - 1) % self._parameters.frames_per_window + 1
        sizes = self._options.window_sizes(chunk.windows, last_frames, chunk.payload_bytes)
        self._windows += chunk.windows
        self._frames += chunk.frames
        if self._header.rate_mode != RateMode.AVERAGE:
            chosen = minimise_cost(distortion, sizes, self._multiplier())
            return [self._modes_of(chosen)]
        self._undecided.append(_Undecided(distortion, sizes))
        if self._look_ahead is None or len(self._undecided) <= self._look_ahead:
            return []
        # the last latent frame may be padded
        seconds = (self._frames - 1) * self._parameters.hop / self._parameters.sample_rate
        return self._decide(seconds, 1, self._reserve)

    def finish(self, samples: int) -> list[ChunkModes]:
        """The modes of the remaining chunks, after `samples` samples per channel in total."""
        return self._decide(samples / self._header.original_rate, len(self._undecided))

    def _tables(self, chunk: AnalysedChunk) -> FloatArray:
        """Distortion by number of experts; where there is no estimate, more experts are better."""
        if chunk.distortion is not None:
            return chunk.distortion
        falling = -np.arange(self._parameters.experts + 1.0)
        return np.broadcast_to(falling, (*chunk.silent.shape, len(falling)))

    def _multiplier(self) -> float:
        """The Lagrange multiplier, in distortion per byte of a packet."""
        if self._settings.quality is None:
            return 0.0
        kbps_per_byte = 8e-3 / self._parameters.window_seconds
        multiplier: float = MULTIPLIER_AT_0 * MULTIPLIER_RATIO**self._settings.quality * kbps_per_byte
        return multiplier

    def _modes_of(self, chosen: IntArray) -> ChunkModes:
        return [self._options.modes[option] for option in chosen]

    def _decide(self, seconds: float, count: int, reserve: int = 0) -> list[ChunkModes]:
        """Decide the first `count` undecided chunks for an average rate.

        Args:
            seconds: Length of the audio known so far.
            count: Chunks to decide.
            reserve: Bytes to be left over.
        """
        if not count or self._settings.average_kbps is None:
            return []
        budget = budget_bytes(self._settings, self._header, self._windows, seconds) - reserve - self._spent
        distortion = np.concatenate([each.distortion for each in self._undecided])
        sizes = np.concatenate([each.sizes for each in self._undecided])
        chosen = minimise_distortion(distortion, sizes, budget)
        decided = []
        for _ in range(count):
            windows = len(self._undecided.popleft().sizes)
            decided.append(self._modes_of(chosen[:windows]))
            self._spent += int(sizes[np.arange(windows), chosen[:windows]].sum())
            chosen, sizes = chosen[windows:], sizes[windows:]
        return decided


def coding_options(settings: EncoderSettings, header: Header) -> CodingOptions:
    """The options of a window of a stream."""
    max_bytes = settings.max_packet_bytes(header.parameters, header.signals)
    if header.entropy_coded and settings.max_kbps is None:
        max_bytes = header.packet_sizes()[-1]
    return CodingOptions.of(header.layout, header.experts_total, max_bytes)


def budget_bytes(settings: EncoderSettings, header: Header, windows: int, seconds: float) -> float:
    """Bytes for the packets of a stream with a rate of the whole file.

    Args:
        settings: With an average rate.
        header: Of the stream.
        windows: Number of packets.
        seconds: Length of the audio.
    """
    container = header_bytes(header) + trailer_bytes(header, windows)
    return (settings.average_kbps or 0.0) * 125 * seconds - container


def index_cost_experts(settings: EncoderSettings, header: Header) -> int | None:
    """Number of experts to measure the sizes of modelled indices with; None where they are not needed."""
    if settings.constant or not header.entropy_coded:
        return None
    if settings.average_kbps is None:
        return header.parameters.experts // 2
    rates = attainable_rates(header.parameters, 1)
    affordable = sum(rate.real_kbps <= settings.average_kbps / header.signals for rate in rates)
    return min(affordable, header.parameters.experts)  # one more than plain indices permit


def needs_distortion(settings: EncoderSettings, header: Header) -> bool:
    """Whether rate control has a choice: the experts of a window, or their split between two signals."""
    return not settings.constant or (
        header.signals == 2 and 0 < (header.experts_total or 0) < 2 * header.parameters.experts
    )
