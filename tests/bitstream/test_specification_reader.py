"""The package reads every stream as a reader does that was written from the specification alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from fuzz import mutate, valid_streams
from specification_reader import SpecificationReader
from specification_reader_1_0 import Content, Damaged, Refusal, SpecificationReader10
from streams import REQUEST, SOURCE, Pipe, make_header, make_stream, trailer_of

from switchcodec_cli.bitstream import (
    ChannelCoding,
    DamagedWindow,
    EncodingRequest,
    RateMode,
    SourceDigest,
    StreamReader,
)
from switchcodec_cli.errors import BadInputError

TESTS = Path(__file__).parents[1]
FILES = [*sorted((TESTS / "hostile").glob("*.swc")), *sorted((TESTS / "golden").rglob("*.swc"))]


def by_package(file: BinaryIO) -> tuple[list[Content | Damaged], bool]:
    """All windows, and whether the stream is refused."""
    found: list[Content | Damaged] = []
    try:
        reader = StreamReader(file)
        for window in reader:
            if isinstance(window, DamagedWindow):
                assert window.index == len(found)
                found.append(Damaged(window.frames))
                continue
            signals = [
                (
                    block.kind.value,
                    list(block.experts),
                    list(block.levels),
                    block.modelled or block.indices.tolist(),
                    *([block.waveform] if reader.header.waveform_layers else []),
                )
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
@pytest.mark.parametrize(("entropy_coded", "layers"), [(False, False), (True, False), (True, True)])
def test_sound_streams(
    coding: ChannelCoding, mode: RateMode, known: bool, entropy_coded: bool, layers: bool
) -> None:
    total = 250
    header = make_header(
        coding=coding,
        mode=mode,
        total_samples=total if known else None,
        entropy_coded=entropy_coded,
        waveform_layers=layers,
    )
    data, windows = make_stream(total, header, derived=0.4)
    compare(data)
    assert len(by_specification(data, pipe=True)[0]) == len(windows)


@pytest.mark.parametrize("derived", [0.0, 0.4])  # without and with a table
@pytest.mark.parametrize("known", [True, False])
def test_readers_of_version_1_0_read_streams_of_1_1(derived: float, known: bool) -> None:
    header = make_header(total_samples=250 if known else None, tags=(("title", "x"),))
    data, _ = make_stream(250, header, derived=derived, source=SOURCE, request=REQUEST)
    assert data[5] == 1
    old = SpecificationReader10(data)
    for pipe, read in [(False, old.read()), (True, old.read_forward())]:
        assert read[1] is None
        assert (read[0], False) == by_specification(data, pipe)
    cut = SpecificationReader10(data[:-1])
    assert cut.read()[1] is not None


@pytest.mark.parametrize("name", ["entropy_coded", "entropy_coded_empty", "entropy_coded_stereo"])
def test_readers_of_version_1_0_refuse_entropy_coded_streams(name: str) -> None:
    data = (TESTS / "hostile" / f"sound_{name}.swc").read_bytes()
    assert SpecificationReader(data).read()[1] is None
    with pytest.raises(Refusal, match="critical flags"):
        SpecificationReader10(data)


@pytest.mark.parametrize("source", [None, SOURCE])
@pytest.mark.parametrize("request_", [None, REQUEST, EncodingRequest(quality=0.0), EncodingRequest(effort=0)])
def test_additions(source: SourceDigest | None, request_: EncodingRequest | None) -> None:
    data, _ = make_stream(250, source=source, request=request_)
    trailer = trailer_of(data)
    assert (trailer.source, trailer.request) == (source, request_)
    reader = SpecificationReader(data)
    assert reader.read()[1] is None
    assert reader.source == (None if source is None else (source.kind, source.value))
    wanted = request_ or EncodingRequest()
    quality = None if wanted.quality is None else round(1000 * wanted.quality)
    assert reader.request == (wanted.effort, quality, wanted.max_bits_per_second)


def test_mutated_streams() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        pool = valid_streams(rng)
        for _ in range(100):
            compare(mutate(pool[rng.integers(len(pool))], pool, rng))
