"""Latents moved to where the decoder makes the most of them.

The encoder network sees the input once and guesses; the decoder can be asked. A few steps down the gradient
of the distance between decoded and given magnitudes find latents that serve this one input better than the
guess, and the codewords are then searched for those.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .likeness import Likeness, Target

STEP = 0.03  # of the root mean square of the shared codewords
MOMENTUM, MEMORY = 0.8, 0.95


class LatentAim:
    """Moves latents by gradient steps (Adam) through the decoder."""

    def __init__(self, likeness: Likeness, steps: int):
        self.likeness, self.steps = likeness, steps
        book = likeness.model.quantizer.shared.codebooks[0]
        with torch.no_grad():
            words = book.lookup(torch.arange(book.codewords.shape[0], device=book.codewords.device))
            self.step = STEP * float(words.square().mean().sqrt())

    def __call__(self, z: Tensor, before: Tensor, after: Tensor, target: Target, heard: Tensor) -> Tensor:
        """Better latents for z (B, T, D).

        before, after: the latents to either side (B, n, D), which stay. target: of the T frames. heard
        (B, T): 1 for frames that count, 0 for those that will be silent, which stay as well.
        """
        if not heard.any():
            return z
        weight = heard / heard.sum()
        start, stop = before.shape[1], before.shape[1] + z.shape[1]
        with torch.enable_grad():
            moved = z.detach().clone().requires_grad_(True)
            optimizer = torch.optim.Adam([moved], self.step, (MOMENTUM, MEMORY))
            for _ in range(self.steps):
                decoded = self.likeness.decoded(torch.cat([before, moved, after], 1))[:, start:stop]
                loss = (self.likeness.distance(decoded, target) * weight).sum()
                (moved.grad,) = torch.autograd.grad(loss, moved)
                optimizer.step()
        return torch.where(heard[..., None] > 0, moved.detach(), z)
