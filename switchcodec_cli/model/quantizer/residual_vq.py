"""Residual vector quantization with a fixed cascade of codebooks: one quantizer of REVQ."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ..config import QuantizerConfig
from .codebook import Codebook, build_codebook

Observer = Callable[[Codebook, Tensor, Tensor], None]
"""Called in training with a codebook, the latents (B, T, D) it coded, and their indices (B, T)."""


class ResidualVQ(nn.Module):
    """A cascade of S codebooks, each of which codes the residual of those before it."""

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__()
        self.codebooks = nn.ModuleList(build_codebook(config, dimension) for _ in range(config.codebooks))

    @property
    def stages(self) -> list[Codebook]:
        """The codebooks in order."""
        return cast("list[Codebook]", list(self.codebooks))

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Greedy quantization, (..., D) -> indices (..., S) and the sum of their codewords (..., D)."""
        total, indices = torch.zeros_like(z), []
        for codebook in self.stages:
            index = codebook.nearest(z - total)
            total = total + codebook.lookup(index)
            indices.append(index)
        return torch.stack(indices, -1), total

    def decode(self, indices: Tensor) -> Tensor:
        """The sum of codewords, (..., S) -> (..., D)."""
        first, *others = self.stages
        total = first.lookup(indices[..., 0])
        for stage, codebook in enumerate(others, 1):
            total = total + codebook.lookup(indices[..., stage])
        return total

    def forward(self, residual: Tensor, observe: Observer | None = None) -> tuple[Tensor, Tensor]:
        """Quantize in training: residual (B, T, D) -> sum of codewords (B, T, D) and loss (B,)."""
        total, loss = torch.zeros_like(residual), residual.new_zeros(len(residual))
        for codebook in self.stages:
            rest = residual - total
            chosen, distance, index = codebook(rest)
            if observe is not None:
                observe(codebook, rest.detach(), index)
            total, loss = total + chosen, loss + distance
        return total, loss / len(self.codebooks)
