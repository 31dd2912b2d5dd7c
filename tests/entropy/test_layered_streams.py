"""Whole streams with waveform layers, by the package and by readers written from the specification."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import pytest
from layered_streams import WAVEFORM_MODEL, layered_stream
from modelled_streams import MODEL, PARAMETERS
from plain_index_model import Damage, decode_block
from plain_waveform import decode_layer
from random_models import plain
from specification_reader import SpecificationReader
from specification_reader_1_0 import Content, Damaged
from streams import PACKETS, Pipe, make_header, make_stream, write_stream

from switchcodec_cli.bitstream import BlockKind, ChannelCoding, DamagedWindow, RateMode, StreamReader, Window
from switchcodec_cli.bitstream.modelled_payload import restored_windows

INDEX_LISTS, WAVEFORM_LISTS = plain(MODEL.tensors), plain(WAVEFORM_MODEL.tensors)
TOTAL = 330  # five full windows and a short one

Signal = tuple[str, list[int], list[int], list, list[list[float]] | None]


def by_package(file: BinaryIO, lanes: int = 4) -> list[Window | DamagedWindow]:
    """All windows with their indices and coefficients."""
    reader = StreamReader(file)
    windows = restored_windows(reader.header, lambda: MODEL, lambda: WAVEFORM_MODEL, iter(reader), 0, lanes)
    return list(windows)


def by_specification(data: bytes, pipe: bool) -> list[tuple[int, list[Signal]] | Damaged]:
    """All windows with their indices and coefficients, in plain Python."""
    reader = SpecificationReader(data)
    found, fault = reader.read_forward() if pipe else reader.read()
    assert fault is None
    return [window if isinstance(window, Damaged) else restored(window) for window in found]


def restored(window: Content) -> tuple[int, list[Signal]] | Damaged:
    """The window with indices and coefficients; damaged if one of them cannot be decoded."""
    signals: list[Signal] = []
    for kind, mask, levels, content, layer in window.signals:
        indices, coefficients = content, None
        s = PARAMETERS.codebooks_per_quantizer
        try:
            if isinstance(indices, bytes):
                flat = decode_block(INDEX_LISTS, mask, window.frames, indices)
                indices = [flat[i : i + s] for i in range(0, len(flat), s)]
            if layer:
                flat = [codebook for quantizer in indices for codebook in quantizer]
                coefficients = decode_layer(WAVEFORM_LISTS, mask, flat, layer)[1]
        except Damage:
            return Damaged(window.frames)
        signals.append((kind, mask, levels, indices, coefficients))
    return window.frames, signals


def assert_agree(
    found: list[Window | DamagedWindow], expected: list[tuple[int, list[Signal]] | Damaged]
) -> None:
    for window, other in zip(found, expected, strict=True):
        if isinstance(other, Damaged):
            assert isinstance(window, DamagedWindow) and window.frames == other.frames
            continue
        assert isinstance(window, Window)
        assert window.frames == other[0]
        for block, (kind, mask, levels, indices, coefficients) in zip(window.blocks, other[1], strict=True):
            assert (block.kind.value, list(block.experts), list(block.levels)) == (kind, mask, levels)
            assert block.indices.tolist() == indices
            assert (block.coefficients is None) == (coefficients is None) == (not block.waveform)
            if coefficients is not None:
                assert block.coefficients.dtype == np.float32
                np.testing.assert_allclose(block.coefficients, coefficients, rtol=1e-6)


@pytest.mark.parametrize("coding", list(ChannelCoding))
@pytest.mark.parametrize("mode", [RateMode.CONSTANT, RateMode.QUALITY])
def test_plain_readers_agree(coding: ChannelCoding, mode: RateMode) -> None:
    known = mode is RateMode.CONSTANT
    data, _, windows, modelled = layered_stream(TOTAL, coding, mode, known, int(coding))
    coded = [block for window in modelled for block in window.blocks if block.kind is BlockKind.CODED]
    assert any(block.modelled and block.waveform for block in coded)
    assert any(not block.waveform for block in coded)
    found = by_package(io.BytesIO(data))
    assert found == by_package(Pipe(data, 50), 1) == windows
    assert any(np.any(block.coefficients) for window in found for block in window.blocks if block.waveform)
    assert_agree(found, by_specification(data, pipe=False))
    assert_agree(found, by_specification(data, pipe=True))


@pytest.mark.parametrize("seed", range(4))
def test_readers_agree_on_damaged_layers(seed: int) -> None:
    """Layers that other layers or random bytes have replaced, in packets whose CRC is right."""
    rng = np.random.default_rng(seed)
    data, header, _, modelled = layered_stream(TOTAL, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY, True, seed)
    changed = []
    for window in modelled:
        blocks = [
            replace(block, waveform=block.waveform[: rng.integers(2)] + rng.bytes(rng.integers(1, 30)))
            if block.waveform and rng.random() < 0.3
            else block
            for block in window.blocks
        ]
        changed.append(replace(window, blocks=tuple(blocks)))
    data = write_stream(header, changed, TOTAL)
    found = by_package(io.BytesIO(data))
    damaged = [window for window in found if isinstance(window, DamagedWindow)]
    assert 0 < len(damaged) < len(found)
    for window in damaged:
        assert found[window.index] is window
        assert window.reason.startswith("waveform layer: ")
        assert window.start == PARAMETERS.window_start(window.index)
    assert_agree(found, by_specification(data, pipe=False))


def test_coefficients_of_a_part() -> None:
    """Windows from the middle of a stream decode as those of the whole stream."""
    data, header, _, _ = layered_stream(TOTAL, ChannelCoding.MONO, RateMode.QUALITY, True, 5)
    whole = by_package(io.BytesIO(data))
    part = list(
        restored_windows(
            header,
            lambda: MODEL,
            lambda: WAVEFORM_MODEL,
            StreamReader(io.BytesIO(data)).windows(2, 4),
            2,
            8,
        )
    )
    assert len(part) == 2
    for window, other in zip(part, whole[2:4], strict=True):
        assert isinstance(window, Window) and isinstance(other, Window)
        assert (window.blocks[0].coefficients is None) == (other.blocks[0].coefficients is None)
        if window.blocks[0].coefficients is not None:
            np.testing.assert_array_equal(window.blocks[0].coefficients, other.blocks[0].coefficients)


def test_layers_can_be_left_as_they_are() -> None:
    data, header, windows, _ = layered_stream(TOTAL, ChannelCoding.MONO, RateMode.QUALITY, True, 0)
    found = list(restored_windows(header, lambda: MODEL, None, iter(StreamReader(io.BytesIO(data))), 0, 4))
    assert found == windows
    assert all(block.coefficients is None for window in windows for block in window.blocks)


@pytest.mark.parametrize("form", ["plain", "entropy-coded"])
def test_waveform_model_is_not_loaded_without_the_flag(form: str) -> None:
    def never() -> None:
        raise AssertionError("not needed")

    header = make_header(PARAMETERS, **PACKETS[form])
    data, windows = make_stream(TOTAL, header)
    reader = StreamReader(io.BytesIO(data))
    found = list(restored_windows(header, lambda: MODEL, never, iter(reader), 0, 4))  # type: ignore[arg-type]
    assert len(found) == len(windows)
