"""Residual quantization that keeps several partial code sequences per frame instead of one.

A greedy search takes the nearest codeword at each stage, although another one may leave a residual that the
later stages can code better. Here the best few sequences so far stay in the race until the last stage.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.revq import ResidualExpertQuantizer


class MultiPathSearch:
    """Searches the codewords of a quantizer, for windows in batches."""

    def __init__(self, quantizer: ResidualExpertQuantizer):
        size = quantizer.shared.codebooks[0].codewords.shape[0]
        with torch.no_grad():
            every = torch.arange(size, device=quantizer.router.weight.device)
            # per quantizer and stage: codewords (K, D) and half their squared lengths (K,)
            self.stages = [
                [
                    (words, 0.5 * words.square().sum(-1))
                    for words in (book.lookup(every) for book in each.codebooks)
                ]
                for each in quantizer.quantizers
            ]
        self.size = size

    def __call__(self, z: Tensor, mask: Tensor, paths: int) -> tuple[Tensor, Tensor]:
        """Indices of windows, and what they decode to.

        z: (B, T, D); mask: (B, Nr) bool; paths: sequences kept per frame. Returns indices
        (B, 1 + Nr, S, T), zeros for experts outside a window's mask, and the quantized latents (B, T, D).
        """
        batch, frames, _ = z.shape
        depth = len(self.stages[0])
        keep = min(paths, self.size)
        residual = z[:, :, None]  # (B, T, P, D)
        error = z.new_zeros(batch, frames, 1)  # half the squared length, less half of |z|^2
        chosen = torch.zeros(batch, frames, 1, 0, dtype=torch.long, device=z.device)  # (B, T, P, stages)
        for number, stages in enumerate(self.stages):
            rows = mask.new_ones(batch) if number == 0 else mask[:, number - 1]
            for words, half_square in stages:
                if number == 0:
                    residual, error, index, parent = _extend(residual, error, words, half_square, keep)
                    chosen = _gather(chosen, parent)
                else:
                    index = torch.zeros_like(error, dtype=torch.long)
                    if rows.any():
                        found = _extend(residual[rows], error[rows], words, half_square, keep)
                        residual, error, chosen = residual.clone(), error.clone(), chosen.clone()
                        residual[rows], error[rows], index[rows] = found[:3]
                        chosen[rows] = _gather(chosen[rows], found[3])
                chosen = torch.cat([chosen, index[..., None]], -1)
        best = error.argmin(2, keepdim=True)  # (B, T, 1)
        indices = _gather(chosen, best)[:, :, 0].mT.unflatten(1, (-1, depth))  # (B, 1 + Nr, S, T)
        return indices, z - _gather(residual, best)[:, :, 0]


def _gather(values: Tensor, index: Tensor) -> Tensor:
    """Pick paths: values (B, T, P, n), index (B, T, Q) -> (B, T, Q, n)."""
    return values.gather(2, index[..., None].expand(-1, -1, -1, values.shape[-1]))


def _extend(
    residual: Tensor, error: Tensor, words: Tensor, half_square: Tensor, keep: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One stage for residuals (B, T, P, D) of errors (B, T, P).

    Returns residuals and errors of the best `keep` continuations, their codewords and their parents,
    (B, T, keep, D) and (B, T, keep) three times.
    """
    # |r - c|^2 / 2 less the |r|^2 / 2 that `error` holds already
    total = (half_square - residual @ words.mT).add_(error[..., None])  # (B, T, P, K)
    error, flat = total.flatten(2).topk(keep, dim=2, largest=False, sorted=False)
    parent, index = flat // len(words), flat % len(words)
    return _gather(residual, parent) - words[index], error, index, parent
