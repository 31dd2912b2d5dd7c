"""Latents moved to where the decoder makes the most of them.

The encoder network sees the input once and guesses; the decoder can be asked. Steps down the gradient of the
distance between decoded and given magnitudes find latents that serve this one input better than the guess.
Some of the steps are taken with the gradient at what codes for the latents decode to (straight-through, as in
training): what one frame's codewords miss, its neighbours and the next choice then make up for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...perceptual.distance import PerceptualDistance, PerceptualFeatures

MOMENTUM, MEMORY = 0.8, 0.95


class LatentRefiner:
    """The latents of one chunk on their way (Adam)."""

    def __init__(
        self,
        likeness: PerceptualDistance,
        z: Tensor,
        before: Tensor,
        after: Tensor,
        target: PerceptualFeatures,
        heard: Tensor,
        size: float,
    ):
        """z (B, T, D): where to start. before, after: the latents to either side (B, n, D), which stay.

        target: of the T frames. heard (B, T): 1 for frames that count, at least one, 0 for those that will
        be silent, which stay as well. size: of a step.
        """
        self.likeness, self.z, self.target = likeness, z, target
        self.before, self.after = before, after
        self.heard = heard[..., None] > 0
        self.weight = heard / heard.sum()
        self.moved = z.detach().clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.moved], size, (MOMENTUM, MEMORY))

    @property
    def latents(self) -> Tensor:
        """Where they are now, (B, T, D)."""
        return torch.where(self.heard, self.moved.detach(), self.z)

    def distance(self, at: Tensor) -> Tensor:
        """Distance of each frame (B, T) between what latents (B, T, D) decode to and the input."""
        start = self.before.shape[1]
        decoded = self.likeness.decoded(torch.cat([self.before, at, self.after], 1))
        return self.likeness.distance(decoded[:, start : start + at.shape[1]], self.target)

    def step(self, at: Tensor) -> Tensor:
        """Move by the gradient at latents (B, T, D); returns their distance (B, T)."""
        with torch.enable_grad():
            at = at.detach().clone().requires_grad_(True)
            distance = self.distance(at)
            (self.moved.grad,) = torch.autograd.grad((distance * self.weight).sum(), at)
        self.optimizer.step()
        return distance.detach()
