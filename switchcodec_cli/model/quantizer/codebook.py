"""Codebooks: nearest codeword and look-up, in two forms."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import QuantizerConfig
from ..initial_values import normal_values


class Codebook(nn.Module, ABC):
    """A set of K codewords.

    Attributes:
        codewords: In the form's own dimension. # (K, D) or (K, code dimension)
    """

    codewords: Tensor

    @abstractmethod
    def nearest(self, z: Tensor) -> Tensor:
        """Indices of the nearest codewords, (..., D) -> (...)."""

    @abstractmethod
    def lookup(self, index: Tensor) -> Tensor:
        """Codewords in the latent's dimension, (...) -> (..., D)."""

    @abstractmethod
    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantize in training.

        Args:
            residual: What is left to be coded. # (B, T, D)

        Returns:
            The codewords (B, T, D), the loss of each item (B,) and the indices (B, T).
        """

    def all_codewords(self) -> Tensor:
        """All codewords in the latent's dimension. # (K, D)"""
        return self.lookup(torch.arange(len(self.codewords), device=self.codewords.device))


class FullCodebook(Codebook):
    """Codewords of the latent's own dimension, trained by moving averages and therefore a buffer."""

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("codewords", torch.zeros(size, dimension))

    def nearest(self, z: Tensor) -> Tensor:
        """Indices of the codewords at the least Euclidean distance, (..., D) -> (...)."""
        # argmin |z - c|^2 = argmax z c - |c|^2 / 2
        return (z @ self.codewords.mT - 0.5 * self.codewords.square().sum(-1)).argmax(-1)

    def lookup(self, index: Tensor) -> Tensor:
        """Codewords, (...) -> (..., D)."""
        return F.embedding(index, self.codewords)

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantize in training; codewords have no gradient, the loss is the commitment loss."""
        index = self.nearest(residual.detach())
        chosen = self.lookup(index)
        return chosen, (residual - chosen).square().mean((1, 2)), index


class FactorisedCodebook(Codebook):
    """Low-dimensional codewords compared by cosine similarity, trained by gradient (Kumar et al. 2023)."""

    def __init__(self, size: int, dimension: int, code_dimension: int) -> None:
        super().__init__()
        self.project_in = nn.Linear(dimension, code_dimension)
        self.project_out = nn.Linear(code_dimension, dimension)
        self.codewords = nn.Parameter(normal_values(size, code_dimension))

    def nearest(self, z: Tensor) -> Tensor:
        """Indices of the codewords most similar to the projected latents, (..., D) -> (...)."""
        similarity: Tensor = self.project_in(z) @ F.normalize(self.codewords, dim=-1).mT
        return similarity.argmax(-1)

    def lookup(self, index: Tensor) -> Tensor:
        """Codewords projected back to the latent's dimension, (...) -> (..., D)."""
        projected: Tensor = self.project_out(F.embedding(index, self.codewords))
        return projected

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantize in training; gradients are straight-through, the loss is commitment + 4 x codebook."""
        projected = self.project_in(residual)
        index = (projected.detach() @ F.normalize(self.codewords, dim=-1).mT).argmax(-1)
        codeword = F.embedding(index, self.codewords)
        commitment = (projected - codeword.detach()).square().mean((1, 2))
        codebook = (projected.detach() - codeword).square().mean((1, 2))
        chosen: Tensor = self.project_out(projected + (codeword - projected).detach())
        return chosen, commitment + 4 * codebook, index


def build_codebook(config: QuantizerConfig, dimension: int) -> Codebook:
    """A codebook of the configured form for latents of `dimension`."""
    if config.form == "full":
        return FullCodebook(config.codebook_size, dimension)
    return FactorisedCodebook(config.codebook_size, dimension, config.code_dimension)
