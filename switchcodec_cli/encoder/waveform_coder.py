"""Waveform layers: how fine each one is, and what it costs.

A layer serves best when it is neither much finer nor much coarser than the magnitudes, so its step follows
from the number of experts of its block and from the level of its coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..bitstream import BlockKind, Window
from ..bitstream.modelled_payload import masks_of_blocks
from ..bitstream.waveform_layer import LARGEST_STEP, encode_layers, quantize
from ..bitstream.waveform_model import STEPS_PER_OCTAVE, UNITY_SIZE, WaveformModel
from .settings import LEAST_LAYERED_SHARE

IntArray = npt.NDArray[np.int64]
Coefficients = npt.NDArray[np.float32]

# Power of the error that quantization is to leave, relative to that of the coefficients at the reference
# level, by the share of the experts in use. Tuned by PESQ and mel distance at equal rates; below the first
# share a further expert serves as well as a layer.
SHARES = (LEAST_LAYERED_SHARE, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1.0)
NOISE = (0.6, 0.2, 0.1, 0.04, 0.02, 0.0125)
# What a layer is worth: share of the distortion that rate control takes as removed by it. From mel distance,
# STFT distance and PESQ of streams with and without layers, in proportion to those of further experts.
WORTH = (0.085, 0.13, 0.15, 0.19, 0.20, 0.21)
REFERENCE, LEVEL_EXPONENT = 2e-2, 0.8  # louder blocks may have more noise, though less than in proportion
ROUNDING = 0.4  # of quantization; less than 0.5, since small values cost bits and gain little

# Expected bits of a coefficient of magnitude x in units of the step: BITS * log2(1 + (x / KNEE)^2) + LEAST
BITS, KNEE, LEAST = 1.0, 0.6, 0.1
LAYER_BYTES = 6  # the step, the coder's state and its rounding


class WaveformCoder:
    """Adds waveform layers to windows.

    Args:
        model: The waveform model.
        experts: Number of experts of the quantizer.
    """

    def __init__(self, model: WaveformModel, experts: int) -> None:
        self._model, self._experts = model, experts
        self._weights = 2.0 ** (-model.tensors.offset / STEPS_PER_OCTAVE)

    @property
    def bins(self) -> int:
        """Coefficients of a latent frame."""
        return self._model.tensors.bins

    def __call__(self, windows: Sequence[Window], coefficients: Sequence[Coefficients]) -> list[Window]:
        """Windows with layers.

        Args:
            windows: With plain indices.
            coefficients: Of each window, in units of full scale. # (signals, F, bins)
        """
        places = [
            (number, signal, step)
            for number, window in enumerate(windows)
            for signal, block in enumerate(window.blocks)
            if block.kind is BlockKind.CODED
            and (step := self._step(coefficients[number][signal], len(block.experts))) is not None
        ]
        if not places:
            return list(windows)
        blocks = [windows[number].blocks[signal] for number, signal, _ in places]
        indices = [block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64) for block in blocks]
        tensors, steps = self._model.tensors, [step for _, _, step in places]
        sizes = self._model.sizes(masks_of_blocks(self._experts, blocks), indices)
        values = [
            quantize(tensors, expected, step, coefficients[number][signal], ROUNDING)
            for expected, (number, signal, step) in zip(sizes, places, strict=True)
        ]
        result = [list(window.blocks) for window in windows]
        layers = encode_layers(tensors, sizes, steps, values)
        for (number, signal, _), layer in zip(places, layers, strict=True):
            result[number][signal] = replace(result[number][signal], waveform=layer)
        return [replace(window, blocks=tuple(blocks)) for window, blocks in zip(windows, result, strict=True)]

    @property
    def remaining_distortion(self) -> npt.NDArray[np.float64]:
        """Share of the distortion that remains with a layer, by number of experts. # (Nr + 1,)"""
        shares = np.arange(self._experts + 1) / max(1, self._experts)
        return 1 - np.where(shares < SHARES[0], 0.0, np.interp(shares, SHARES, WORTH))

    def expected_bytes(self, coefficients: Coefficients) -> IntArray:
        """Expected sizes of the layers of windows by number of experts.

        Args:
            coefficients: In units of full scale. # (signals, W, F, bins)

        Returns:
            Bytes. # (signals, W, Nr + 1)
        """
        signals, windows = coefficients.shape[:2]
        sizes = np.zeros((signals, windows, self._experts + 1), np.int64)
        for count in range(self._experts + 1):
            for place in np.ndindex(signals, windows):
                step = self._step(coefficients[place], count)
                if step is not None:
                    x = np.abs(coefficients[place]) * self._weights / _real_step(step)
                    bits = (BITS * np.log2(1 + (x / KNEE) ** 2) + LEAST * (x > LEAST)).sum()
                    sizes[place][count] = round(bits / 8) + LAYER_BYTES
        return sizes

    def _step(self, coefficients: Coefficients, count: int) -> int | None:
        """The step for the coefficients (F, bins) of a block with `count` experts; None for no layer."""
        share = count / max(1, self._experts)
        if share < SHARES[0]:
            return None
        noise = np.exp(np.interp(share, SHARES, np.log(NOISE)))
        level = float(np.square(coefficients * self._weights, dtype=np.float64).mean())
        if level <= 0:
            return None
        power = 12 * noise * level**LEVEL_EXPONENT * REFERENCE ** (1 - LEVEL_EXPONENT)
        step = round(STEPS_PER_OCTAVE * np.log2(power) / 2) + UNITY_SIZE
        return int(np.clip(step, 1, LARGEST_STEP))


def _real_step(step: int) -> float:
    real: float = 2.0 ** ((step - UNITY_SIZE) / STEPS_PER_OCTAVE)
    return real
