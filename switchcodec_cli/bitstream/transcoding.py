"""Streams at lower rates or with another coding of the indices, without audio and without networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import BadInputError, UsageError
from .fewer_experts import ExpertReducer
from .header import Header, RateMode, header_bytes
from .index_model import IndexModel
from .modelled_payload import index_intervals, masks_of, model_indices, restored_windows
from .modes import BlockKind, BlockMode
from .rans import TOTAL_BITS
from .raw_packet import DamagedWindow
from .reader import StreamReader
from .trailer import trailer_bytes
from .waveform_model import WaveformModel
from .window import Window
from .writer import StreamWriter

LANES = 32  # windows whose indices are coded together
CODER_BYTES = 3  # that the coder adds to a block
FIT_ROUNDS = 8  # of allocations, until the real size fits
FULL_SHARE = 0.99  # of a budget, at which it counts as used

LoadIndexModel = Callable[[Header], IndexModel]
"""Gives the index model for a stream; called where it is needed."""
LoadWaveformModel = Callable[[Header], WaveformModel]
"""Gives the waveform model for a stream; called where it is needed."""


@dataclass(frozen=True)
class TranscodeSettings:
    """What is changed; everything else stays as it is.

    Attributes:
        kbps: Rate of the whole file at most.
        experts: Largest number of experts per block.
        entropy_coded: Whether indices are coded with the index model; None: as the stream's flag says.

    Raises:
        UsageError: Both a rate and a number of experts are given, or one is out of range.
    """

    kbps: float | None = None
    experts: int | None = None
    entropy_coded: bool | None = None

    def __post_init__(self) -> None:
        if self.kbps is not None and self.experts is not None:
            raise UsageError("a rate and a number of experts exclude each other; give one of them")
        if self.kbps is not None and not (np.isfinite(self.kbps) and self.kbps > 0):
            raise UsageError(f"a rate must be a positive number of kbps, not {self.kbps}")
        if self.experts is not None and self.experts < 0:
            raise UsageError(f"the number of experts must not be negative, not {self.experts}")


def transcode(
    source: BinaryIO,
    target: BinaryIO,
    settings: TranscodeSettings,
    load: LoadIndexModel,
    load_waveform: LoadWaveformModel,
) -> StreamWriter:
    """Write a stream again with other settings.

    Experts are dropped from the end of each mask. For a rate, all windows keep at most the same number, some
    of them one more; the stream is then held in memory. Waveform layers stay as they are where no expert is
    dropped, see `ExpertReducer`. With plain indices, a stream of waveform layers is still one of
    entropy-coded packets, but none of its blocks is modelled.

    Args:
        source: The stream.
        target: Takes the new one.
        settings: What is changed.
        load: Gives the index model.
        load_waveform: Gives the waveform model.

    Returns:
        The writer, which is closed.

    Raises:
        BadInputError: The stream is damaged or truncated.
        UsageError: The rate is too low.
    """
    reader = StreamReader(source)
    header = _new_header(reader.header, settings)
    # both are read once, and only if they are needed
    index_model, waveform_model = cache(partial(load, header)), cache(partial(load_waveform, header))
    modelled = reader.header.entropy_coded if settings.entropy_coded is None else settings.entropy_coded
    coder = index_model if modelled else None
    keeps_all = settings.kbps is None and settings.experts is None
    windows = sound_windows(reader, index_model, None if keeps_all else waveform_model)
    reducer = ExpertReducer(header.parameters.experts, waveform_model)
    writer = StreamWriter(target, header)
    if settings.kbps is None:
        experts = header.parameters.experts if settings.experts is None else settings.experts
        write_windows(writer, _with_experts(windows, reducer, experts), coder)
    else:
        held = list(windows)  # reads the trailer too
        total = reader.total_samples or 0
        for window in _fit(held, header, settings.kbps, total / header.original_rate, reducer, coder):
            writer.write(window)
    trailer = reader.trailer
    if trailer is None:
        raise BadInputError("the stream has no trailer")
    writer.close(trailer.total_samples, trailer.source, trailer.request)
    return writer


def _with_experts(windows: Iterator[Window], reducer: ExpertReducer, experts: int) -> Iterator[Window]:
    """Windows with at most so many experts in each block."""
    while group := list(islice(windows, LANES)):
        yield from reducer(group, [experts] * len(group))


def _new_header(header: Header, settings: TranscodeSettings) -> Header:
    entropy_coded = header.entropy_coded if settings.entropy_coded is None else settings.entropy_coded
    entropy_coded |= header.waveform_layers
    if settings.kbps is not None:
        return replace(
            header,
            entropy_coded=entropy_coded,
            rate_mode=RateMode.AVERAGE,
            experts_total=None,
            nominal_bits_per_second=round(1000 * settings.kbps),
        )
    total = header.experts_total
    if settings.experts is not None and total is not None and settings.experts * header.signals < total:
        # blocks beside silent ones may have more experts than the others, so no number is exact any more
        mono = header.signals == 1
        return replace(
            header,
            entropy_coded=entropy_coded,
            rate_mode=RateMode.CONSTANT if mono else RateMode.QUALITY,
            experts_total=settings.experts if mono else None,
            nominal_bits_per_second=0,
        )
    return replace(header, entropy_coded=entropy_coded)


def sound_windows(
    reader: StreamReader,
    index_model: Callable[[], IndexModel],
    waveform_model: Callable[[], WaveformModel] | None,
) -> Iterator[Window]:
    """All windows of a stream, with plain indices.

    Args:
        reader: Of the stream, at its beginning.
        index_model: Gives the index model; called if the stream is entropy-coded.
        waveform_model: Gives the waveform model; called if the stream has waveform layers. None leaves them
            as they are.

    Raises:
        BadInputError: A window is damaged, or the stream as a whole is invalid or truncated.
    """
    for window in restored_windows(reader.header, index_model, waveform_model, iter(reader), 0, LANES):
        if isinstance(window, DamagedWindow):
            raise BadInputError(f"window {window.index} at {window.start:.3f} s is damaged ({window.reason})")
        yield window


def write_windows(
    writer: StreamWriter, windows: Iterable[Window], index_model: Callable[[], IndexModel] | None
) -> None:
    """Write windows with plain indices.

    Args:
        writer: Of the stream.
        windows: All of them, or those that follow.
        index_model: Gives the index model, with which indices are coded; called for each group of windows.
            None writes plain ones.
    """
    header, remaining = writer.header, iter(windows)
    while group := list(islice(remaining, LANES)):
        if index_model is not None:
            group = model_indices(header.parameters, index_model(), group)
        for window in group:
            writer.write(window)


def _fit(
    windows: list[Window],
    header: Header,
    kbps: float,
    seconds: float,
    reducer: ExpertReducer,
    index_model: Callable[[], IndexModel] | None,
) -> list[Window]:
    """The windows in a rate, coded as they are to be written. Raises UsageError."""
    budget = kbps * 125 * seconds - header_bytes(header) - trailer_bytes(header, len(windows))
    sizes = _expected_sizes(windows, header, reducer, index_model)  # (windows, Nr + 1)
    best, best_size, aim = None, -1, budget
    fits, exceeds = -np.inf, np.inf  # largest aim that has fitted, smallest one that has not
    for number in range(FIT_ROUNDS):
        if best is None and number == FIT_ROUNDS - 1:
            aim = -np.inf  # the smallest stream, before giving up
        kept = _allocate(sizes, aim)
        fewer = reducer(windows, kept.tolist())
        if index_model is not None:
            fewer = model_indices(header.parameters, index_model(), fewer)
        size = sum(_packet_bytes(header, window) for window in fewer)
        if best_size < size <= budget:
            best, best_size = fewer, size
        everything = (kept == header.parameters.experts).all()
        if size <= budget and (size >= FULL_SHARE * budget or everything):
            break
        fits, exceeds = (max(fits, aim), exceeds) if size <= budget else (fits, min(exceeds, aim))
        aim += budget - size
        if not fits < aim < exceeds:
            aim = (fits + exceeds) / 2
    if best is None:
        raise UsageError(f"{kbps:g} kbps is too low for this stream")
    return best


def _packet_bytes(header: Header, window: Window) -> int:
    coded = [block for block in window.blocks if block.kind is BlockKind.CODED]
    sizes, layers = [len(block.modelled) for block in coded], [len(block.waveform) for block in coded]
    return header.layout.packet_bytes(window.modes, window.frames, sizes, layers)


def _expected_sizes(
    windows: list[Window],
    header: Header,
    reducer: ExpertReducer,
    index_model: Callable[[], IndexModel] | None,
) -> npt.NDArray[np.float64]:
    """Bytes of the packet of each window with at most so many experts. # (windows, Nr + 1)"""
    most = header.parameters.experts
    sizes = np.zeros((len(windows), most + 1))
    for count in range(most + 1):
        for number, window in enumerate(windows):
            modes = [BlockMode(mode.kind, min(mode.experts, count)) for mode in window.modes]
            coded = sum(mode.kind is BlockKind.CODED for mode in modes)
            sizes[number, count] = header.layout.packet_bytes(modes, window.frames, [0] * coded)
        if header.waveform_layers:
            for at in range(0, len(windows), LANES):
                sizes[at : at + LANES, count] += reducer.layer_bytes(windows[at : at + LANES], count)
    if index_model is None:
        return sizes
    coded_blocks = [
        (number, block)
        for number, window in enumerate(windows)
        for block in window.blocks
        if block.kind is BlockKind.CODED
    ]
    model = index_model()
    for at in range(0, len(coded_blocks), LANES):
        numbers, blocks = zip(*coded_blocks[at : at + LANES], strict=True)
        flat = [block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64) for block in blocks]
        frequencies = index_intervals(model, masks_of(model, blocks), flat)[1]
        bits = TOTAL_BITS - np.log2(frequencies)  # of the longest block, (n, S of all quantizers, T)
        for number, block, row in zip(numbers, blocks, bits, strict=True):
            quantizers, codebooks, frames = block.indices.shape
            per_codebook = row[: quantizers * codebooks, :frames].sum(1)
            modelled = per_codebook.reshape(quantizers, -1).sum(1).cumsum() / 8 + CODER_BYTES
            for count in range(most + 1):
                kept = min(count, len(block.experts))
                plain = header.parameters.plain_bytes(kept, frames)
                sizes[number, count] += min(modelled[kept] - plain, 0)
    return sizes


def _allocate(sizes: npt.NDArray[np.float64], budget: float) -> npt.NDArray[np.int64]:
    """Largest numbers of experts, equal but for one, that fit into a budget. # (windows,)"""
    totals = sizes.sum(0)
    level = max(0, int((totals <= budget).sum()) - 1)
    kept = np.full(len(sizes), level)
    if level + 1 < sizes.shape[1] and totals[level] <= budget and len(sizes):
        # one more expert in windows spread evenly over the recording
        step = (totals[level + 1] - totals[level]) / len(sizes)
        number = int((budget - totals[level]) / step) if step > 0 else len(sizes)
        number = min(number, len(sizes))
        chosen = np.floor(np.arange(number) * len(sizes) / max(number, 1)).astype(np.int64)
        kept[chosen] += 1
    return kept
