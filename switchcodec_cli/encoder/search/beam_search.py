"""Beam search for the indices of residual quantization.

The nearest codeword at one stage may leave a residual that later stages code badly. A beam search keeps the
best few partial index sequences of every latent frame until the last stage.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ

GROUP = 32  # candidates whose maximum is taken first where there are many


class BeamSearch:
    """Searches the codewords of a quantizer, one window at a time to make good use of the cache.

    Args:
        quantizer: The quantizer whose codewords are searched.
    """

    @torch.no_grad()
    def __init__(self, quantizer: ResidualExpertVQ) -> None:
        # (K, D) by quantizer and stage
        self._codewords = [
            [codebook.all_codewords() for codebook in each.stages] for each in quantizer.quantizers
        ]
        self._matrices = [[_score_matrix(codewords) for codewords in each] for each in self._codewords]
        self._size = len(self._codewords[0][0])

    def __call__(self, z: Tensor, masks: Tensor, width: int) -> Tensor:
        """Search indices for windows.

        Args:
            z: Latents. # (B, T, D)
            masks: Experts of each window. # (B, Nr) bool
            width: Index sequences kept for each latent frame.

        Returns:
            The indices, zeros for experts outside the mask. # (B, 1 + Nr, S, T)
        """
        batch, frames, _ = z.shape
        stages = len(self._codewords[0])
        indices = torch.zeros(batch, len(self._codewords), stages, frames, dtype=torch.long, device=z.device)
        for window, experts in enumerate(masks.tolist()):
            used = [0, *(number for number, chosen in enumerate(experts, 1) if chosen)]
            # the beam's state: residual r, -1, and (|z|^2 - |r|^2) / 2
            state = torch.cat([z[window], z.new_full((frames, 1), -1), z.new_zeros(frames, 1)], 1)
            state = state[:, None]  # (T, width, D + 2)
            chosen = torch.zeros(frames, 1, 0, dtype=torch.long, device=z.device)  # (T, width, stages so far)
            for number in used:
                for codewords, matrix in zip(self._codewords[number], self._matrices[number], strict=True):
                    state, parent, index = _extend(state, codewords, matrix, min(width, self._size))
                    chosen = torch.cat([_pick(chosen, parent), index[..., None]], -1)
            best = state[..., -1].argmax(1, keepdim=True)  # (T, 1)
            indices[window, used] = _pick(chosen, best)[:, 0].mT.unflatten(0, (-1, stages))
        return indices


def _score_matrix(codewords: Tensor) -> Tensor:
    """Codewords (K, D) to a matrix (D + 2, K) whose product with a state is the score of each extension.

    A state [r, -1, g] with g = (|z|^2 - |r|^2) / 2 times [c, |c|^2 / 2, 1] is g + r c - |c|^2 / 2, which is
    (|z|^2 - |r - c|^2) / 2.
    """
    half_square = 0.5 * codewords.square().sum(-1, keepdim=True)
    return torch.cat([codewords, half_square, torch.ones_like(half_square)], -1).mT.contiguous()


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """Select members of beams: values (T, P, n), index (T, Q) -> (T, Q, n)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _extend(state: Tensor, codewords: Tensor, matrix: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor]:
    """Extend beams by one stage.

    Args:
        state: States of the beam. # (T, P, D + 2)
        codewords: Of the stage. # (K, D)
        matrix: `_score_matrix` of the codewords. # (D + 2, K)
        keep: Extensions to keep.

    Returns:
        The states of the best `keep` extensions, the members they extend and their codewords' indices.
    """
    scores = state @ matrix  # (T, P, K)
    score, flat = _largest(scores.flatten(1), keep)
    parent, index = flat // len(codewords), flat % len(codewords)
    state = _pick(state, parent)
    state[..., : codewords.shape[1]] -= codewords[index]
    state[..., -1] = score
    return state, parent, index


def _largest(values: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The `keep` largest of values (T, n) and their positions; faster than topk over all n."""
    groups = values.shape[1] // GROUP
    if groups < 2 * keep or values.shape[1] % GROUP:
        largest = values.topk(keep, 1, sorted=False)
        return largest.values, largest.indices
    # the largest values are all in the groups with the largest maxima
    grouped = values.view(len(values), GROUP, groups)
    group = grouped.amax(1).topk(keep, 1, sorted=False).indices  # (T, keep)
    candidates = grouped.gather(2, group[:, None].expand(-1, GROUP, -1)).flatten(1)
    score, place = candidates.topk(keep, 1, sorted=False)
    return score, place // keep * groups + group.gather(1, place % keep)
