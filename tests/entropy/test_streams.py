"""Whole entropy-coded streams: from bytes to indices by readers that were written from the specification."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from modelled_streams import MODEL, PARAMETERS, modelled_stream
from plain_index_model import Damage, decode_block
from random_models import plain
from specification_reader import SpecificationReader
from specification_reader_1_0 import Content, Damaged
from streams import Pipe, write_stream

from switchcodec_cli.bitstream import BlockKind, ChannelCoding, DamagedWindow, RateMode, StreamReader, Window
from switchcodec_cli.bitstream.modelled_payload import restore_indices

LISTS = plain(MODEL.tensors)
TOTAL = 330  # five full windows and a short one


def by_package(file: io.BufferedIOBase | Pipe) -> list[Window | DamagedWindow]:
    """All windows with their indices."""
    reader = StreamReader(file)
    return restore_indices(reader.header, MODEL, list(reader), 0)


def by_specification(data: bytes, pipe: bool) -> list[Content | Damaged]:
    """All windows with their indices, in plain Python."""
    reader = SpecificationReader(data)
    found, fault = reader.read_forward() if pipe else reader.read()
    assert fault is None
    return [window if isinstance(window, Damaged) else with_indices(window) for window in found]


def with_indices(window: Content) -> Content | Damaged:
    """The window with the indices of its modelled payloads; damaged if they cannot be decoded."""
    signals = []
    for kind, mask, levels, indices in window.signals:
        if isinstance(indices, bytes):
            try:
                flat = decode_block(LISTS, mask, window.frames, indices)
            except Damage:
                return Damaged(window.frames)
            s = PARAMETERS.codebooks_per_quantizer
            indices = [flat[i : i + s] for i in range(0, len(flat), s)]
        signals.append((kind, mask, levels, indices))
    return Content(window.frames, signals)


def as_content(window: Window | DamagedWindow) -> Content | Damaged:
    """A window of the package in the form of the specification's reader."""
    if isinstance(window, DamagedWindow):
        return Damaged(window.frames)
    signals = [
        (block.kind.value, list(block.experts), list(block.levels), block.indices.tolist())
        for block in window.blocks
    ]
    return Content(window.frames, signals)


@pytest.mark.parametrize("coding", list(ChannelCoding))
@pytest.mark.parametrize("mode", [RateMode.CONSTANT, RateMode.QUALITY])
def test_plain_readers_agree(coding: ChannelCoding, mode: RateMode) -> None:
    known = mode is RateMode.CONSTANT
    data, _, windows, modelled = modelled_stream(TOTAL, coding, mode, known, int(coding))
    coded = [block for window in modelled for block in window.blocks if block.kind is BlockKind.CODED]
    assert any(block.modelled for block in coded)
    assert by_package(io.BytesIO(data)) == by_package(Pipe(data, 50)) == windows
    expected = [as_content(window) for window in windows]
    assert by_specification(data, pipe=False) == by_specification(data, pipe=True) == expected


@pytest.mark.parametrize("seed", range(4))
def test_readers_agree_on_damaged_payloads(seed: int) -> None:
    """Payloads that other payloads or random bytes have replaced, in packets whose CRC is right."""
    rng = np.random.default_rng(seed)
    data, header, _, modelled = modelled_stream(TOTAL, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY, True, seed)
    changed = []
    for window in modelled:
        blocks = [
            replace(block, modelled=rng.bytes(len(block.modelled)))
            if block.modelled and rng.random() < 0.5
            else block
            for block in window.blocks
        ]
        changed.append(replace(window, blocks=tuple(blocks)))
    data = write_stream(header, changed, TOTAL)
    found = by_package(io.BytesIO(data))
    damaged = [window for window in found if isinstance(window, DamagedWindow)]
    assert damaged
    for window in damaged:
        assert found[window.index] is window
        assert window.reason.startswith("modelled indices: ")
        assert window.start == PARAMETERS.window_start(window.index)
    assert [as_content(window) for window in found] == by_specification(data, pipe=False)
