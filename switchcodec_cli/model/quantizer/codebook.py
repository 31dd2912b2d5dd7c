"""Codebooks: nearest codeword and look-up, in two forms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import QuantizerConfig


class Codebook(nn.Module):
    """Codewords of the latent's own dimension; trained by moving averages, hence a buffer."""

    def __init__(self, size: int, dimension: int):
        super().__init__()
        self.register_buffer("codewords", torch.zeros(size, dimension))

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the nearest codeword by squared distance, (..., D) -> (...)."""
        # |z - c|^2 less the |z|^2 that is common to all codewords
        return (z @ self.codewords.mT - 0.5 * self.codewords.square().sum(-1)).argmax(-1)

    def distances(self, z: Tensor) -> Tensor:
        """Squared distance to every codeword, less the common |z|^2: (..., D) -> (..., K)."""
        return self.codewords.square().sum(-1) - 2 * (z @ self.codewords.mT)

    def lookup(self, index: Tensor) -> Tensor:
        """Codewords, (...) -> (..., D)."""
        return F.embedding(index, self.codewords)

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training: residual (B, T, D) -> codewords without gradient, commitment (B,), indices (B, T)."""
        index = self.nearest(residual.detach())
        chosen = self.lookup(index)
        return chosen, (residual - chosen).square().mean((1, 2)), index


class FactorisedCodebook(nn.Module):
    """DAC's form: project down, look up by cosine, project back; trained by gradient."""

    def __init__(self, size: int, dimension: int, code_dimension: int):
        super().__init__()
        self.project_in = nn.Linear(dimension, code_dimension)
        self.project_out = nn.Linear(code_dimension, dimension)
        self.codewords = nn.Parameter(torch.randn(size, code_dimension))

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the codeword of smallest angle to the projected latent, (..., D) -> (...)."""
        return (self.project_in(z) @ F.normalize(self.codewords, dim=-1).mT).argmax(-1)

    def lookup(self, index: Tensor) -> Tensor:
        """Codewords projected back to the latent's dimension, (...) -> (..., D)."""
        return self.project_out(F.embedding(index, self.codewords))

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training: residual (B, T, D) -> codewords, straight-through; commitment (B,); indices (B, T)."""
        projected = self.project_in(residual)
        index = (projected.detach() @ F.normalize(self.codewords, dim=-1).mT).argmax(-1)
        codeword = F.embedding(index, self.codewords)
        commitment = (projected - codeword.detach()).square().mean((1, 2))
        codebook = (projected.detach() - codeword).square().mean((1, 2))
        chosen = self.project_out(projected + (codeword - projected).detach())
        return chosen, commitment + 4 * codebook, index


class ResidualVQ(nn.Module):
    """A cascade of codebooks, each on the residual of the ones before it."""

    def __init__(self, config: QuantizerConfig, dimension: int):
        super().__init__()

        def codebook() -> nn.Module:
            if config.form == "full":
                return Codebook(config.codebook_size, dimension)
            return FactorisedCodebook(config.codebook_size, dimension, config.code_dimension)

        self.codebooks = nn.ModuleList(codebook() for _ in range(config.codebooks))

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Greedy search, (..., D) -> indices (..., S) and their sum of codewords (..., D)."""
        total, indices = torch.zeros_like(z), []
        for codebook in self.codebooks:
            index = codebook.nearest(z - total)
            total = total + codebook.lookup(index)
            indices.append(index)
        return torch.stack(indices, -1), total

    def forward(
        self, residual: Tensor, observe: Callable[[Codebook, Tensor, Tensor], None] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Training: residual (B, T, D) -> sum of codewords, commitment (B,).

        `observe(codebook, latents, indices)` sees what each codebook coded, for its moving averages.
        """
        total, commitment = torch.zeros_like(residual), residual.new_zeros(len(residual))
        for codebook in self.codebooks:
            rest = residual - total
            chosen, distance, index = codebook(rest)
            if observe is not None:
                observe(codebook, rest.detach(), index)
            total, commitment = total + chosen, commitment + distance
        return total, commitment / len(self.codebooks)

    def decode(self, indices: Tensor) -> Tensor:
        """Sum of codewords, (..., S) -> (..., D)."""
        total = self.codebooks[0].lookup(indices[..., 0])
        for stage, codebook in enumerate(self.codebooks[1:], 1):
            total = total + codebook.lookup(indices[..., stage])
        return total
