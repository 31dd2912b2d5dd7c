"""Expected sizes of modelled indices, which rate control needs before the indices are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...bitstream import StreamParameters
from ...bitstream.index_model import IndexModel
from ...bitstream.modelled_payload import index_intervals
from ...bitstream.rans import TOTAL_BITS
from ...model.quantizer.revq import ResidualExpertVQ
from .allocation import FloatArray, IntArray

CODER_BYTES = 2  # that the coder adds to a block, on average


class IndexCost:
    """Measures the cost of greedy indices with the router's masks.

    Indices of a more thorough search cost the same, within a percent. Quantizers beyond those measured are
    expected to cost as much as the last one.

    Args:
        quantizer: The quantizer.
        model: The model of its indices.
        parameters: Of the streams.
        experts: Number of experts to measure with.
    """

    def __init__(
        self, quantizer: ResidualExpertVQ, model: IndexModel, parameters: StreamParameters, experts: int
    ) -> None:
        self._quantizer, self._model = quantizer, model
        self._parameters, self._experts = parameters, experts

    def __call__(self, z: Tensor) -> IntArray:
        """Expected bytes by number of experts.

        Args:
            z: Latents of windows. # (B, W, F, D)

        Returns:
            Bytes of the indices of a block. # (B, W, Nr + 1)
        """
        flat = z.flatten(0, 1)
        masks = self._quantizer.route(flat, torch.full((len(flat),), self._experts, device=z.device))
        indices = self._quantizer.encode(flat, masks)[0].cpu().numpy()  # (n, 1 + Nr, S, F)
        chosen = masks.cpu().numpy()
        used = np.concatenate([np.ones((len(chosen), 1), bool), chosen], 1)
        blocks = [block[row].reshape(-1, block.shape[-1]) for block, row in zip(indices, used, strict=True)]
        frequencies = index_intervals(self._model, chosen, blocks)[1]  # (n, (1 + k) * S, F)
        bits = (TOTAL_BITS - np.log2(frequencies)).sum(2)
        quantizers = bits.reshape(len(flat), 1 + self._experts, -1).sum(2)  # (n, 1 + k)
        return self._table(quantizers, z.shape[2]).reshape(*z.shape[:2], -1)

    def _table(self, bits: FloatArray, frames: int) -> IntArray:
        """Bytes by number of experts (n, Nr + 1) from bits by quantizer (n, 1 + k)."""
        most = self._parameters.experts
        beyond = np.repeat(bits[:, -1:], most - self._experts, 1)
        total = np.concatenate([bits, beyond], 1).cumsum(1) / 8 + CODER_BYTES
        plain = [self._parameters.plain_bytes(count, frames) for count in range(most + 1)]
        return np.ceil(np.minimum(total, plain)).astype(np.int64)
