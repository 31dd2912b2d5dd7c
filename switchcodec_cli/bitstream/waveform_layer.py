"""Waveform layers: quantized MDCT coefficients of blocks, coded by the sizes that the waveform model expects.

A layer has a step s of 1 to 127 quarter octaves. With the expected size n of a coefficient and the offset o
of its bin, c = n - s - o. If c < 0 the coefficient is 0 and not coded; else its class is min(c, G - 1), which
gives the frequencies of its values and their magnitudes in units of the real step
2^((s + o + max(0, c - (G - 1)) - 64) / 4).

The coded coefficients of a block are symbols of one lane of the coder (`rans`), in the order of frames,
within a frame in the order of bins. The tail is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .index_model import Integers, Masks
from .parameters import MAX_LAYER_BYTES
from .rans import TOTAL, TOTAL_BITS, RansDecoder, RansEncoder
from .waveform_model import STEPS_PER_OCTAVE, UNITY_SIZE, WaveformModelTensors

LARGEST_STEP = 127
ENCODER_LANES = 64  # blocks encoded at once, which bounds the memory

Coefficients = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DecodedLayers:
    """Coefficients of blocks; those of damaged layers are 0.

    Attributes:
        values: In units of full scale. # (T, B) each
        q: The same as integers, -Q to Q. # (T, B) each
        steps: Of each layer; 0 in damaged and empty ones.
        damage: What is wrong with each damaged layer, by its number.
    """

    values: list[Coefficients]
    q: list[Integers]
    steps: list[int]
    damage: dict[int, str]


@dataclass(frozen=True)
class _Classes:
    """What a step makes of the expected sizes of a block."""

    coded: Masks  # (T, B)
    classes: Integers  # 0 where a coefficient is not coded, (T, B)
    steps: Reals  # real steps, (T, B)


def _classes(tensors: WaveformModelTensors, sizes: Integers, step: int) -> _Classes:
    if not 1 <= step <= LARGEST_STEP:
        raise ValueError(f"the step of a waveform layer is 1 to {LARGEST_STEP}, not {step}")
    last = tensors.classes - 1
    c = sizes - step - tensors.offset
    exponents = (step + tensors.offset + np.maximum(c - last, 0) - UNITY_SIZE) / STEPS_PER_OCTAVE
    return _Classes(c >= 0, np.clip(c, 0, last), np.exp2(exponents))


def quantize(
    tensors: WaveformModelTensors,
    sizes: Integers,
    step: int,
    coefficients: npt.ArrayLike,
    rounding: float = 0.4,
) -> Integers:
    """Quantize the coefficients of a block.

    Args:
        tensors: Of the waveform model.
        sizes: That the model expects. # (T, B)
        step: 1 to 127.
        coefficients: In units of full scale. # (T, B)
        rounding: Added before rounding down; 0.5 rounds to the nearest step, less favours small values.

    Returns:
        Integers of -Q to Q, 0 where a coefficient is not coded. # (T, B)
    """
    classes, values = _classes(tensors, sizes, step), np.asarray(coefficients, np.float64)
    magnitudes = np.floor(np.abs(values) / classes.steps + rounding)
    q = np.sign(values) * np.minimum(magnitudes, tensors.largest)
    return np.where(classes.coded, q, 0).astype(np.int64)


def dequantize(tensors: WaveformModelTensors, sizes: Integers, step: int, q: Integers) -> Coefficients:
    """The coefficients of a block in units of full scale, from `quantize`'s integers. # (T, B)"""
    return _values(tensors, _classes(tensors, sizes, step), q)


def _values(tensors: WaveformModelTensors, classes: _Classes, q: Integers) -> Coefficients:
    magnitudes = tensors.levels[classes.classes, np.abs(q)]
    return (np.sign(q) * magnitudes * classes.steps).astype(np.float32)


def layer_bits(tensors: WaveformModelTensors, sizes: Integers, step: int, q: Integers) -> float:
    """Bits that the coefficients of a block cost, without the step and the state of the coder.

    Args:
        tensors: Of the waveform model.
        sizes: That the model expects. # (T, B)
        step: 1 to 127.
        q: From `quantize`. # (T, B)
    """
    _, frequencies = _intervals(tensors, _classes(tensors, sizes, step), q)
    return float((TOTAL_BITS - np.log2(frequencies)).sum())


def _intervals(tensors: WaveformModelTensors, classes: _Classes, q: Integers) -> tuple[Integers, Integers]:
    """Starts and frequencies of the coded coefficients of a block in their order. # (n,) each"""
    if q[~classes.coded].any() or np.abs(q).max(initial=0) > tensors.largest:
        raise ValueError(f"coefficients must be within {tensors.largest} steps, and 0 where none is coded")
    rows, symbols = classes.classes[classes.coded], q[classes.coded] + tensors.largest
    return tensors.starts[rows, symbols], tensors.frequencies[rows, symbols].astype(np.int64)


def encode_layers(
    tensors: WaveformModelTensors, sizes: Sequence[Integers], steps: Sequence[int], q: Sequence[Integers]
) -> list[bytes]:
    """Encode the coefficients of blocks.

    Args:
        tensors: Of the waveform model.
        sizes: That the model expects, of each block. # (T, B)
        steps: Of each block.
        q: From `quantize`, of each block. # (T, B)

    Returns:
        The layer of each block: one byte for the step, then the bytes of the coder. Empty if all coefficients
        are 0, or if the layer would exceed the 4095 bytes that a packet can hold.
    """
    layers: list[bytes] = []
    for begin in range(0, len(q), ENCODER_LANES):
        end = begin + ENCODER_LANES
        layers += _encode_lanes(tensors, sizes[begin:end], steps[begin:end], q[begin:end])
    return layers


def _encode_lanes(
    tensors: WaveformModelTensors, sizes: Sequence[Integers], steps: Sequence[int], q: Sequence[Integers]
) -> list[bytes]:
    intervals = [
        _intervals(tensors, _classes(tensors, expected, step), values)
        for expected, step, values in zip(sizes, steps, q, strict=True)
    ]
    counts = np.array([len(starts) for starts, _ in intervals])
    starts, frequencies = np.zeros((2, counts.max(), len(q)), np.int64)
    for lane, (count, found) in enumerate(zip(counts, intervals, strict=True)):
        starts[:count, lane], frequencies[:count, lane] = found
    encoder = RansEncoder(np.zeros(len(q), np.int64), int(counts.max()))
    for number in range(int(counts.max()) - 1, -1, -1):
        lanes = np.flatnonzero(counts > number)
        encoder.push(lanes, starts[number, lanes], frequencies[number, lanes])
    layers = [
        bytes([step]) + payload if values.any() else b""
        for step, payload, values in zip(steps, encoder.finish(), q, strict=True)
    ]
    return [layer if len(layer) <= MAX_LAYER_BYTES else b"" for layer in layers]


def decode_layers(
    tensors: WaveformModelTensors, sizes: Sequence[Integers], payloads: Sequence[bytes]
) -> DecodedLayers:
    """Decode layers, in a time that depends on the expected sizes only.

    Args:
        tensors: Of the waveform model.
        sizes: That the model expects, of each block. # (T, B)
        payloads: The layer of each block; one of no bytes gives zeros.
    """
    damage: dict[int, str] = {}
    steps = [payload[0] if payload else 0 for payload in payloads]
    for lane, step in enumerate(steps):
        if payloads[lane] and not 1 <= step <= LARGEST_STEP:
            damage[lane] = f"its step is {step}, not 1 to {LARGEST_STEP}"
    q = [np.zeros(each.shape, np.int64) for each in sizes]
    values = [np.zeros(each.shape, np.float32) for each in sizes]
    lanes = [lane for lane, payload in enumerate(payloads) if payload and lane not in damage]
    if lanes:
        classes = [_classes(tensors, sizes[lane], steps[lane]) for lane in lanes]
        found, wrong = _decode_lanes(tensors, classes, [payloads[lane][1:] for lane in lanes])
        damage |= {lanes[number]: reason for number, reason in wrong.items()}
        for lane, each, symbols in zip(lanes, classes, found, strict=True):
            if lane not in damage:
                q[lane][each.coded] = symbols
                values[lane] = _values(tensors, each, q[lane])
    return DecodedLayers(values, q, [0 if lane in damage else s for lane, s in enumerate(steps)], damage)


def _decode_lanes(
    tensors: WaveformModelTensors, classes: Sequence[_Classes], payloads: Sequence[bytes]
) -> tuple[list[Integers], dict[int, str]]:
    """The coded coefficients of layers in their order, and what is wrong with damaged ones."""
    counts = np.array([int(each.coded.sum()) for each in classes])
    order = np.argsort(-counts, kind="stable")  # lanes with fewer coefficients drop out at the end
    rows = np.zeros((counts.max(), len(counts)), np.int64)  # classes
    for place, lane in enumerate(order.tolist()):
        rows[: counts[lane], place] = classes[lane].classes[classes[lane].coded]
    symbols = np.zeros(rows.shape, np.uint8)
    decoder = RansDecoder([payloads[lane] for lane in order.tolist()])
    width = 2 * tensors.largest + 1
    table, starts = tensors.symbols_of_slots, tensors.starts.ravel()
    frequencies = tensors.frequencies.ravel().astype(np.int64)
    active = np.searchsorted(-counts[order], -np.arange(len(rows)))  # lanes with more coefficients than that
    for number, count in enumerate(active.tolist()):
        row = rows[number, :count]
        slots = decoder.slots(slice(count))
        symbol = table.take(row * TOTAL + slots)
        entries = row * width + symbol
        decoder.advance(slice(count), slots - starts.take(entries), frequencies.take(entries))
        symbols[number, :count] = symbol
    damage = decoder.finish("coefficient", "coefficients")
    for place in np.flatnonzero(decoder.tails()).tolist():
        damage.setdefault(place, "the last coefficient is followed by bits that are not zero")
    places = np.argsort(order)
    values = [
        symbols[: counts[lane], place].astype(np.int64) - tensors.largest for lane, place in enumerate(places)
    ]
    return values, {int(order[place]): reason for place, reason in damage.items()}
