"""Packing: from coded chunks to packets, and the last step of rate control, which knows their real sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..bitstream import (
    COPY,
    SILENT,
    Block,
    BlockKind,
    BlockMode,
    Header,
    PacketLayout,
    StreamWriter,
    Window,
    coded_block,
    intensity_block,
)
from ..bitstream.index_model import IndexModel
from ..bitstream.modelled_payload import model_indices
from .chunks import CodedChunk
from .rate.allocation import CodingOptions, FloatArray, IntArray
from .rate.control import budget_bytes, coding_options
from .search.chunk_search import QuantizedChunk
from .settings import EncoderSettings
from .waveform_coder import WaveformCoder

CORRECTION_ROUNDS = 8  # of changes to a chunk, at most

Requantize = Callable[[QuantizedChunk, int, npt.NDArray[np.int64]], QuantizedChunk]
"""Quantizes one window of a chunk again with other numbers of experts: `StreamSearch.requantize`."""


class Packer:
    """Writes the windows of chunks to a stream.

    Args:
        writer: Of the stream.
        index_model: Codes the indices; None for plain ones.
        waveform_coder: Adds waveform layers; None for a stream without them.
        max_bytes: Size limit for a packet with a layer, which is left out where it does not fit.
    """

    def __init__(
        self,
        writer: StreamWriter,
        index_model: IndexModel | None,
        waveform_coder: WaveformCoder | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._writer, self._index_model = writer, index_model
        self._waveform_coder, self._max_bytes = waveform_coder, max_bytes

    def push(self, chunk: CodedChunk) -> None:
        """Write a chunk."""
        for window in self._windows(chunk):
            self._writer.write(window)

    def finish(self, samples: int) -> None:
        """Write what has been kept back, after `samples` samples per channel in total."""

    def _windows(self, chunk: CodedChunk, numbers: Sequence[int] | None = None) -> list[Window]:
        """The windows of a chunk, ready to be written; all, or those with some numbers."""
        plain = list(windows_of(chunk))
        chosen = range(len(plain)) if numbers is None else numbers
        windows, header = [plain[number] for number in chosen], self._writer.header
        coefficients = chunk.allocated.chunk.coefficients
        if self._waveform_coder is not None and coefficients is not None:
            size = header.parameters.frames_per_window
            pieces = [coefficients[:, number * size : (number + 1) * size] for number in chosen]
            windows = self._waveform_coder(windows, pieces)
        if self._index_model is not None:
            windows = model_indices(header.parameters, self._index_model, windows)
        if self._max_bytes is None:
            return windows
        sizes = _sizes(header.layout, windows)
        return [
            window if size <= self._max_bytes else without_layers(window)
            for window, size in zip(windows, sizes, strict=True)
        ]


class RateKeepingPacker(Packer):
    """Keeps the rate of a whole file, although the sizes of modelled indices are known only here.

    Rate control has chosen the modes by expected sizes. Wherever the packets so far are larger than they
    were expected to be, windows of the last chunk get fewer experts, those that they serve least; wherever
    there is room for an expert, a window gets it. The last chunk is kept back until the length of the audio
    is known, and then fitted to the whole rate.

    Args:
        writer: Of the stream.
        index_model: Codes the indices.
        waveform_coder: Adds waveform layers; None for a stream without them.
        settings: With an average rate.
        requantize: Of the search that the chunks come from.
    """

    def __init__(
        self,
        writer: StreamWriter,
        index_model: IndexModel,
        waveform_coder: WaveformCoder | None,
        settings: EncoderSettings,
        requantize: Requantize,
    ) -> None:
        super().__init__(writer, index_model, waveform_coder, layer_limit(settings, writer.header))
        self._settings, self._requantize = settings, requantize
        self._options = coding_options(settings, writer.header)
        self._kept: CodedChunk | None = None
        self._windows_written = 0
        self._expected = 0.0  # bytes of all packets so far
        self._spent = 0

    def push(self, chunk: CodedChunk) -> None:
        """Write the chunk before this one, and keep this one back."""
        if self._kept is not None:
            self._write(self._kept, None)
        self._kept = chunk

    def finish(self, samples: int) -> None:
        """Write the last chunk."""
        if self._kept is None:
            return
        header = self._writer.header
        windows = self._windows_written + self._kept.allocated.chunk.windows
        budget = budget_bytes(self._settings, header, windows, samples / header.original_rate)
        self._write(self._kept, budget)
        self._kept = None

    def _write(self, chunk: CodedChunk, budget: float | None) -> None:
        """Fit a chunk to the bytes expected so far, or to the budget of the whole stream, and write it."""
        fitted = _FittedChunk.of(chunk, self._options, self._windows(chunk), self._writer.header.layout)
        self._expected += float(fitted.expected.sum())
        limit = (self._expected if budget is None else budget) - self._spent
        fitted = self._fit(fitted, limit)
        for window in fitted.windows:
            self._writer.write(window)
        self._windows_written += len(fitted.windows)
        self._spent += fitted.total

    def _fit(self, chunk: _FittedChunk, limit: float) -> _FittedChunk:
        """The largest version of the chunk in at most `limit` bytes that is found, else the smallest one."""
        best = chunk
        for _ in range(CORRECTION_ROUNDS):
            excess = chunk.total - limit
            changes = chunk.reductions(excess) if excess > 0 else chunk.extensions(-excess)
            if not changes:
                break
            chunk = self._change(chunk, changes)
            best = min(best, chunk, key=lambda each: each.misfit(limit))
        return best

    def _change(self, fitted: _FittedChunk, changes: dict[int, int]) -> _FittedChunk:
        """The chunk with other options for some windows."""
        coded, quantized = fitted.chunk, fitted.chunk.quantized
        modes, masks = list(coded.allocated.modes), quantized.masks.copy()
        indices = list(quantized.indices)
        for window, option in changes.items():
            modes[window] = self._options.modes[option]
            counts = [mode.experts if mode.kind is BlockKind.CODED else -1 for mode in modes[window]]
            alone = self._requantize(quantized, window, np.array(counts, np.int64))
            masks[:, window], indices[window] = alone.masks[:, 0], alone.indices[0]
        chunk = CodedChunk(
            replace(coded.allocated, modes=modes), replace(quantized, masks=masks, indices=indices)
        )
        windows = list(fitted.windows)
        for window, changed in zip(changes, self._windows(chunk, list(changes)), strict=True):
            windows[window] = changed
        return fitted.changed(chunk, changes, windows, self._writer.header.layout)


@dataclass(frozen=True)
class _FittedChunk:
    """A chunk with what it takes to choose other options for its windows."""

    chunk: CodedChunk
    windows: list[Window]
    chosen: IntArray  # option of each window, (W,)
    sizes: IntArray  # real bytes, (W,)
    expected: IntArray  # bytes of the options that rate control chose, (W,)
    option_sizes: IntArray  # expected bytes, (W, O)
    distortion: FloatArray  # infinite for impossible options, (W, O)
    tried: frozenset[tuple[int, int]] = frozenset()  # windows and options that have been chosen

    @classmethod
    def of(
        cls, coded: CodedChunk, options: CodingOptions, windows: list[Window], layout: PacketLayout
    ) -> _FittedChunk:
        """A chunk as it comes from the search."""
        chunk, parameters = coded.allocated.chunk, layout.parameters
        possible = options.possible(chunk.silent, chunk.same, chunk.intensity)
        assert chunk.distortion is not None
        last_frames = (chunk.frames - 1) % parameters.frames_per_window + 1
        option_sizes = options.window_sizes(chunk.windows, last_frames, chunk.payload_bytes)
        numbers = {modes: number for number, modes in enumerate(options.modes)}
        chosen = np.array([numbers[tuple(modes)] for modes in coded.allocated.modes], np.int64)
        return cls(
            coded,
            windows,
            chosen,
            _sizes(layout, windows),
            option_sizes[np.arange(len(chosen)), chosen],
            option_sizes,
            options.distortion(chunk.distortion, possible),
            frozenset(enumerate(chosen.tolist())),
        )

    def changed(
        self, chunk: CodedChunk, changes: dict[int, int], windows: list[Window], layout: PacketLayout
    ) -> _FittedChunk:
        """The chunk with other options for some windows."""
        chosen = self.chosen.copy()
        chosen[list(changes)] = list(changes.values())
        return replace(
            self,
            chunk=chunk,
            windows=windows,
            chosen=chosen,
            sizes=_sizes(layout, windows),
            tried=self.tried | set(changes.items()),
        )

    @property
    def total(self) -> int:
        """Bytes of all packets."""
        return int(self.sizes.sum())

    def misfit(self, limit: float) -> tuple[bool, int]:
        """Less for better ways to use `limit` bytes: the most of them, else the least beyond them."""
        exceeds = self.total > limit
        return exceeds, self.total if exceeds else -self.total

    def reductions(self, excess: float) -> dict[int, int]:
        """Smaller options for windows that save about `excess` bytes at the least distortion."""
        changes: dict[int, int] = {}
        change, distortion = self._differences()
        while excess > 0:
            ratio = np.where(
                (change < 0) & np.isfinite(distortion), distortion / -np.minimum(change, -1e-9), np.inf
            )
            ratio[list(changes)] = np.inf
            window, option = divmod(int(ratio.argmin()), ratio.shape[1])
            if not np.isfinite(ratio[window, option]):
                break
            changes[window] = option
            excess += change[window, option]
        return changes

    def extensions(self, room: float) -> dict[int, int]:
        """Larger options for windows that fit into `room` bytes and lower the distortion most per byte."""
        changes: dict[int, int] = {}
        change, distortion = self._differences()
        distortion[tuple(np.array(sorted(self.tried)).T)] = (
            np.inf
        )  # an option that was given up was too large
        while True:
            useful = (change > 0) & (change <= room) & (distortion < 0)
            ratio = np.where(useful, distortion / np.maximum(change, 1e-9), 0)
            ratio[list(changes)] = 0
            window, option = divmod(int(ratio.argmin()), ratio.shape[1])
            if ratio[window, option] >= 0:
                return changes
            changes[window] = option
            room -= change[window, option]

    def _differences(self) -> tuple[FloatArray, FloatArray]:
        """Bytes and distortion of all options against the chosen ones. # (W, O) both

        Expected sizes are corrected by those of the chosen options, which are known.
        """
        rows = np.arange(len(self.chosen))
        scale = self.sizes / self.option_sizes[rows, self.chosen]
        change = self.option_sizes * scale[:, None] - self.sizes[:, None]
        return change, self.distortion - self.distortion[rows, self.chosen][:, None]


def layer_limit(settings: EncoderSettings, header: Header) -> int | None:
    """Size limit in bytes for packets with layers; None where there is none."""
    if settings.max_kbps is None:
        return None
    return settings.max_packet_bytes(header.parameters, header.signals)


def without_layers(window: Window) -> Window:
    """The same window without waveform layers."""
    return replace(window, blocks=tuple(replace(block, waveform=b"") for block in window.blocks))


def _sizes(layout: PacketLayout, windows: list[Window]) -> IntArray:
    """Sizes of the packets of windows, in bytes. # (W,)"""
    return np.array(
        [
            layout.packet_bytes(
                window.modes,
                window.frames,
                [len(block.modelled) for block in window.blocks if block.kind is BlockKind.CODED],
                [len(block.waveform) for block in window.blocks],
            )
            for window in windows
        ],
        np.int64,
    )


def windows_of(coded: CodedChunk) -> Iterator[Window]:
    """The windows of a chunk, with plain indices."""
    chunk, quantized = coded.allocated.chunk, coded.quantized
    for number, modes in enumerate(coded.allocated.modes):
        indices = quantized.indices[number]  # (signals, 1 + Nr, S, F)
        masks, levels = quantized.masks[:, number], chunk.levels[number]
        blocks = [
            _block(mode, mask, block_indices, levels)
            for mode, mask, block_indices in zip(modes, masks, indices, strict=True)
        ]
        yield Window(indices.shape[-1], tuple(blocks))


def _block(
    mode: BlockMode,
    mask: npt.NDArray[np.bool_],
    indices: npt.NDArray[np.uint16],
    levels: npt.NDArray[np.int64],
) -> Block:
    if mode.kind is BlockKind.SILENT:
        return SILENT
    if mode.kind is BlockKind.COPY:
        return COPY
    if mode.kind is BlockKind.INTENSITY:
        return intensity_block(levels.tolist())
    experts = np.flatnonzero(mask).tolist()
    return coded_block(tuple(experts), indices[[0, *(expert + 1 for expert in experts)]])
