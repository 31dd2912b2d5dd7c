"""Streams with waveform layers and modelled indices of tiny random models."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from modelled_streams import MODEL, PARAMETERS, modelled_stream
from random_waveform_models import SMALL_WAVEFORM, random_waveform_tensors
from streams import write_stream

from switchcodec_cli.bitstream import (
    Block,
    BlockKind,
    ChannelCoding,
    Header,
    RateMode,
    StreamReader,
    Window,
)
from switchcodec_cli.bitstream.index_model import IndexModel
from switchcodec_cli.bitstream.modelled_payload import model_indices
from switchcodec_cli.bitstream.transcoding import sound_windows
from switchcodec_cli.bitstream.waveform_layer import encode_layers, quantize
from switchcodec_cli.bitstream.waveform_model import WaveformModel

WAVEFORM_MODEL = WaveformModel(random_waveform_tensors(SMALL_WAVEFORM, 0))


def random_coefficients(sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coefficients (T, B) about as large as expected."""
    return rng.normal(size=sizes.shape) * 2 ** ((sizes - 64) / 4)


def with_layers(
    blocks: list[Block], experts: int, model: WaveformModel, rng: np.random.Generator
) -> list[Block]:
    """Coded blocks with plain indices, most of them with a layer of random coefficients and a random step.

    Args:
        blocks: With plain indices.
        experts: Nr.
        model: The waveform model.
        rng: For coefficients and steps.
    """
    masks = np.zeros((len(blocks), experts), np.bool_)
    for mask, block in zip(masks, blocks, strict=True):
        mask[list(block.experts)] = True
    sizes = model.sizes(masks, [block.indices.reshape(-1, block.indices.shape[-1]) for block in blocks])
    steps = rng.integers(10, 60, len(blocks)).tolist()
    q = [
        quantize(model.tensors, expected, step, random_coefficients(expected, rng))
        for expected, step in zip(sizes, steps, strict=True)
    ]
    layers = encode_layers(model.tensors, sizes, steps, q)
    return [
        block if number % 3 == 2 else replace(block, waveform=layer)
        for number, (block, layer) in enumerate(zip(blocks, layers, strict=True))
    ]


def layered_stream(
    total: int, coding: ChannelCoding, mode: RateMode, known: bool, seed: int
) -> tuple[bytes, Header, list[Window], list[Window]]:
    """A stream of ``total`` samples.

    Returns:
        Its bytes and header, and its windows with plain and with modelled indices. Some blocks have no layer.
    """
    _, header, plain, _ = modelled_stream(total, coding, mode, known, seed)
    header = replace(header, waveform_layers=True)
    windows = windows_with_layers(plain, PARAMETERS.experts, WAVEFORM_MODEL, seed)
    modelled = model_indices(PARAMETERS, MODEL, windows)
    return write_stream(header, modelled, total), header, windows, modelled


def windows_with_layers(windows: list[Window], experts: int, model: WaveformModel, seed: int) -> list[Window]:
    """Windows with plain indices, most of their coded blocks with layers; see with_layers."""
    coded = [block for window in windows for block in window.blocks if block.kind is BlockKind.CODED]
    layered = iter(with_layers(coded, experts, model, np.random.default_rng(seed)))
    return [
        replace(
            window,
            blocks=tuple(
                next(layered) if block.kind is BlockKind.CODED else block for block in window.blocks
            ),
        )
        for window in windows
    ]


def stream_with_layers(data: bytes, index_model: IndexModel, model: WaveformModel, seed: int = 0) -> bytes:
    """A stream of any content once more, with random waveform layers."""
    reader = StreamReader(io.BytesIO(data))
    header = replace(reader.header, entropy_coded=True, waveform_layers=True)
    plain = list(sound_windows(reader, lambda: index_model, None))
    windows = windows_with_layers(plain, header.parameters.experts, model, seed)
    assert reader.trailer is not None
    return write_stream(
        header,
        model_indices(header.parameters, index_model, windows),
        reader.trailer.total_samples,
        reader.trailer.source,
        reader.trailer.request,
    )
