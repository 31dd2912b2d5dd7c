"""Windows with fewer experts.

Experts are applied in ascending order, so the first experts of a mask with their indices are a valid block.
The sizes that the waveform model expects follow from the indices, so a waveform layer has to be coded again;
it becomes coarser with the magnitudes that it serves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .index_model import Integers
from .modelled_payload import masks_of_blocks
from .modes import BlockKind
from .waveform_layer import LARGEST_STEP, encode_layers, layer_bits, quantize
from .waveform_model import WaveformModel
from .window import Block, Window

LANES = 32  # windows whose layers are coded together
LEAST_SHARE = 3 / 8  # of the experts; where fewer are left, more experts serve better than a layer
STEP_PER_EXPERT = 2  # quarter octaves by which the step of a layer grows with each expert that is dropped
LAYER_BYTES = 4  # of the step and the coder


@dataclass(frozen=True)
class _Layer:
    """A layer that has to be coded again."""

    step: int
    sizes: Integers  # that are expected with the indices left, (T, B)
    q: Integers  # (T, B)


class ExpertReducer:
    """Drops experts from the end of each mask.

    A waveform layer stays as it is where its block keeps all experts. Else it is quantized again, or left out
    where few experts are kept.

    Args:
        experts: Nr.
        waveform_model: Gives the waveform model; called where a layer has to be coded again.
    """

    def __init__(self, experts: int, waveform_model: Callable[[], WaveformModel]) -> None:
        self._experts, self._waveform_model = experts, waveform_model

    def __call__(self, windows: Sequence[Window], counts: Sequence[int]) -> list[Window]:
        """The windows with at most so many experts in each block.

        Args:
            windows: With plain indices and decoded waveform layers.
            counts: Of each window.
        """
        reduced: list[Window] = []
        for at in range(0, len(windows), LANES):
            reduced += self._reduced(windows[at : at + LANES], counts[at : at + LANES])
        return reduced

    def _reduced(self, windows: Sequence[Window], counts: Sequence[int]) -> list[Window]:
        originals = [block for window in windows for block in window.blocks]
        blocks = [
            _keep(block, count)
            for window, count in zip(windows, counts, strict=True)
            for block in window.blocks
        ]
        layers = self._layers(originals, blocks)
        if layers:
            found = list(layers.values())
            coded = encode_layers(
                self._waveform_model().tensors,
                [each.sizes for each in found],
                [each.step for each in found],
                [each.q for each in found],
            )
            for place, layer in zip(layers, coded, strict=True):
                blocks[place] = replace(blocks[place], waveform=layer)
        remaining = iter(blocks)
        return [replace(window, blocks=tuple(next(remaining) for _ in window.blocks)) for window in windows]

    def layer_bytes(self, windows: Sequence[Window], count: int) -> list[float]:
        """Expected sizes of the waveform layers of windows with at most so many experts in each block."""
        numbers = [number for number, window in enumerate(windows) for _ in window.blocks]
        originals = [block for window in windows for block in window.blocks]
        blocks = [_keep(block, count) for block in originals]
        total = [0.0] * len(windows)
        for number, block in zip(numbers, blocks, strict=True):
            total[number] += len(block.waveform)
        for place, layer in self._layers(originals, blocks).items():
            if layer.q.any():
                bits = layer_bits(self._waveform_model().tensors, layer.sizes, layer.step, layer.q)
                total[numbers[place]] += bits / 8 + LAYER_BYTES
        return total

    def _layers(self, originals: Sequence[Block], blocks: Sequence[Block]) -> dict[int, _Layer]:
        """The layers of blocks that have lost experts and keep enough of them, by place."""
        enough = max(1, LEAST_SHARE * self._experts)
        places = [
            place
            for place, (original, block) in enumerate(zip(originals, blocks, strict=True))
            if original.waveform and enough <= len(block.experts) < len(original.experts)
        ]
        if not places:
            return {}
        model, chosen = self._waveform_model(), [blocks[place] for place in places]
        indices = [block.indices.reshape(-1, block.indices.shape[-1]).astype(np.int64) for block in chosen]
        expected = model.sizes(masks_of_blocks(self._experts, chosen), indices)
        layers = {}
        for place, block, sizes in zip(places, chosen, expected, strict=True):
            original = originals[place]
            if original.coefficients is None:
                raise ValueError("the waveform layers of these windows have not been decoded")
            dropped = len(original.experts) - len(block.experts)
            step = min(original.waveform[0] + STEP_PER_EXPERT * dropped, LARGEST_STEP)
            layers[place] = _Layer(step, sizes, quantize(model.tensors, sizes, step, original.coefficients))
        return layers


def _keep(block: Block, count: int) -> Block:
    """The block with at most so many experts, without a layer if it loses any."""
    if block.kind is not BlockKind.CODED or len(block.experts) <= count:
        return block
    return Block(block.kind, block.experts[:count], block.indices[: 1 + count])
