"""The router: which experts serve a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Router(nn.Module):
    """Affinity of a window for each expert, S = mean over frames of sigmoid(Z' U^T) (paper, eq. 1).

    The sigmoid bounds S, so that the straight-through gradient of the mask stays sane. `bias` enters
    the selection only: training nudges it against each expert's load, so that none is starved.
    """

    def __init__(self, experts: int, dimension: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(experts, dimension) / dimension**0.5)  # U
        self.register_buffer("bias", torch.zeros(experts))

    def affinity(self, z: Tensor) -> Tensor:
        """Windows z (B, T, D) -> S (B, Nr), each in 0..1."""
        return torch.sigmoid(z @ self.weight.mT).mean(1)

    def rank(self, affinity: Tensor) -> Tensor:
        """Experts from the most to the least wanted, (B, Nr) -> (B, Nr) long."""
        return (affinity.detach() + self.bias).argsort(dim=1, descending=True, stable=True)

    def select(self, affinity: Tensor, active: Tensor) -> Tensor:
        """Mask of the top `active` (B,) experts of each window (paper, eq. 2): (B, Nr) bool."""
        order = self.rank(affinity)
        place = torch.arange(order.shape[1], device=order.device).expand_as(order)
        return torch.zeros_like(order).scatter_(1, order, place) < active[:, None]
