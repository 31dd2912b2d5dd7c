"""Tokens of streams, and streams of tokens."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bitstream.streams import LARGE, Pipe, make_header, make_stream
from hypothesis import given, settings
from random_models import Sizes, random_tensors
from random_tokens import streams

from switchcodec_cli import BadInputError, UsageError, WeightsError
from switchcodec_cli.bitstream import BlockKind, ChannelCoding, RateMode
from switchcodec_cli.bitstream.index_model import IndexModel
from switchcodec_cli.tokens import FILL, KINDS, Tokens, from_record, to_record

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "version_1_1").glob("*.swc"))


@settings(deadline=None, max_examples=150)
@given(streams())
def test_streams_come_back_byte_for_byte(data: bytes) -> None:
    tokens = Tokens.from_stream(data)
    assert tokens.to_stream() == data
    assert Tokens.from_stream(tokens.to_stream()) == tokens


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_streams(path: Path) -> None:
    tokens = Tokens.from_stream(path)
    assert tokens.to_stream() == path.read_bytes()


def test_arrays_hold_the_blocks_of_the_windows() -> None:
    header = make_header(coding=ChannelCoding.LEFT_RIGHT, mode=RateMode.QUALITY, tags=(("a", "b"),))
    data, windows = make_stream(333, header, seed=42, derived=0.6)
    tokens = Tokens.from_stream(data)
    assert tokens.kinds.shape == (len(windows), 2)
    assert {KINDS[kind] for kind in tokens.kinds.flat} == set(BlockKind)  # the seed was chosen for that
    for number, window in enumerate(windows):
        for signal, block in enumerate(window.blocks):
            here = (number, signal)
            assert KINDS[tokens.kinds[here]] is block.kind
            assert tuple(np.flatnonzero(tokens.masks[here])) == block.experts
            rows = [0, *(1 + expert for expert in block.experts)] if block.kind is BlockKind.CODED else []
            sent = tokens.indices[here][rows][..., : window.frames]
            assert (sent == block.indices.reshape(sent.shape)).all()
            assert (tokens.indices[here] != FILL).sum() == block.indices.size
            assert tuple(tokens.levels[here]) == (block.levels or (FILL,) * 8)
    assert tokens.windows == len(windows) and tokens.signals == 2 and tokens.channels == 2
    assert tokens.samples == 333 and tokens.frames == 34 and tokens.last_frames == 2
    assert tokens.frame_rate == 800 and tokens.vocabulary_size == 16 and tokens.codebooks == 1
    assert tokens.tags == (("a", "b"),) and tokens.rate_mode is RateMode.QUALITY
    assert tokens.fingerprint == header.fingerprint and tokens.seconds == 333 / 8000


def test_a_stream_can_be_bytes_a_path_a_file_or_a_pipe(tmp_path: Path) -> None:
    data, _ = make_stream(190)
    path = tmp_path / "a.swc"
    path.write_bytes(data)
    expected = Tokens.from_stream(data)
    assert Tokens.from_stream(path) == Tokens.from_stream(str(path)) == expected
    assert Tokens.from_stream(io.BytesIO(data)) == expected
    assert Tokens.from_stream(Pipe(data)) == expected


@pytest.mark.parametrize("experts", [0, 3, 8])
def test_mono_view(experts: int) -> None:
    header = make_header(LARGE, experts_total=experts, original_rate=44100)
    data, windows = make_stream(44100 * 4, header, seed=1, derived=0.5)
    tokens = Tokens.from_stream(data)
    assert BlockKind.SILENT in {window.blocks[0].kind for window in windows}
    pieces = [
        window.blocks[0].indices.reshape(1 + experts, -1)
        if window.blocks[0].kind is BlockKind.CODED
        else np.full((1 + experts, window.frames), FILL)
        for window in windows
    ]
    assert (tokens.mono == np.concatenate(pieces, 1)).all()
    assert Tokens.from_stream(make_stream(0)[0]).mono.shape == (3, 0)


def test_mono_view_needs_one_signal_and_a_constant_number_of_experts() -> None:
    stereo, _ = make_stream(190, make_header(coding=ChannelCoding.LEFT_RIGHT))
    with pytest.raises(UsageError, match="two signals"):
        _ = Tokens.from_stream(stereo).mono
    varying, _ = make_stream(190, make_header(mode=RateMode.AVERAGE))
    with pytest.raises(UsageError, match="have 0 to 4 experts"):
        _ = Tokens.from_stream(varying).mono


def test_damaged_and_truncated_streams_are_errors(tmp_path: Path) -> None:
    data, _ = make_stream(190)
    with pytest.raises(BadInputError, match=r"window 1 at .* is damaged"):
        Tokens.from_stream(data[:75] + bytes([data[75] ^ 1]) + data[76:])
    with pytest.raises(BadInputError, match="truncated"):
        Tokens.from_stream(data[:-5])
    with pytest.raises(BadInputError, match="no such file"):
        Tokens.from_stream(tmp_path / "missing.swc")


def changed(array: np.ndarray, place: tuple, value: int) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


def test_contradictory_arrays_are_errors() -> None:
    header = make_header(coding=ChannelCoding.LEFT_RIGHT, mode=RateMode.QUALITY)
    tokens = Tokens.from_stream(make_stream(195, header, seed=1, derived=0.5)[0])
    window = int(np.flatnonzero((tokens.kinds[:, 0] == 0) & (tokens.masks[:, 0].sum(1) < 4))[0])
    absent = int(np.flatnonzero(~tokens.masks[window, 0])[0])
    intensity = tuple(np.argwhere(tokens.kinds == KINDS.index(BlockKind.INTENSITY))[0])
    wrong = {
        "kinds must be 0 to 3": {"kinds": changed(tokens.kinds, (0, 0), 4)},
        "must have the shape": {"masks": tokens.masks[:-1]},
        "masks must be an array of type bool": {"masks": tokens.masks.astype(int)},
        "indices must be -1 to 15": {"indices": changed(tokens.indices.astype(int), (0, 0, 0, 0, 0), 16)},
        "frame 0 is missing": {"indices": changed(tokens.indices, (0, 0, 0, 0, 0), FILL)},
        "is not sent": {"indices": changed(tokens.indices, (window, 0, 1 + absent, 0, 0), 1)},
        "frame 1 is missing": {"masks": changed(tokens.masks, (window, 0, absent), True), "indices": changed(
            tokens.indices, (window, 0, 1 + absent, 0, 0), 1)},
        "have levels": {"levels": changed(tokens.levels, (*intensity, 0), FILL)},
        "only coded blocks": {"masks": changed(tokens.masks, (*intensity, 0), True)},
        "200 samples": {"header": replace(header, total_samples=200)},
    }  # fmt: skip
    for message, values in wrong.items():
        with pytest.raises(UsageError, match=message):
            replace(tokens, **values)
    constant = replace(header, rate_mode=RateMode.CONSTANT, experts_total=1)
    with pytest.raises(UsageError, match="breaks the constant rate of 1 expert"):
        replace(tokens, header=constant)


def test_index_models_of_other_weights_are_errors() -> None:
    data, _ = make_stream(190)
    tokens = Tokens.from_stream(data)
    modelled = replace(tokens, header=replace(tokens.header, entropy_coded=True))
    parameters = tokens.header.parameters
    sizes = Sizes(parameters.experts, parameters.codebooks_per_quantizer, parameters.codebook_size, 4)
    index_model = IndexModel(random_tensors(sizes, 0))
    stream = modelled.to_stream(index_model)
    assert Tokens.from_stream(stream, index_model) == modelled
    assert Tokens.from_stream(stream, lambda _: index_model) == modelled
    with pytest.raises(WeightsError, match="index model of an entropy-coded stream is missing"):
        Tokens.from_stream(stream)
    other = IndexModel(random_tensors(replace(sizes, experts=sizes.experts + 1), 0))
    for convert in (lambda: modelled.to_stream(other), lambda: Tokens.from_stream(stream, other)):
        with pytest.raises(WeightsError, match="of other weights"):
            convert()
    assert from_record(to_record(modelled, "a.swc")).to_stream(index_model) == stream


def test_tokens_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from switchcodec_cli import Tokens\n"
        f"data = open({str(GOLDEN[0])!r}, 'rb').read()\n"
        "assert Tokens.from_stream(data).to_stream() == data"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
