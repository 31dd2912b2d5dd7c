"""Entropy-coded streams with payloads of a tiny random index model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from random_models import TINY, random_tensors
from streams import make_header, random_windows, write_stream

from switchcodec_cli.bitstream import (
    Block,
    BlockKind,
    ChannelCoding,
    Header,
    RateMode,
    StreamParameters,
    Window,
    coded_block,
)
from switchcodec_cli.bitstream.index_model import IndexModel
from switchcodec_cli.bitstream.modelled_payload import decode_blocks, model_indices

PARAMETERS = StreamParameters(
    sample_rate=8000,
    hop=10,
    frames_per_window=6,
    experts=TINY.experts,
    codebook_size=TINY.size,
    codebooks_per_quantizer=TINY.per_quantizer,
)
MODEL = IndexModel(random_tensors(TINY, 0))


def likely_blocks(blocks: list[Block], rng: np.random.Generator) -> list[Block]:
    """Coded blocks with indices that the model expects, so that their payloads are small."""
    masks = np.zeros((len(blocks), TINY.experts), np.bool_)
    for mask, block in zip(masks, blocks, strict=True):
        mask[list(block.experts)] = True
    frames = [block.indices.shape[-1] for block in blocks]
    random_payloads = [rng.bytes(64) for _ in blocks]
    decoded = decode_blocks(MODEL, masks, frames, random_payloads).indices  # damaged, but within 0 ... K - 1
    return [
        coded_block(block.experts, indices.reshape(block.indices.shape).astype(np.uint16))
        for block, indices in zip(blocks, decoded, strict=True)
    ]


def modelled_stream(
    total: int, coding: ChannelCoding, mode: RateMode, known: bool, seed: int
) -> tuple[bytes, Header, list[Window], list[Window]]:
    """A stream of ``total`` samples.

    Returns:
        Its bytes and header, and its windows with plain and with modelled indices; a few blocks are plain in
        both.
    """
    rng = np.random.default_rng(seed)
    header = make_header(PARAMETERS, coding, mode, 2, total if known else None, entropy_coded=True)
    windows = random_windows(replace(header, entropy_coded=False), total, rng, 0.2)
    coded = [block for window in windows for block in window.blocks if block.kind is BlockKind.CODED]
    likely = iter(likely_blocks(coded, rng))
    plain = [
        replace(
            window,
            blocks=tuple(
                _choose(block, next(likely), rng) if block.experts or block.indices.size else block
                for block in window.blocks
            ),
        )
        for window in windows
    ]
    modelled = model_indices(PARAMETERS, MODEL, plain)
    return write_stream(header, modelled, total), header, plain, modelled


def _choose(block: Block, likely: Block, rng: np.random.Generator) -> Block:
    """Mostly the likely one; random indices cost more than plain ones."""
    return block if rng.random() < 0.15 else likely
