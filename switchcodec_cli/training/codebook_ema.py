"""Codebooks kept by moving averages of the latents that use them (van den Oord et al. 2017, appendix)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.quantizer.codebook import Codebook
from ..model.quantizer.revq import ResidualExpertVQ
from .config import CodebookConfig


class CodebookEMA:
    """Running count and sum of the latents of every codeword of one codebook."""

    def __init__(self, codebook: Codebook, decay: float, frames: float):
        self.codebook, self.decay, self.frames = codebook, decay, frames
        size = len(codebook.codewords)
        self.count = torch.full((size,), frames / size, device=codebook.codewords.device)
        self.total = codebook.codewords * self.count[:, None]
        self.used = torch.zeros_like(self.count)
        self.recent: Tensor | None = None

    @torch.no_grad()
    def update(self, latents: Tensor, indices: Tensor) -> None:
        """latents (B, T, D) were coded as indices (B, T)."""
        latents, indices = latents.flatten(0, 1).float(), indices.flatten()
        self.recent = latents
        one = torch.ones_like(indices, dtype=self.count.dtype)
        self.used.index_add_(0, indices, one)
        self.count.mul_(self.decay).index_add_(0, indices, one, alpha=1 - self.decay)
        self.total.mul_(self.decay).index_add_(0, indices, latents, alpha=1 - self.decay)
        # codewords that nothing uses stay where they are
        used = (self.count > 1e-6)[:, None]
        words = self.codebook.codewords
        words.copy_(torch.where(used, self.total / self.count.clamp(min=1e-6)[:, None], words))

    @torch.no_grad()
    def revive(self, below: int) -> int:
        """Give codewords used less than `below` times a recent latent; returns how many."""
        dead = (self.used < below).nonzero()[:, 0]
        if self.recent is not None and len(dead):
            fresh = self.recent[torch.randint(len(self.recent), (len(dead),), device=dead.device)]
            self.count[dead] = self.frames / len(self.count)
            self.total[dead] = fresh * self.count[dead][:, None]
            self.codebook.codewords[dead] = fresh
        self.used.zero_()
        return len(dead)

    @torch.no_grad()
    def start(self, latents: Tensor, rounds: int = 8) -> Tensor:
        """k-means on latents (N, D); returns the codeword of each."""
        words = self.codebook.codewords
        size = len(words)
        words.copy_(latents[torch.randperm(len(latents), device=latents.device)[:size]])
        for _ in range(rounds):
            index = self.codebook.nearest(latents)
            number = torch.bincount(index, minlength=size).float()
            mean = torch.zeros_like(words).index_add_(0, index, latents) / number.clamp(min=1)[:, None]
            spare = latents[torch.randint(len(latents), (size,), device=latents.device)]
            words.copy_(torch.where(number[:, None] > 0, mean, spare))
        index = self.codebook.nearest(latents)
        self.count.copy_(torch.bincount(index, minlength=size) / len(latents) * self.frames + 1e-3)
        self.total.copy_(words * self.count[:, None])
        return self.codebook.lookup(index)


class CodebookUpdater:
    """The moving averages, revival and balance of a whole residual expert quantizer."""

    def __init__(self, quantizer: ResidualExpertVQ, config: CodebookConfig, frames: float):
        """`frames`: latent frames per step that an expert can expect."""
        self.quantizer, self.config = quantizer, config
        self.averages = {
            codebook: CodebookEMA(codebook, config.decay, frames)
            for part in quantizer.quantizers
            for codebook in part.codebooks
            if isinstance(codebook, Codebook)
        }
        self.load = torch.zeros(len(quantizer.experts))

    def observe(self, codebook: Codebook, latents: Tensor, indices: Tensor) -> None:
        if average := self.averages.get(codebook):
            average.update(latents, indices)

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """k-means of every codebook on latents (N, D) or on the residual its forerunners leave."""
        residual = latents.clone()
        for number, part in enumerate(self.quantizer.quantizers):
            rest = residual.clone()
            for codebook in part.codebooks:
                if codebook in self.averages:
                    rest -= self.averages[codebook].start(rest)
            chosen = residual - rest
            keep = 1.0 if number == 0 else (torch.rand(len(rest), 1, device=rest.device) < 0.5).float()
            residual -= chosen * keep

    @torch.no_grad()
    def balance(self, masks: Tensor) -> None:
        """Nudge the router's selection bias against each expert's load in masks (B, Nr)."""
        load = masks.float().mean(0)
        self.load = 0.99 * self.load + 0.01 * load.cpu()
        bias = self.quantizer.router.bias
        bias.add_(self.config.balance * torch.sign(load.mean() - load))
        # without this all drift to the clamp together; affinities lie within 0..1, so no bias needs more
        bias.sub_(bias.mean()).clamp_(-0.5, 0.5)

    def revive(self) -> int:
        """Revive unused codewords everywhere; returns how many."""
        return sum(average.revive(self.config.revive_below) for average in self.averages.values())

    def remember(self, decay: float) -> None:
        """Average over more, or fewer, latents from here on."""
        for average in self.averages.values():
            average.decay = decay

    def perplexity(self) -> list[float]:
        """Of each codebook's recent use, shared first."""
        result = []
        for average in self.averages.values():
            p = average.count / average.count.sum()
            result.append(float((-(p * p.clamp(min=1e-12).log()).sum()).exp()))
        return result
