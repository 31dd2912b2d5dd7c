"""Residual quantization that keeps several partial code sequences per frame instead of one.

A greedy search takes the nearest codeword at each stage, although another one may leave a residual that the
later stages can code better. Here the best few sequences so far stay in the race until the last stage.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ

GROUP = 32  # continuations of which the best one is found first, where there are many


class BeamSearch:
    """Searches the codewords of a quantizer, window by window: what one needs fits a processor's cache."""

    def __init__(self, quantizer: ResidualExpertVQ):
        self.size = quantizer.shared.codebooks[0].codewords.shape[0]
        with torch.no_grad():
            every = torch.arange(self.size, device=quantizer.router.weight.device)
            self.words = [
                [book.lookup(every) for book in each.codebooks] for each in quantizer.quantizers
            ]  # (K, D) by quantizer and stage
            # with them half their squared length and 1: see `_extend`
            self.scales = [[_scales(words) for words in stages] for stages in self.words]

    def __call__(self, z: Tensor, mask: Tensor, paths: int) -> tuple[Tensor, Tensor]:
        """Indices of windows, and what they decode to.

        z: (B, T, D); mask: (B, Nr) bool; paths: sequences kept per frame. Returns indices
        (B, 1 + Nr, S, T), zeros for experts outside a window's mask, and the quantized latents (B, T, D).
        """
        batch, frames, dimension = z.shape
        depth = len(self.words[0])
        indices = torch.zeros(batch, len(self.words), depth, frames, dtype=torch.long, device=z.device)
        quantized = torch.empty_like(z)
        for window, experts in enumerate(mask.tolist()):
            used = [0, *(number for number, on in enumerate(experts, 1) if on)]
            # residuals, -1, and half of |z|^2 less half of the squared length of the residual
            state = torch.cat([z[window], z.new_full((frames, 1), -1), z.new_zeros(frames, 1)], 1)
            state = state[:, None]  # (T, P, D + 2)
            chosen = torch.zeros(frames, 1, 0, dtype=torch.long, device=z.device)  # (T, P, stages)
            for number in used:
                for words, scales in zip(self.words[number], self.scales[number], strict=True):
                    state, parent, index = _extend(state, words, scales, min(paths, self.size))
                    chosen = torch.cat([_pick(chosen, parent), index[..., None]], -1)
            best = state[..., -1].argmax(1, keepdim=True)  # (T, 1)
            indices[window, used] = _pick(chosen, best)[:, 0].mT.unflatten(0, (-1, depth))
            quantized[window] = z[window] - _pick(state, best)[:, 0, :dimension]
        return indices, quantized


def _scales(words: Tensor) -> Tensor:
    """Codewords (K, D) -> (D + 2, K), ready to be multiplied with the paths' states."""
    half_square = 0.5 * words.square().sum(-1, keepdim=True)
    return torch.cat([words, half_square, torch.ones_like(half_square)], -1).mT.contiguous()


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Pick paths: values (T, P, n), index (T, Q) -> (T, Q, n)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _extend(state: Tensor, words: Tensor, scales: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor]:
    """One stage for paths of state (T, P, D + 2): the states of the best `keep` continuations, their parents
    and their codewords, (T, keep) both."""
    # r.c - |c|^2 / 2, and what the path had gained before: half of what |r|^2 falls by, in one product
    gain = state @ scales  # (T, P, K)
    score, flat = _best(gain.flatten(1), keep)
    parent, index = flat // len(words), flat % len(words)
    state = _pick(state, parent)
    state[..., : words.shape[1]] -= words[index]
    state[..., -1] = score
    return state, parent, index


def _best(values: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The greatest `keep` of values (T, n) and their places; exact, and faster than sorting out all n."""
    groups = values.shape[1] // GROUP
    if groups < 2 * keep or values.shape[1] % GROUP:
        return values.topk(keep, 1, sorted=False)
    # none of the greatest can be outside the groups with the greatest maxima
    grouped = values.view(len(values), GROUP, groups)
    group = grouped.amax(1).topk(keep, 1, sorted=False).indices  # (T, keep)
    candidates = grouped.gather(2, group[:, None].expand(-1, GROUP, -1)).flatten(1)
    score, place = candidates.topk(keep, 1, sorted=False)
    return score, place // keep * groups + group.gather(1, place % keep)
