"""Exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch

from ..model.codec_model import CodecModel

UPDATE_EVERY = 4  # steps
WARMUP_STEPS = 200  # the early average covers a part of the steps so far


class ModelEMA:
    """Average of the weights of a model that is trained; it is what is exported.

    Args:
        model: The model that is trained.
        decay: Per step.
    """

    def __init__(self, model: CodecModel, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: CodecModel, step: int) -> None:
        """Take in the weights after a number of steps; buffers, codebooks among them, are copied."""
        decay = min(self.decay, step / (step + WARMUP_STEPS)) ** UPDATE_EVERY
        averages: list[torch.Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averages, list[torch.Tensor](model.parameters()), 1 - decay)
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)
