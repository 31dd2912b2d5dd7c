"""Search for masks by the quantization error that greedy quantization within them leaves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ

MAX_CANDIDATES = 8  # experts all of whose subsets are tried: up to 256 masks


@dataclass(frozen=True)
class _Best:
    """The best masks found so far for every window, updated in place."""

    masks: Tensor  # (B, count, Nr) bool, best first
    errors: Tensor  # mean squared errors, (B, count)

    def record(self, rows: Tensor, residual: Tensor, mask: Tensor) -> None:
        """Record the masks (n, Nr) that leave the residuals (n, T, D) of windows `rows` (n,)."""
        count = self.errors.shape[1]
        errors = torch.cat([self.errors[rows], residual.square().sum(2).mean(1)[:, None]], 1)
        masks = torch.cat([self.masks[rows], mask[:, None]], 1)
        order = errors.argsort(dim=1, stable=True)[:, :count]
        self.errors[rows] = errors.gather(1, order)
        self.masks[rows] = masks.gather(1, order[..., None].expand(-1, -1, masks.shape[2]))


class MaskSearch:
    """Tries all masks among the experts that the router ranks highest.

    Args:
        quantizer: The quantizer whose experts are tried.
    """

    def __init__(self, quantizer: ResidualExpertVQ) -> None:
        self.quantizer = quantizer

    def best(self, z: Tensor, counts: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Find the masks that leave the least quantization error.

        Args:
            z: Latents of windows. # (B, T, D)
            counts: Experts of each window. # (B,)
            number: Masks to return for each window.

        Returns:
            Masks (B, number, Nr) bool, best first, and mean squared errors (B, number), infinite where there
            are fewer masks. The router's own choice is always among those tried.
        """
        router, experts = self.quantizer.router, len(self.quantizer.experts)
        rank = router.rank(router.affinity(z)).argsort(1)  # of each expert, (B, Nr)
        # if there are too many experts to try, the router's first are in every mask and its last in none
        certain = (counts - MAX_CANDIDATES // 2).clamp(min=0, max=max(0, experts - MAX_CANDIDATES))
        required = rank < certain[:, None]
        allowed = rank < certain[:, None] + MAX_CANDIDATES
        best = _Best(
            torch.zeros(len(z), number, experts, dtype=torch.bool, device=z.device),
            z.new_full((len(z), number), torch.inf),
        )
        rows = torch.arange(len(z), device=z.device)
        _, shared = self.quantizer.shared.encode(z)
        visit = _Visit(self.quantizer, best, counts, required, allowed)
        visit(0, rows, z - shared, torch.zeros_like(required))
        return best.masks, best.errors


@dataclass(frozen=True)
class _Visit:
    """A depth-first visit of all masks, expert by expert in ascending order."""

    quantizer: ResidualExpertVQ
    best: _Best
    counts: Tensor  # experts of each window, (B,)
    required: Tensor  # experts that are in every mask, (B, Nr) bool
    allowed: Tensor  # experts that may be in a mask, (B, Nr) bool

    def __call__(self, expert: int, rows: Tensor, residual: Tensor, mask: Tensor) -> None:
        """Visit the masks that agree with `mask` (n, Nr) below `expert`, for windows `rows` (n,)."""
        _, *experts = self.quantizer.quantizers
        missing = self.counts[rows] - mask.sum(1)
        available = self.allowed[rows, expert:].sum(1)
        alive = (missing >= 0) & (missing <= available)
        done = alive & ((missing == 0) if expert < len(experts) else alive)
        if expert < len(experts):
            done &= ~self.required[rows, expert:].any(1)
        if done.any():
            self.best.record(rows[done], residual[done], mask[done])
        alive &= ~done
        if expert == len(experts) or not alive.any():
            return
        rows, residual, mask = rows[alive], residual[alive], mask[alive]
        use = self.allowed[rows, expert]
        if use.any():
            _, codewords = experts[expert].encode(residual[use])
            with_expert = mask[use].clone()
            with_expert[:, expert] = True
            self(expert + 1, rows[use], residual[use] - codewords, with_expert)
        skip = ~self.required[rows, expert]
        if skip.any():
            self(expert + 1, rows[skip], residual[skip], mask[skip])
