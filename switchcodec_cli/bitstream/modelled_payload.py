"""Modelled indices of blocks: the index model's frequencies and the rANS coder together.

`restored_windows` also decodes the waveform layers of blocks (see `waveform_layer`).

The indices of a block are coded frame by frame, within a frame in the order of their codebooks. The very
last one is not modelled: it is the tail of the coder. Each block is coded on its own; blocks advance together
as lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..errors import BadInputError
from .header import Header
from .index_model import IndexModel, Integers, Masks
from .modes import BlockKind
from .parameters import StreamParameters
from .rans import TOTAL, Lanes, RansDecoder, RansEncoder
from .raw_packet import DamagedWindow, damaged_window
from .waveform_layer import decode_layers
from .waveform_model import WaveformModel
from .window import Block, Window, coded_block, modelled_block

ENCODER_LANES = 64  # blocks encoded at once, which bounds the memory


@dataclass(frozen=True)
class DecodedBlocks:
    """Indices of blocks.

    Attributes:
        indices: Of each block; arbitrary in damaged blocks. # (S, T)
        damage: What is wrong with each damaged block, by its number.
    """

    indices: list[Integers]
    damage: dict[int, str]


def model_indices(parameters: StreamParameters, model: IndexModel, windows: Sequence[Window]) -> list[Window]:
    """Code the indices of windows with the index model, in every block where that makes them smaller.

    Args:
        parameters: Of the stream.
        model: The index model.
        windows: With plain indices.
    """
    coded = [block for window in windows for block in window.blocks if block.kind is BlockKind.CODED]
    if not coded:
        return list(windows)
    masks = masks_of(model, coded)
    payloads = encode_blocks(model, masks, [_by_codebook(block) for block in coded])
    smaller = iter(
        modelled_block(block.experts, payload, block.waveform)
        if len(payload) < parameters.plain_bytes(len(block.experts), block.indices.shape[-1])
        else block
        for block, payload in zip(coded, payloads, strict=True)
    )
    return [
        replace(
            window,
            blocks=tuple(
                next(smaller) if block.kind is BlockKind.CODED else block for block in window.blocks
            ),
        )
        for window in windows
    ]


def restore_indices(
    header: Header, model: IndexModel, windows: Sequence[Window | DamagedWindow], first: int
) -> list[Window | DamagedWindow]:
    """Decode the modelled indices of windows; windows whose indices cannot be decoded are damaged.

    Args:
        header: Of the stream.
        model: The index model.
        windows: Consecutive windows of a stream.
        first: Number of the first of them.
    """
    coded = [
        (number, window.frames, block)
        for number, window in enumerate(windows)
        if isinstance(window, Window)
        for block in window.blocks
        if block.modelled
    ]
    if not coded:
        return list(windows)
    numbers, frames, blocks = zip(*coded, strict=True)
    decoded = decode_blocks(model, masks_of(model, blocks), frames, [block.modelled for block in blocks])
    per_quantizer = header.parameters.codebooks_per_quantizer
    plain = iter(
        coded_block(
            block.experts,
            indices.reshape(-1, per_quantizer, indices.shape[-1]).astype(np.uint16),
            block.waveform,
        )
        for block, indices in zip(blocks, decoded.indices, strict=True)
    )
    restored = [
        replace(window, blocks=tuple(next(plain) if block.modelled else block for block in window.blocks))
        if isinstance(window, Window)
        else window
        for window in windows
    ]
    for lane, reason in decoded.damage.items():
        number, length = numbers[lane], frames[lane]
        restored[number] = damaged_window(header, first + number, length, f"modelled indices: {reason}")
    return restored


def restore_layers(
    header: Header, model: WaveformModel, windows: Sequence[Window | DamagedWindow], first: int
) -> list[Window | DamagedWindow]:
    """Decode the waveform layers of windows; windows with a layer that cannot be decoded are damaged.

    Args:
        header: Of the stream.
        model: The waveform model.
        windows: Consecutive windows of a stream, with plain indices.
        first: Number of the first of them.
    """
    with_layers = [
        (number, window.frames, block)
        for number, window in enumerate(windows)
        if isinstance(window, Window)
        for block in window.blocks
        if block.waveform
    ]
    if not with_layers:
        return list(windows)
    numbers, frames, blocks = zip(*with_layers, strict=True)
    masks = masks_of_blocks(header.parameters.experts, blocks)
    sizes = model.sizes(masks, [_by_codebook(block) for block in blocks])
    decoded = decode_layers(model.tensors, sizes, [block.waveform for block in blocks])
    complete = iter(
        replace(block, coefficients=values) for block, values in zip(blocks, decoded.values, strict=True)
    )
    restored = [
        replace(window, blocks=tuple(next(complete) if block.waveform else block for block in window.blocks))
        if isinstance(window, Window)
        else window
        for window in windows
    ]
    for lane, reason in decoded.damage.items():
        number, length = numbers[lane], frames[lane]
        restored[number] = damaged_window(header, first + number, length, f"waveform layer: {reason}")
    return restored


def restored_windows(
    header: Header,
    index_model: Callable[[], IndexModel],
    waveform_model: Callable[[], WaveformModel] | None,
    windows: Iterator[Window | DamagedWindow],
    first: int,
    lanes: int,
) -> Iterator[Window | DamagedWindow]:
    """Windows of a stream with plain indices and decoded waveform layers, several at a time.

    See `restore_indices` and `restore_layers`. An error of the stream is raised after all windows before it.

    Args:
        header: Of the stream.
        index_model: Gives the index model; called if the stream is entropy-coded.
        waveform_model: Gives the waveform model; called if the stream has waveform layers. None leaves the
            layers as they are stored, without checking them.
        windows: Of the stream.
        first: Number of the first of them.
        lanes: Windows decoded together.
    """
    if not header.entropy_coded:
        yield from windows
        return
    model = index_model()
    layers = waveform_model() if waveform_model is not None and header.waveform_layers else None
    while True:
        group, error = _take(windows, lanes)
        restored = restore_indices(header, model, group, first)
        yield from restored if layers is None else restore_layers(header, layers, restored, first)
        first += len(group)
        if error is not None:
            raise error
        if not group:
            return


def _take(
    windows: Iterator[Window | DamagedWindow], count: int
) -> tuple[list[Window | DamagedWindow], BadInputError | None]:
    """The next windows, up to `count`, and the error that ended them."""
    group: list[Window | DamagedWindow] = []
    try:
        for window in islice(windows, count):
            group.append(window)
    except BadInputError as error:
        return group, error
    return group, None


def masks_of(model: IndexModel, blocks: Sequence[Block]) -> Masks:
    """Masks of blocks. # (n, Nr)"""
    return masks_of_blocks(model.tensors.experts, blocks)


def masks_of_blocks(experts: int, blocks: Sequence[Block]) -> Masks:
    """Masks of blocks among so many experts. # (n, Nr)"""
    masks = np.zeros((len(blocks), experts), np.bool_)
    for row, block in zip(masks, blocks, strict=True):
        row[list(block.experts)] = True
    return masks


def _by_codebook(block: Block) -> Integers:
    """The indices of a block, by codebook and frame.  # (S, T)"""
    return block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64)


def encode_blocks(model: IndexModel, masks: Masks, indices: Sequence[Integers]) -> list[bytes]:
    """Encode blocks.

    Args:
        model: The index model.
        masks: Of the blocks. # (n, Nr)
        indices: Of each block, the codebooks of the shared quantizer and of the mask's experts. # (S, T)

    Returns:
        The payload of each block.
    """
    payloads: list[bytes] = []
    for begin in range(0, len(indices), ENCODER_LANES):
        end = begin + ENCODER_LANES
        payloads += _encode_lanes(model, masks[begin:end], indices[begin:end])
    return payloads


def _encode_lanes(model: IndexModel, masks: Masks, indices: Sequence[Integers]) -> list[bytes]:
    starts, frequencies = index_intervals(model, masks, indices)
    shapes = [block.shape for block in indices]
    tails = np.array([int(block[-1, -1]) for block in indices]) * (TOTAL // model.tensors.size)
    encoder = RansEncoder(tails, max(s * t for s, t in shapes))
    codebooks, frames = np.array(shapes).T
    for t in range(int(frames.max()) - 1, -1, -1):
        for s in range(int(codebooks.max()) - 1, -1, -1):
            lanes = np.flatnonzero((frames > t) & (codebooks - (frames == t + 1) > s))
            encoder.push(lanes, starts[lanes, s, t], frequencies[lanes, s, t])
    return encoder.finish()


def index_intervals(
    model: IndexModel, masks: Masks, indices: Sequence[Integers]
) -> tuple[Integers, Integers]:
    """Starts and frequencies of the indices of blocks; an index costs 16 - log2(frequency) bits.

    The last index of a block is included, though it is coded as the tail.

    Returns:
        Both for the longest S and T; what a block does not have is 0 and 1. # (n, S, T)
    """
    tensors = model.tensors
    books = [tensors.codebooks_of(mask) for mask in masks]
    frames = max(block.shape[1] for block in indices)
    places = np.zeros((len(indices), tensors.codebooks, frames), np.int64)
    for lane, (block, book) in enumerate(zip(indices, books, strict=True)):
        places[lane, book, : block.shape[1]] = tensors.places[book[:, None], block]
    found = model.intervals(masks, places)
    shape = (len(indices), max(len(book) for book in books), frames)
    starts, frequencies = np.zeros(shape, np.int64), np.ones(shape, np.int64)
    for lane, (block, book) in enumerate(zip(indices, books, strict=True)):
        starts[lane, : len(book), : block.shape[1]] = found[0][lane, book, : block.shape[1]]
        frequencies[lane, : len(book), : block.shape[1]] = found[1][lane, book, : block.shape[1]]
    return starts, frequencies


def decode_blocks(
    model: IndexModel, masks: Masks, frames: Sequence[int], payloads: Sequence[bytes]
) -> DecodedBlocks:
    """Decode blocks, in a time that depends on masks and frames only.

    Args:
        model: The index model.
        masks: Of the blocks. # (n, Nr)
        frames: Number of frames of each block.
        payloads: Of each block.
    """
    if not payloads:
        return DecodedBlocks([], {})
    tensors = model.tensors
    books = [tensors.codebooks_of(mask) for mask in masks]
    depths, lengths = np.array([len(book) for book in books]), np.array(frames)
    table = np.zeros((len(books), depths.max()), np.int64)
    for lane, book in enumerate(books):
        table[lane, : len(book)] = book
    indices = np.zeros((*table.shape, lengths.max()), np.int64)
    decoder, context = RansDecoder(payloads), model.start(masks)
    per_quantizer = tensors.codebooks // (tensors.experts + 1)
    for t in range(indices.shape[2]):
        context.next_frame()
        if t == 0 or ((lengths == t) | (lengths == t + 1)).any():
            coded = np.where(lengths > t, depths - (lengths == t + 1), 0)
            active = [_lanes(coded > s) for s in range(coded.max())]
            codebooks = [table[lanes, s] for s, lanes in enumerate(active)]
        for s, lanes in enumerate(active):
            context.predict(lanes, codebooks[s], max(0, s // per_quantizer - 1))
            groups, start, totals = _search(context.group_frequencies(), decoder.slots(lanes))
            members, offsets, frequencies = _search(context.member_frequencies(groups, totals), start)
            decoder.advance(lanes, offsets, frequencies)
            places = groups * tensors.members + members
            context.update(places)
            indices[lanes, s, t] = tensors.order[codebooks[s], places]
    damage, step = decoder.finish(), TOTAL // tensors.size
    last, rest = np.divmod(decoder.tails(), step)
    for lane in np.flatnonzero(rest).tolist():
        damage.setdefault(lane, "the last index is followed by bits that are not zero")
    for lane in np.flatnonzero(last >= tensors.size).tolist():  # possible unless K is a power of two
        damage.setdefault(lane, f"the last index is {last[lane]}, which is not below {tensors.size}")
    indices[np.arange(len(books)), depths - 1, lengths - 1] = np.minimum(last, tensors.size - 1)
    return DecodedBlocks([indices[i, : depths[i], : lengths[i]] for i in range(len(books))], damage)


def _lanes(chosen: Masks) -> Lanes:
    """Numbers of the chosen lanes; a slice if they are all, which spares copies."""
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def _search(frequencies: Integers, slots: Integers) -> tuple[Integers, Integers, Integers]:
    """The symbols of slots.

    Args:
        frequencies: # (n, symbols)
        slots: Below the sum of frequencies. # (n,)

    Returns:
        The symbols, the slots less the symbols' starts, and the symbols' frequencies. # (n,) each
    """
    ends = frequencies.cumsum(1)
    symbols = (ends <= slots[:, None]).sum(1)
    rows = np.arange(len(slots))
    chosen = frequencies[rows, symbols]
    return symbols, slots - ends[rows, symbols] + chosen, chosen
