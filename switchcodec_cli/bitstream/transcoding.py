"""Streams at lower rates or with another coding of the indices, without audio and without networks.

Experts are applied in ascending order, so the first experts of a mask with their indices are a valid block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import BadInputError, UsageError
from .header import Header, RateMode, header_bytes
from .index_model import IndexModel
from .modelled_payload import index_intervals, masks_of, model_indices, restored_windows
from .modes import BlockKind
from .rans import TOTAL_BITS
from .raw_packet import DamagedWindow
from .reader import StreamReader
from .trailer import trailer_bytes
from .window import Block, Window, coded_block
from .writer import StreamWriter

LANES = 32  # windows whose indices are coded together
CODER_BYTES = 3  # that the coder adds to a block
FIT_ROUNDS = 8  # of allocations, until the real size fits
FULL_SHARE = 0.99  # of a budget, at which it counts as used

LoadIndexModel = Callable[[Header], IndexModel]
"""Gives the index model for a stream; called where it is needed."""


@dataclass(frozen=True)
class TranscodeSettings:
    """What is changed; everything else stays as it is.

    Attributes:
        kbps: Rate of the whole file at most.
        experts: Largest number of experts per block.
        entropy_coded: Whether indices are coded with the index model; None: as they are.

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
    source: BinaryIO, target: BinaryIO, settings: TranscodeSettings, load: LoadIndexModel
) -> StreamWriter:
    """Write a stream again with other settings.

    Experts are dropped from the end of each mask. For a rate, all windows keep at most the same number, some
    of them one more; the stream is then held in memory.

    Args:
        source: The stream.
        target: Takes the new one.
        settings: What is changed.
        load: Gives the index model.

    Returns:
        The writer, which is closed.

    Raises:
        BadInputError: The stream is damaged or truncated.
        UsageError: The rate is too low, or the stream has waveform layers.
    """
    reader = StreamReader(source)
    if reader.header.waveform_layers:
        raise UsageError("streams with waveform layers cannot be transcoded")
    header = _new_header(reader.header, settings)
    index_model = cache(partial(load, header))  # read once, and only if an index is modelled
    windows = sound_windows(reader, index_model)
    writer = StreamWriter(target, header)
    if settings.kbps is None:
        write_windows(writer, (keep_experts(window, settings.experts) for window in windows), index_model)
    else:
        held = list(windows)  # reads the trailer too
        total = reader.total_samples or 0
        for window in _fit(held, header, settings.kbps, total / header.original_rate, index_model):
            writer.write(window)
    trailer = reader.trailer
    if trailer is None:
        raise BadInputError("the stream has no trailer")
    writer.close(trailer.total_samples, trailer.source, trailer.request)
    return writer


def keep_experts(window: Window, experts: int | None) -> Window:
    """The window with at most so many experts in each block; None keeps all."""
    if experts is None:
        return window
    return replace(window, blocks=tuple(_keep(block, experts) for block in window.blocks))


def _keep(block: Block, experts: int) -> Block:
    if len(block.experts) <= experts:
        return block
    return coded_block(block.experts[:experts], block.indices[: 1 + experts])


def _new_header(header: Header, settings: TranscodeSettings) -> Header:
    entropy_coded = header.entropy_coded if settings.entropy_coded is None else settings.entropy_coded
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


def sound_windows(reader: StreamReader, index_model: Callable[[], IndexModel]) -> Iterator[Window]:
    """All windows of a stream, with plain indices.

    Args:
        reader: Of the stream, at its beginning.
        index_model: Gives the index model; called if the stream is entropy-coded.

    Raises:
        BadInputError: A window is damaged, or the stream as a whole is invalid or truncated.
    """
    for window in restored_windows(reader.header, index_model, None, iter(reader), 0, LANES):
        if isinstance(window, DamagedWindow):
            raise BadInputError(f"window {window.index} at {window.start:.3f} s is damaged ({window.reason})")
        yield window


def write_windows(
    writer: StreamWriter, windows: Iterable[Window], index_model: Callable[[], IndexModel]
) -> None:
    """Write windows with plain indices, coded as the header of the stream says.

    Args:
        writer: Of the stream.
        windows: All of them, or those that follow.
        index_model: Gives the index model; called for each group of windows if the stream is entropy-coded.
    """
    header, remaining = writer.header, iter(windows)
    while group := list(islice(remaining, LANES)):
        if header.entropy_coded:
            group = model_indices(header.parameters, index_model(), group)
        for window in group:
            writer.write(window)


def _fit(
    windows: list[Window], header: Header, kbps: float, seconds: float, index_model: Callable[[], IndexModel]
) -> list[Window]:
    """The windows in a rate, coded as they are to be written. Raises UsageError."""
    budget = kbps * 125 * seconds - header_bytes(header) - trailer_bytes(header, len(windows))
    sizes = _expected_sizes(windows, header, index_model)  # (windows, Nr + 1)
    best, best_size, aim = None, -1, budget
    for _ in range(FIT_ROUNDS):
        kept = _allocate(sizes, aim)
        fewer = [keep_experts(window, int(count)) for window, count in zip(windows, kept, strict=True)]
        if header.entropy_coded:
            fewer = model_indices(header.parameters, index_model(), fewer)
        size = sum(_packet_bytes(header, window) for window in fewer)
        if best_size < size <= budget:
            best, best_size = fewer, size
        everything = (kept == header.parameters.experts).all()
        if size <= budget and (size >= FULL_SHARE * budget or everything):
            break
        aim += budget - size
    if best is None:
        raise UsageError(f"{kbps:g} kbps is too low for this stream")
    return best


def _packet_bytes(header: Header, window: Window) -> int:
    sizes = [len(block.modelled) for block in window.blocks if block.kind is BlockKind.CODED]
    return header.layout.packet_bytes(window.modes, window.frames, sizes)


def _expected_sizes(
    windows: list[Window], header: Header, index_model: Callable[[], IndexModel]
) -> npt.NDArray[np.float64]:
    """Bytes of the packet of each window with at most so many experts. # (windows, Nr + 1)"""
    most = header.parameters.experts
    sizes = np.zeros((len(windows), most + 1))
    for number, window in enumerate(windows):
        for count in range(most + 1):
            sizes[number, count] = _packet_bytes(header, keep_experts(window, count))
    if not header.entropy_coded:
        return sizes
    coded = [
        (number, block)
        for number, window in enumerate(windows)
        for block in window.blocks
        if block.kind is BlockKind.CODED
    ]
    model = index_model()
    for at in range(0, len(coded), LANES):
        numbers, blocks = zip(*coded[at : at + LANES], strict=True)
        flat = [block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64) for block in blocks]
        frequencies = index_intervals(model, masks_of(model, blocks), flat)[1]
        bits = (TOTAL_BITS - np.log2(frequencies)).sum(2)  # (n, S of all quantizers)
        for number, block, row in zip(numbers, blocks, bits, strict=True):
            per_quantizer = row[: block.indices.shape[0] * block.indices.shape[1]]
            modelled = per_quantizer.reshape(len(block.indices), -1).sum(1).cumsum() / 8 + CODER_BYTES
            for count in range(most + 1):
                kept = min(count, len(block.experts))
                plain = header.parameters.plain_bytes(kept, block.indices.shape[-1])
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
