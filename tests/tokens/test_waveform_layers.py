"""Tokens of streams with waveform layers, which they carry as they are stored."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bitstream.streams import make_stream
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_streams import layered_stream
from modelled_streams import MODEL

from switchcodec_cli import BadInputError, UsageError
from switchcodec_cli.bitstream import BlockKind, ChannelCoding, RateMode, StreamReader, Window, verify
from switchcodec_cli.bitstream.modelled_payload import restore_indices
from switchcodec_cli.tokens import (
    KINDS,
    Tokens,
    from_delay_pattern,
    from_record,
    from_sequence,
    to_delay_pattern,
    to_record,
    to_sequence,
)
from switchcodec_cli.tokens.dataset import DatasetWriter, open_dataset
from switchcodec_cli.tokens.npz import npz_bytes, read_npz

DATA, HEADER, WINDOWS, _ = layered_stream(330, ChannelCoding.LEFT_RIGHT, RateMode.QUALITY, True, 3)
TOKENS = Tokens.from_stream(DATA, MODEL)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 400),
    st.sampled_from(list(ChannelCoding)),
    st.sampled_from(list(RateMode)),
    st.booleans(),
    st.integers(0, 1000),
)
def test_streams_come_back_byte_for_byte(
    total: int, coding: ChannelCoding, mode: RateMode, known: bool, seed: int
) -> None:
    data, header, _, _ = layered_stream(total, coding, mode, known, seed)
    tokens = Tokens.from_stream(data, MODEL)
    assert tokens.to_stream(MODEL) == data
    assert tokens.header == header
    assert from_record(to_record(tokens, "a.swc")) == tokens
    assert read_npz(io.BytesIO(npz_bytes(tokens, "a.swc"))) == ("a.swc", tokens)


def test_array_of_layers() -> None:
    assert TOKENS.layers.shape == (6, 2)
    for number, window in enumerate(WINDOWS):
        assert [block.waveform for block in window.blocks] == TOKENS.layers[number].tolist()
    assert any(TOKENS.layers.flat) and not all(TOKENS.layers.flat)
    other = TOKENS.layers.copy()
    other[0, 0] += b"x"
    assert replace(TOKENS, layers=other) != TOKENS


def test_without_layers_the_array_is_empty_bytes() -> None:
    tokens = Tokens.from_stream(make_stream(190)[0])
    assert tokens.layers.shape == tokens.kinds.shape and set(tokens.layers.flat) == {b""}


def test_plain_stream_needs_no_index_model_to_be_written() -> None:
    plain = TOKENS.to_stream(plain=True)
    assert verify(io.BytesIO(plain)).ok
    reader = StreamReader(io.BytesIO(plain))
    assert reader.header.entropy_coded and reader.header.waveform_layers
    assert list(reader) == WINDOWS
    without = replace(TOKENS, header=replace(HEADER, waveform_layers=False), layers=np.zeros((0, 0), object))
    reader = StreamReader(io.BytesIO(without.to_stream(plain=True)))
    assert not reader.header.entropy_coded
    assert [w.blocks[0].indices.tolist() for w in reader if isinstance(w, Window)] == [
        w.blocks[0].indices.tolist() for w in WINDOWS
    ]


@pytest.mark.parametrize("name", ["a.parquet", "a.tar"])
def test_data_sets(tmp_path: Path, name: str) -> None:
    """Of recordings with and without layers."""
    pytest.importorskip("pyarrow")
    others = [Tokens.from_stream(make_stream(total)[0]) for total in (0, 190)]
    with DatasetWriter(tmp_path / name) as writer:
        for number, tokens in enumerate((TOKENS, *others, TOKENS)):
            writer.write(tokens, f"{number}.wav")
    reader = open_dataset(tmp_path / name)
    assert [reader.read(row) for row in range(4)] == [TOKENS, *others, TOKENS]
    assert reader.read(0).to_stream(MODEL) == DATA
    reader.close()


def test_files_of_earlier_versions_have_no_layers(tmp_path: Path) -> None:
    tokens = Tokens.from_stream(make_stream(190)[0])
    record = to_record(tokens, "a.swc")
    del record["layers"], record["layer_sizes"]
    assert from_record(record) == tokens
    arrow = pytest.importorskip("pyarrow")

    path = tmp_path / "a.parquet"
    with DatasetWriter(path) as writer:
        writer.write(tokens, "a.swc")
    table = arrow.parquet.read_table(path).drop_columns(["layers", "layer_sizes"])
    arrow.parquet.write_table(table, path)
    reader = open_dataset(path)
    assert reader.read(0) == tokens
    reader.close()


def test_flat_forms_hold_no_layers() -> None:
    for back in (
        from_sequence(to_sequence(TOKENS), TOKENS),
        from_delay_pattern(to_delay_pattern(TOKENS), TOKENS),
    ):
        assert not back.header.waveform_layers and not any(back.layers.flat)
        assert (back.indices == TOKENS.indices).all() and (back.masks == TOKENS.masks).all()
        windows = list(StreamReader(io.BytesIO(back.to_stream(MODEL))))
        assert restore_indices(back.header, MODEL, windows, 0) == [
            replace(w, blocks=tuple(replace(b, waveform=b"") for b in w.blocks)) for w in WINDOWS
        ]


def test_contradictory_layers_are_errors() -> None:
    def changed(place: tuple[int, ...], value: object) -> np.ndarray:
        layers = TOKENS.layers.copy()
        layers[place] = value
        return layers

    coded = tuple(np.argwhere(TOKENS.kinds == KINDS.index(BlockKind.CODED))[0])
    other = tuple(np.argwhere(TOKENS.kinds != KINDS.index(BlockKind.CODED))[0])
    wrong = {
        "must have the shape": {"layers": TOKENS.layers[:-1]},
        "layers must be bytes": {"layers": changed(coded, "text")},
        "at most 4095 bytes, not 4096": {"layers": changed(coded, bytes(4096))},
        "only coded blocks": {"layers": changed(other, b"abcd")},
        "does not announce": {"header": replace(HEADER, waveform_layers=False)},
    }
    for message, values in wrong.items():
        with pytest.raises(UsageError, match=message):
            replace(TOKENS, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": b"x"}, "do not add up to 1 bytes"),
        ({"layer_sizes": [1]}, "cannot reshape"),
        ({"layer_sizes": None}, "sizes of the waveform layers are missing"),
        ({"layers": b"", "layer_sizes": [-1, 1] * 6}, "do not add up"),
        ({"layers": 5.0}, "no tokens"),
    ],
)
def test_wrong_values_of_a_record_are_errors(values: dict, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        from_record(to_record(TOKENS, "x") | values)
