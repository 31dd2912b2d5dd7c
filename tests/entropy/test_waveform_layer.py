"""Waveform layers: expected sizes, quantization, coding and decoding."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_waveform_models import SMALL_WAVEFORM, random_waveform_tensors

from switchcodec_cli.bitstream.waveform_layer import decode_layers, encode_layers, quantize
from switchcodec_cli.bitstream.waveform_model import WaveformModel, WaveformModelTensors

TENSORS = random_waveform_tensors(SMALL_WAVEFORM, 0)


def random_blocks(
    tensors: WaveformModelTensors, experts: int, count: int, random: np.random.Generator, frames: int = 9
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random masks (count, Nr), and indices (S, T) of blocks of up to `frames` frames."""
    masks = random.random((count, experts)) < random.random((count, 1))
    shapes = [(len(tensors.codebooks_of(mask)), random.integers(1, frames + 1)) for mask in masks]
    return masks, [random.integers(0, tensors.size, shape) for shape in shapes]


def random_coefficients(sizes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Coefficients (T, B) about as large as expected."""
    return random.normal(size=sizes.shape) * 2 ** ((sizes - 64) / 4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.booleans())
def test_round_trip(seed: int, extreme: bool) -> None:
    """Layers of blocks of different lengths, masks and steps decode to what was quantized."""
    random = np.random.default_rng(seed)
    tensors = random_waveform_tensors(SMALL_WAVEFORM, seed, extreme)
    masks, indices = random_blocks(tensors, SMALL_WAVEFORM.experts, int(random.integers(1, 70)), random)
    sizes = WaveformModel(tensors).sizes(masks, indices)
    steps = random.integers(1, 128, len(masks)).tolist()
    q = [
        quantize(tensors, expected, step, random_coefficients(expected, random))
        for expected, step in zip(sizes, steps, strict=True)
    ]
    layers = encode_layers(tensors, sizes, steps, q)
    assert [bool(layer) for layer in layers] == [bool(values.any()) for values in q]
    decoded = decode_layers(tensors, sizes, layers)
    assert not decoded.damage
    for values, step, layer, found, found_step in zip(
        q, steps, layers, decoded.q, decoded.steps, strict=True
    ):
        np.testing.assert_array_equal(found, values)
        assert found_step == (step if layer else 0)


def test_the_random_model_codes_much() -> None:
    """The other tests would prove little if most coefficients were 0."""
    random = np.random.default_rng(0)
    masks, indices = random_blocks(TENSORS, SMALL_WAVEFORM.experts, 30, random)
    sizes = np.concatenate(WaveformModel(TENSORS).sizes(masks, indices))
    assert len(np.unique(sizes)) > 20
    q = quantize(TENSORS, sizes, 30, random_coefficients(sizes, random))
    assert 0.2 < (q != 0).mean() < 0.9


def test_values_are_near_the_coefficients() -> None:
    random = np.random.default_rng(1)
    masks, indices = random_blocks(TENSORS, SMALL_WAVEFORM.experts, 1, random)
    sizes = WaveformModel(TENSORS).sizes(masks, indices)
    coefficients = random_coefficients(sizes[0], random)
    q = quantize(TENSORS, sizes[0], 20, coefficients, 0.5)
    (values,) = decode_layers(TENSORS, sizes, encode_layers(TENSORS, sizes, [20], [q])).values
    assert values.dtype == np.float32
    steps = 2 ** ((20 + TENSORS.offset + np.maximum(sizes[0] - 20 - TENSORS.offset - 5, 0) - 64) / 4)
    inside = (np.abs(q) < TENSORS.largest) & (sizes[0] >= 20 + TENSORS.offset)
    assert inside.any()
    assert (np.abs(values - coefficients) / steps)[inside].max() < 1
