"""The package reads every stream as a reader does that was written from the specification alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from fuzz import mutate, valid_streams
from specification_reader import Content, Damaged, Refusal, SpecificationReader
from streams import Pipe, make_header, make_stream

from switchcodec_cli.bitstream import ChannelCoding, DamagedWindow, RateMode, StreamReader
from switchcodec_cli.errors import BadInputError

TESTS = Path(__file__).parents[1]
FILES = [*sorted((TESTS / "hostile").glob("*.swc")), *sorted((TESTS / "golden").glob("*.swc"))]


def by_package(file: BinaryIO) -> tuple[list[Content | Damaged], bool]:
    """All windows, and whether the stream is refused."""
    found: list[Content | Damaged] = []
    try:
        for window in StreamReader(file):
            if isinstance(window, DamagedWindow):
                assert window.index == len(found)
                found.append(Damaged(window.frames))
                continue
            signals = [
                (block.kind.value, list(block.experts), list(block.levels), block.indices.tolist())
                for block in window.blocks
            ]
            found.append(Content(window.frames, signals))
    except BadInputError:
        return found, True
    return found, False


def by_specification(data: bytes, pipe: bool) -> tuple[list[Content | Damaged], bool]:
    """All windows, and whether the stream is refused."""
    try:
        reader = SpecificationReader(data)
    except Refusal:
        return [], True
    found, fault = reader.read_forward() if pipe else reader.read()
    return found, fault is not None


def compare(data: bytes) -> None:
    assert by_package(io.BytesIO(data)) == by_specification(data, pipe=False)
    assert by_package(Pipe(data)) == by_specification(data, pipe=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_stored_files(path: Path) -> None:
    compare(path.read_bytes())


@pytest.mark.parametrize("coding", list(ChannelCoding))
@pytest.mark.parametrize("mode", list(RateMode))
@pytest.mark.parametrize("known", [True, False])
def test_sound_streams(coding: ChannelCoding, mode: RateMode, known: bool) -> None:
    total = 250
    data, windows = make_stream(
        total, make_header(coding=coding, mode=mode, total_samples=total if known else None), derived=0.4
    )
    compare(data)
    assert len(by_specification(data, pipe=True)[0]) == len(windows)


def test_mutated_streams() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        pool = valid_streams(rng)
        for _ in range(100):
            compare(mutate(pool[rng.integers(len(pool))], pool, rng))
