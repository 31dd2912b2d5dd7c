"""Residual experts vector quantization: a shared quantizer, then the routed experts by ascending index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..config import QuantizerConfig
from .codebook import Codebook, ResidualVQ
from .router import Router


class ResidualExpertVQ(nn.Module):
    """Turns windows of latents into masks and indices, and back."""

    def __init__(self, config: QuantizerConfig, dimension: int):
        super().__init__()
        self.router = Router(config.experts, dimension)
        self.shared = ResidualVQ(config, dimension)
        self.experts = nn.ModuleList(ResidualVQ(config, dimension) for _ in range(config.experts))

    @property
    def quantizers(self) -> list[ResidualVQ]:
        """The shared quantizer and the experts, in the order in which they are applied."""
        return [self.shared, *self.experts]

    @torch.no_grad()
    def mean_square(self) -> float:
        """Mean square of the shared quantizer's first codewords: what is large and small among latents."""
        book = self.shared.codebooks[0]
        words = book.lookup(torch.arange(len(book.codewords), device=book.codewords.device))
        return float(words.square().mean())

    def route(self, z: Tensor, active: Tensor) -> Tensor:
        """Masks (B, Nr) bool for windows z (B, T, D) that may use `active` (B,) experts each."""
        return self.router.select(self.router.affinity(z), active)

    def forward(
        self, z: Tensor, active: Tensor, observe: Callable[[Codebook, Tensor, Tensor], None] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Training: windows z (B, T, D), active (B,) -> quantized z, commitment, masks (B, Nr).

        The mask's gradient is straight-through, S + sg(mask - S) (paper, eq. 3). Codebooks of the full
        form have no gradient of their own: the quantization error is passed over as a whole. The
        commitment is in units of the latent's variance.
        """
        affinity = self.router.affinity(z)
        hard = self.router.select(affinity, active)
        mask = affinity + (hard.float() - affinity).detach()
        full = isinstance(self.shared.codebooks[0], Codebook)
        total, residual = torch.zeros_like(z), z
        commitment = z.new_zeros(len(z))
        for number, quantizer in enumerate(self.quantizers):
            if number == 0:
                chosen, distance = quantizer(residual, observe)
                total, commitment = total + chosen, commitment + distance
            else:
                # only the windows that use this expert are worth its search
                rows = hard[:, number - 1].nonzero()[:, 0]
                if len(rows) == 0:
                    continue
                part, distance = quantizer(residual[rows], observe)
                weight = mask[rows, number - 1, None, None]
                chosen = torch.zeros_like(z).index_copy(0, rows, (part * weight).to(z.dtype))
                total = total + chosen
                commitment = commitment.index_add(0, rows, distance)
            residual = residual - (chosen.detach() if full else chosen)
        if full:
            total = total + (z - z.detach())
            commitment = commitment / (z.detach().square().mean() + 1e-4)
        return total, commitment.mean(), hard

    def encode(self, z: Tensor, mask: Tensor) -> Tensor:
        """Greedy indices of windows.

        z: (B, T, D); mask: (B, Nr) bool. Returns indices (B, 1 + Nr, S, T), of which those of experts
        outside a window's mask are meaningless zeros. The residual passes from one chosen quantizer to
        the next in ascending order of index.
        """
        residual, found = z, []
        for number, quantizer in enumerate(self.quantizers):
            on = torch.ones_like(mask[:, 0]) if number == 0 else mask[:, number - 1]
            indices = z.new_zeros((*z.shape[:2], len(quantizer.codebooks)), dtype=torch.long)  # (B, T, S)
            if on.any():
                indices[on], chosen = quantizer.encode(residual[on])
                residual = residual.clone()
                residual[on] -= chosen
            found.append(indices.mT)
        return torch.stack(found, 1)

    def decode(self, experts: Sequence[int], indices: Tensor) -> Tensor:
        """Latents (T, D) of one window from its ascending expert set and indices (1 + k_r, S, T)."""
        total = self.shared.decode(indices[0].mT)
        for place, expert in enumerate(experts, 1):
            total = total + self.experts[expert].decode(indices[place].mT)
        return total
