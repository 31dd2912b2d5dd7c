"""Sets of experts and the residual that each of them leaves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ

MOST_CANDIDATES = 8  # experts whose sets are all tried: up to 256 sets


@dataclass
class _Best:
    """The best sets of every window so far."""

    masks: Tensor  # (B, count, Nr) bool, best first
    errors: Tensor  # mean squared residuals, (B, count)

    def record(self, rows: Tensor, residual: Tensor, mask: Tensor) -> None:
        """Windows number `rows` (n,) with sets mask (n, Nr) that leave residuals (n, T, D)."""
        count = self.errors.shape[1]
        errors = torch.cat([self.errors[rows], residual.square().sum(2).mean(1)[:, None]], 1)
        masks = torch.cat([self.masks[rows], mask[:, None]], 1)
        order = errors.argsort(dim=1, stable=True)[:, :count]
        self.errors[rows] = errors.gather(1, order)
        self.masks[rows] = masks.gather(1, order[..., None].expand(-1, -1, masks.shape[2]))


class MaskSearch:
    """Tries every set among the experts that the router ranks highest, by greedy quantization."""

    def __init__(self, quantizer: ResidualExpertVQ):
        self.quantizer = quantizer
        self.experts = len(quantizer.experts)

    def best(self, z: Tensor, wanted: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The sets of `wanted` (B,) experts that leave the least residual of windows z (B, T, D).

        Returns masks (B, count, Nr) bool, best first, and the mean squared residuals (B, count); where
        there are fewer sets than `count` these are infinite. The router's own choice is always tried.
        """
        order = self.quantizer.router.rank(self.quantizer.router.affinity(z))  # (B, Nr)
        place = order.argsort(1)  # of each expert in the router's ranking
        # of more than can be tried, the router's first ones are in every set and its last ones in none
        certain = (wanted - MOST_CANDIDATES // 2).clamp(min=0, max=max(0, self.experts - MOST_CANDIDATES))
        required = place < certain[:, None]
        allowed = place < certain[:, None] + MOST_CANDIDATES
        best = _Best(
            torch.zeros(len(z), count, self.experts, dtype=torch.bool, device=z.device),
            z.new_full((len(z), count), torch.inf),
        )
        rows = torch.arange(len(z), device=z.device)
        _, shared = self.quantizer.shared.encode(z)
        mask = torch.zeros_like(required)
        self._visit(best, 0, rows, z - shared, mask, wanted, required, allowed)
        return best.masks, best.errors

    def _visit(
        self, best: _Best, expert: int, rows: Tensor, residual: Tensor, mask: Tensor, wanted: Tensor,
        required: Tensor, allowed: Tensor,
    ) -> None:  # fmt: skip
        """Goes through the sets that agree with `mask` (n, Nr) below `expert`, for windows number `rows`."""
        missing = wanted[rows] - mask.sum(1)
        left = allowed[rows, expert:].sum(1)
        alive = (missing >= 0) & (missing <= left)
        done = alive & ((missing == 0) if expert < self.experts else alive)
        if expert < self.experts:
            done &= ~required[rows, expert:].any(1)
        if done.any():
            best.record(rows[done], residual[done], mask[done])
        alive &= ~done
        if expert == self.experts or not alive.any():
            return
        rows, residual, mask = rows[alive], residual[alive], mask[alive]
        use = allowed[rows, expert]
        if use.any():
            _, coded = self.quantizer.experts[expert].encode(residual[use])
            with_it = mask[use].clone()
            with_it[:, expert] = True
            rest = residual[use] - coded
            self._visit(best, expert + 1, rows[use], rest, with_it, wanted, required, allowed)
        skip = ~required[rows, expert]
        if skip.any():
            rest = residual[skip]
            self._visit(best, expert + 1, rows[skip], rest, mask[skip], wanted, required, allowed)
