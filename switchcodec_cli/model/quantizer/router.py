"""The router: chooses the experts of a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..initial_values import normal_values


class Router(nn.Module):
    """Chooses experts by affinity, S = mean over frames of sigmoid(Z U^T) (paper, eq. 1).

    The sigmoid bounds S, which keeps the straight-through gradient of the mask bounded. The bias enters the
    selection only; training adjusts it to balance the load of the experts.
    """

    bias: Tensor

    def __init__(self, experts: int, dimension: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_values(experts, dimension, variance=1 / dimension))  # U
        self.register_buffer("bias", torch.zeros(experts))

    def affinity(self, z: Tensor) -> Tensor:
        """Affinity S of windows for each expert, (B, T, D) -> (B, Nr) in 0..1."""
        return torch.sigmoid(z @ self.weight.mT).mean(1)

    def rank(self, affinity: Tensor) -> Tensor:
        """Experts in descending order of affinity plus bias, (B, Nr) -> (B, Nr) int64."""
        return (affinity.detach() + self.bias).argsort(dim=1, descending=True, stable=True)

    def select(self, affinity: Tensor, counts: Tensor) -> Tensor:
        """Masks of the first `counts` (B,) experts of each window (paper, eq. 2), (B, Nr) -> (B, Nr) bool."""
        order = self.rank(affinity)
        place = torch.arange(order.shape[1], device=order.device).expand_as(order)
        return torch.zeros_like(order).scatter_(1, order, place) < counts[:, None]
