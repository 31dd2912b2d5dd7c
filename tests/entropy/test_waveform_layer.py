"""Waveform layers: quantization, coding, decoding, and what is damage."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layered_streams import random_coefficients
from plain_index_model import Damage
from plain_waveform import decode_layer
from random_models import plain
from random_waveform_models import SMALL_WAVEFORM, random_waveform_blocks, random_waveform_tensors
from streams import make_header

from switchcodec_cli.bitstream import DamagedWindow, RateMode, StreamParameters, Window, coded_block
from switchcodec_cli.bitstream.modelled_payload import restore_layers
from switchcodec_cli.bitstream.rans import RansEncoder
from switchcodec_cli.bitstream.waveform_layer import (
    decode_layers,
    dequantize,
    encode_layers,
    layer_bits,
    quantize,
)
from switchcodec_cli.bitstream.waveform_model import WaveformModel, WaveformModelTensors

TENSORS = random_waveform_tensors(SMALL_WAVEFORM, 0)
MODEL = WaveformModel(TENSORS)


def random_layers(
    tensors: WaveformModelTensors, count: int, seed: int, frames: int = 9
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray], list[int], list[np.ndarray]]:
    """Masks with indices, expected sizes, steps and quantized coefficients of random blocks."""
    random = np.random.default_rng(seed)
    masks, indices = random_waveform_blocks(tensors, SMALL_WAVEFORM.experts, count, random, frames)
    sizes = WaveformModel(tensors).sizes(masks, indices)
    steps = random.integers(1, 128, count).tolist()
    q = [
        quantize(tensors, expected, step, random_coefficients(expected, random))
        for expected, step in zip(sizes, steps, strict=True)
    ]
    return list(zip(masks, indices, strict=True)), sizes, steps, q


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 70), st.integers(0, 2**32), st.booleans())
def test_round_trip(count: int, seed: int, extreme: bool) -> None:
    """Layers of blocks of different lengths, masks and steps decode to what was quantized."""
    tensors = random_waveform_tensors(SMALL_WAVEFORM, seed, extreme)
    _, sizes, steps, q = random_layers(tensors, count, seed)
    layers = encode_layers(tensors, sizes, steps, q)
    assert [bool(layer) for layer in layers] == [bool(values.any()) for values in q]
    decoded = decode_layers(tensors, sizes, layers)
    assert not decoded.damage
    for number, (values, step, layer) in enumerate(zip(q, steps, layers, strict=True)):
        np.testing.assert_array_equal(decoded.q[number], values)
        assert decoded.steps[number] == (step if layer else 0)
        assert decoded.values[number].dtype == np.float32
        if layer:
            expected = dequantize(tensors, sizes[number], step, values)
            np.testing.assert_array_equal(decoded.values[number], expected)
            ideal = layer_bits(tensors, sizes[number], step, values) / 8
            assert 1 + ideal <= len(layer) <= 1 + ideal + 5


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.booleans())
def test_plain_python_decodes(seed: int, extreme: bool) -> None:
    tensors = random_waveform_tensors(SMALL_WAVEFORM, seed, extreme)
    blocks, sizes, steps, q = random_layers(tensors, 4, seed)
    lists, layers = plain(tensors), encode_layers(tensors, sizes, steps, q)
    for (mask, indices), layer, integers, values in zip(
        blocks, layers, q, decode_layers(tensors, sizes, layers).values, strict=True
    ):
        if layer:
            found = decode_layer(lists, np.flatnonzero(mask).tolist(), indices.tolist(), layer)
            assert found[0] == integers.tolist()
            np.testing.assert_allclose(values, found[1], rtol=1e-6)


def test_layers_do_not_change() -> None:
    _, sizes, steps, q = random_layers(TENSORS, 40, 3)
    digest = hashlib.sha256(b"|".join(encode_layers(TENSORS, sizes, steps, q))).hexdigest()
    assert digest[:16] == "868472acad978a03"


def test_the_random_model_codes_much() -> None:
    """The other tests would prove little if most coefficients were 0."""
    _, sizes, steps, q = random_layers(TENSORS, 30, 0)
    assert len(np.unique(np.concatenate(sizes))) > 20
    assert 0.1 < (np.concatenate(q) != 0).mean() < 0.9
    coded = [
        np.clip(expected - step - TENSORS.offset, -1, TENSORS.classes)
        for expected, step in zip(sizes, steps, strict=True)
    ]
    assert len(np.unique(np.concatenate(coded))) == TENSORS.classes + 2  # none, all, and beyond the last


def test_values_are_near_the_coefficients() -> None:
    random = np.random.default_rng(1)
    sizes = np.full((5, TENSORS.bins), 40)
    coefficients = random_coefficients(sizes, random)
    q = quantize(TENSORS, sizes, 25, coefficients, 0.5)
    values = dequantize(TENSORS, sizes, 25, q)
    steps = 2.0 ** ((25 + TENSORS.offset + np.maximum(15 - TENSORS.offset - 5, 0) - 64) / 4)
    inside = (np.abs(q) < TENSORS.largest) & (TENSORS.offset <= 15)
    assert inside.sum() > 10
    assert (np.abs(values - coefficients) / steps)[inside].max() < 0.5 + 0.1 * TENSORS.largest


def test_quantization() -> None:
    """sign(x) floor(|x| / step + rounding), limited to Q; 0 where nothing is coded."""
    tensors = random_waveform_tensors(SMALL_WAVEFORM, 0)
    tensors.offset[:] = 0
    sizes = np.full((1, tensors.bins), 64)
    step = 64  # the real step is 1, and c = 0
    x = np.array([[0.59, 0.61, -0.61, -1.7, 3.2, 100, -100]])
    assert quantize(tensors, sizes, step, x).tolist() == [[0, 1, -1, -2, 3, 4, -4]]
    assert quantize(tensors, sizes, step, x, 0.5).tolist() == [[1, 1, -1, -2, 3, 4, -4]]
    assert not quantize(tensors, sizes, 65, x).any()
    coarser = sizes + tensors.classes - 1 + 4  # c is four beyond the last class: the step is twice as large
    assert quantize(tensors, coarser, step, 2 * x).tolist() == [[0, 1, -1, -2, 3, 4, -4]]
    tensors.offset[:2] = 200
    assert quantize(tensors, sizes, step, x).tolist() == [[0, 0, -1, -2, 3, 4, -4]]


@pytest.mark.parametrize("step", [0, 128, -1])
def test_steps_out_of_range_are_refused(step: int) -> None:
    sizes = np.zeros((1, TENSORS.bins), np.int64)
    with pytest.raises(ValueError, match="step of a waveform layer is 1 to 127"):
        quantize(TENSORS, sizes, step, sizes)


def test_coefficients_that_cannot_be_coded_are_refused() -> None:
    sizes = np.zeros((1, TENSORS.bins), np.int64)
    for expected, value in ((sizes, 1), (sizes + 60, TENSORS.largest + 1)):
        with pytest.raises(ValueError, match="coefficients must be within 4 steps"):
            encode_layers(TENSORS, [expected], [20], [sizes + value])


def test_no_blocks_and_no_layers() -> None:
    assert encode_layers(TENSORS, [], [], []) == []
    assert decode_layers(TENSORS, [], []).values == []
    sizes = np.full((3, TENSORS.bins), 60)
    decoded = decode_layers(TENSORS, [sizes], [b""])
    assert (decoded.damage, decoded.steps) == ({}, [0])
    assert decoded.values[0].shape == sizes.shape and not decoded.values[0].any()


def test_layer_of_nothing_is_not_stored() -> None:
    sizes = np.full((3, TENSORS.bins), 60)
    zeros = np.zeros_like(sizes)
    assert encode_layers(TENSORS, [sizes, zeros], [20, 20], [zeros, zeros]) == [b"", b""]


def test_layer_that_is_too_large_is_not_stored() -> None:
    random, sizes = np.random.default_rng(0), np.full((5000, TENSORS.bins), 60)
    q = random.choice([-TENSORS.largest, TENSORS.largest], sizes.shape)
    q[:, 60 - 20 - TENSORS.offset < 0] = 0
    layers = encode_layers(TENSORS, [sizes, sizes[:50]], [20, 20], [q, q[:50]])
    assert layers[0] == b""
    assert 0 < len(layers[1]) <= 4095


def test_block_does_not_depend_on_other_blocks() -> None:
    _, sizes, steps, q = random_layers(TENSORS, 70, 4)  # more than the encoder takes at once
    layers = encode_layers(TENSORS, sizes, steps, q)
    for lane in (0, 5, 69):
        one = slice(lane, lane + 1)
        assert encode_layers(TENSORS, sizes[one], steps[one], q[one]) == [layers[lane]]
        alone = decode_layers(TENSORS, sizes[one], layers[one])
        np.testing.assert_array_equal(alone.q[0], q[lane])


PARAMETERS = StreamParameters(8000, 10, 5, SMALL_WAVEFORM.experts, SMALL_WAVEFORM.size, 2)


def sound_layer() -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray, bytes]:
    """A mask, indices (S, T), expected sizes, quantized coefficients and the layer of a block."""
    random = np.random.default_rng(0)
    indices = random.integers(0, SMALL_WAVEFORM.size, (6, 5))
    (sizes,) = MODEL.sizes(np.array([[True, False, True]]), [indices])
    q = quantize(TENSORS, sizes, 20, random_coefficients(sizes, random))
    return [0, 2], indices, sizes, q, encode_layers(TENSORS, [sizes], [20], [q])[0]


def with_tail(sizes: np.ndarray, q: np.ndarray, tail: int) -> bytes:
    """The layer of a block with a number other than 0 as the tail of the coder."""
    c = sizes - 20 - TENSORS.offset
    encoder = RansEncoder(np.array([tail]), q.size)
    for number, value in reversed(list(zip(c[c >= 0], q[c >= 0], strict=True))):
        g, symbol = min(number, TENSORS.classes - 1), value + TENSORS.largest
        frequencies = TENSORS.frequencies[g].astype(np.int64)
        encoder.push(np.array([0]), frequencies[None, :symbol].sum(1), frequencies[None, symbol])
    return bytes([20]) + encoder.finish()[0]


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (lambda good, sizes, q: b"\0" + good[1:], "its step is 0, not 1 to 127"),
        (lambda good, sizes, q: b"\x80" + good[1:], "its step is 128, not 1 to 127"),
        (lambda good, sizes, q: b"\xff" + bytes(100), "its step is 255, not 1 to 127"),
        (lambda good, sizes, q: good[:-2], "the coded coefficients end 2 bytes after the payload"),
        (lambda good, sizes, q: good + bytes(2), "2 bytes are left after the last coefficient"),
        (lambda good, sizes, q: good[:1] + bytes(4000), "the coder cannot begin in state 0"),
        (lambda good, sizes, q: good[:1], "0 bytes cannot hold the state"),
        (lambda good, sizes, q: good[:3], "2 bytes cannot hold the state"),
        (lambda good, sizes, q: good[:1] + bytes(5), "the coder cannot begin in state 0"),
        (lambda good, sizes, q: good[:1] + b"\xff\xff\0\0" + good[5:], "cannot begin in state 65535"),
        (lambda good, sizes, q: with_tail(sizes, q, 1), "followed by bits that are not zero"),
        (lambda good, sizes, q: with_tail(sizes, q, 0xFFFF), "followed by bits that are not zero"),
        (lambda good, sizes, q: with_tail(sizes, q, 1 << 16), "the coder ends in state 131072, above 131071"),
    ],
)
def test_hostile_layers_damage_their_window(hostile, reason: str) -> None:
    """restore_layers names the window, and spares the others."""
    mask, indices, sizes, q, good = sound_layer()
    assert with_tail(sizes, q, 0) == good
    bad = hostile(good, sizes, q)
    header = make_header(PARAMETERS, mode=RateMode.QUALITY, entropy_coded=True, waveform_layers=True)
    shaped = indices.reshape(3, 2, 5)
    windows = [Window(5, (coded_block(mask, shaped, layer),)) for layer in (good, bad, good)]
    restored = restore_layers(header, MODEL, windows, 40)
    damaged = restored[1]
    assert isinstance(damaged, DamagedWindow)
    assert (damaged.index, damaged.frames, damaged.start) == (41, 5, PARAMETERS.window_start(41))
    assert damaged.reason.startswith("waveform layer: ") and reason in damaged.reason
    for window in (restored[0], restored[2]):
        assert isinstance(window, Window)
        np.testing.assert_array_equal(window.blocks[0].coefficients, dequantize(TENSORS, sizes, 20, q))
    with pytest.raises(Damage):
        decode_layer(plain(TENSORS), mask, indices.tolist(), bad)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.integers(0, 2**32))
def test_random_layers(layers: list[bytes], seed: int) -> None:
    """A layer that decodes is the one layer of its coefficients, unless they are all 0."""
    _, sizes, _, _ = random_layers(TENSORS, len(layers), seed)
    decoded = decode_layers(TENSORS, sizes, layers)
    for lane, (q, values) in enumerate(zip(decoded.q, decoded.values, strict=True)):
        assert q.shape == values.shape == sizes[lane].shape
        assert np.isfinite(values).all()
        assert np.abs(q).max() <= TENSORS.largest
        if lane in decoded.damage:
            assert not q.any()
        elif q.any():
            step = decoded.steps[lane]
            assert encode_layers(TENSORS, [sizes[lane]], [step], [q]) == [layers[lane]]


def test_most_flipped_bits_are_noticed() -> None:
    _, _, sizes, _, layer = sound_layer()
    flipped = []
    for bit in range(8, 8 * len(layer)):
        data = bytearray(layer)
        data[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(data))
    assert len(decode_layers(TENSORS, [sizes] * len(flipped), flipped).damage) > 0.95 * len(flipped)
