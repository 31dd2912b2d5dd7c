"""Residual experts vector quantization: a shared quantizer, then the chosen experts by ascending index."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..config import QuantizerConfig
from .codebook import FullCodebook
from .residual_vq import Observer, ResidualVQ
from .router import Router


class ResidualExpertVQ(nn.Module):
    """Quantizes windows of latents to masks and indices, and back.

    Masks are (B, Nr) bool; indices are (B, 1 + Nr, S, T), the shared quantizer's first, with zeros for
    experts outside the mask.
    """

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__()
        self.router = Router(config.experts, dimension)
        self.shared = ResidualVQ(config, dimension)
        self.experts = nn.ModuleList(ResidualVQ(config, dimension) for _ in range(config.experts))

    @property
    def quantizers(self) -> list[ResidualVQ]:
        """The shared quantizer and the experts, in the order in which they are applied."""
        return [self.shared, *cast("list[ResidualVQ]", list(self.experts))]

    @torch.no_grad()
    def mean_square(self) -> float:
        """Mean square of the shared quantizer's first codewords: a unit for distances between latents."""
        return float(self.shared.stages[0].all_codewords().square().mean())

    def route(self, z: Tensor, counts: Tensor) -> Tensor:
        """Masks (B, Nr) of windows z (B, T, D) with `counts` (B,) experts each."""
        return self.router.select(self.router.affinity(z), counts)

    def encode(self, z: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Greedy quantization of windows.

        Each chosen quantizer codes the residual that the ones before it left.

        Args:
            z: Latents of windows. # (B, T, D)
            masks: Experts of each window. # (B, Nr)

        Returns:
            The indices (B, 1 + Nr, S, T) and the quantized latents (B, T, D).
        """
        residual, indices = z, []
        for number, quantizer in enumerate(self.quantizers):
            rows = torch.ones_like(masks[:, 0]) if number == 0 else masks[:, number - 1]
            chosen = z.new_zeros((*z.shape[:2], len(quantizer.codebooks)), dtype=torch.long)  # (B, T, S)
            if rows.any():
                chosen[rows], codewords = quantizer.encode(residual[rows])
                residual = residual.clone()
                residual[rows] -= codewords
            indices.append(chosen.mT)
        return torch.stack(indices, 1), z - residual

    def dequantize(self, masks: Tensor, indices: Tensor) -> Tensor:
        """Sums the codewords of the shared quantizer and of the chosen experts, in ascending order.

        Args:
            masks: Experts of each window. # (B, Nr)
            indices: Indices of all quantizers; those outside the mask are ignored. # (B, 1 + Nr, S, T)

        Returns:
            Quantized latents. # (B, T, D)
        """
        shared, *experts = self.quantizers
        total = shared.decode(indices[:, 0].mT)
        for number, expert in enumerate(experts):
            rows = masks[:, number]
            if rows.any():
                total[rows] += expert.decode(indices[rows, 1 + number].mT)
        return total

    def forward(
        self, z: Tensor, counts: Tensor, observe: Observer | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Quantize in training.

        The mask's gradient is straight-through, S + sg(mask - S) (paper, eq. 3). Full codebooks have no
        gradient of their own: the quantized latents have the gradient of z.

        Args:
            z: Latents of windows. # (B, T, D)
            counts: Number of experts of each window. # (B,)
            observe: Called with what each codebook coded.

        Returns:
            Quantized latents (B, T, D), the commitment loss (for full codebooks in units of the variance of
            z), and the masks (B, Nr) bool.
        """
        affinity = self.router.affinity(z)
        hard = self.router.select(affinity, counts)
        soft = affinity + (hard.float() - affinity).detach()
        full = isinstance(self.shared.stages[0], FullCodebook)
        shared, *experts = self.quantizers
        total, commitment = shared(z, observe)
        residual = z - (total.detach() if full else total)
        for number, expert in enumerate(experts):
            rows = hard[:, number].nonzero()[:, 0]  # windows outside the mask need no search
            if len(rows) == 0:
                continue
            part, distance = expert(residual[rows], observe)
            weighted = part * soft[rows, number, None, None]
            chosen = torch.zeros_like(z).index_copy(0, rows, weighted.to(z.dtype))
            total = total + chosen
            commitment = commitment.index_add(0, rows, distance)
            residual = residual - (chosen.detach() if full else chosen)
        if full:
            total = total + (z - z.detach())
            commitment = commitment / (z.detach().square().mean() + 1e-4)
        return total, commitment.mean(), hard
