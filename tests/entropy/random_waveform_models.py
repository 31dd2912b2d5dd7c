"""Waveform models with random numbers, up to the ends of their ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from switchcodec_cli.bitstream.index_model import LIMIT, ROOM
from switchcodec_cli.bitstream.rans import TOTAL
from switchcodec_cli.bitstream.waveform_model import WaveformModelTensors


@dataclass(frozen=True)
class WaveformSizes:
    """Of a model."""

    experts: int = 3
    per_quantizer: int = 2
    size: int = 64
    embedding: int = 5
    reach: int = 1
    hidden1: int = 12
    hidden2: int = 8
    bins: int = 7
    classes: int = 6
    largest: int = 4


SMALL_WAVEFORM = WaveformSizes()
FULL_WAVEFORM = WaveformSizes(8, 2, 1024, 64, 2, 256, 128, 96, 24, 15)


def random_waveform_tensors(sizes: WaveformSizes, seed: int, extreme: bool = False) -> WaveformModelTensors:
    """A random model; an extreme one has the largest weights and biases that are allowed."""
    random = np.random.default_rng(seed)
    s, c = sizes, (sizes.experts + 1) * sizes.per_quantizer
    columns = (2 * s.reach + 1) * s.embedding

    def weight(*shape: int) -> np.ndarray:
        if extreme:
            return random.choice(np.array([-LIMIT, LIMIT], np.int8), shape)
        return np.clip(random.normal(0, 40, shape).round(), -LIMIT, LIMIT).astype(np.int8)

    def bias(rows: int, inputs: int, middle: int = 0) -> np.ndarray:
        if extreme:
            room = ROOM - 1 - inputs * LIMIT * LIMIT
            return random.choice(np.array([-room, room], np.int32), rows)
        return (middle + random.integers(-2000, 2000, rows, endpoint=True)).astype(np.int32)

    bound = min(32767, (ROOM - 1) // c) if extreme else 400
    arrays = {
        "embedding": random.integers(-bound, bound, (c, s.size, s.embedding), np.int16, endpoint=True),
        "hidden1_weight": weight(s.hidden1, columns),
        "hidden1_bias": bias(s.hidden1, columns),
        "hidden2_weight": weight(s.hidden2, s.hidden1),
        "hidden2_bias": bias(s.hidden2, s.hidden1),
        "output_weight": weight(s.bins, s.hidden2),
        "output_bias": bias(s.bins, s.hidden2, 45 << 7),
        "offset": random.integers(0, 12, s.bins).astype(np.int32),
        "frequencies": np.stack([_frequencies(g, s.largest, random) for g in range(s.classes)]),
        "levels": np.stack([_levels(s.largest, random) for _ in range(s.classes)]),
    }
    return WaveformModelTensors.from_arrays(arrays)


def random_waveform_blocks(
    tensors: WaveformModelTensors, experts: int, count: int, random: np.random.Generator, frames: int = 9
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random masks (count, Nr), and indices (S, T) of blocks of up to `frames` frames."""
    masks = random.random((count, experts)) < random.random((count, 1))
    shapes = [(len(tensors.codebooks_of(mask)), random.integers(1, frames + 1)) for mask in masks]
    return masks, [random.integers(0, tensors.size, shape) for shape in shapes]


def _frequencies(number: int, largest: int, random: np.random.Generator) -> np.ndarray:
    """Frequencies of a class, narrow for low numbers."""
    magnitude = np.abs(np.arange(-largest, largest + 1))
    shares = np.exp(-magnitude * 3 / (1 + number)) * random.uniform(0.8, 1.2, len(magnitude))
    frequencies = 1 + np.floor(shares / shares.sum() * (TOTAL - len(shares))).astype(np.int32)
    frequencies[largest] += TOTAL - frequencies.sum()
    return frequencies


def _levels(largest: int, random: np.random.Generator) -> np.ndarray:
    """Magnitudes of 0 ... largest, each somewhat below its number of steps."""
    return (np.arange(largest + 1) * random.uniform(0.9, 1)).astype(np.float32)
