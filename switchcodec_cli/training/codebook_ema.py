"""Codebooks updated by exponential moving averages (van den Oord et al. 2017, appendix A.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.quantizer.codebook import Codebook, FullCodebook
from ..model.quantizer.revq import ResidualExpertVQ
from .config import CodebookConfig

KMEANS_ITERATIONS = 8
SUBTRACTED_SHARE = 0.5  # of the latents, for the contribution of an expert; see `CodebookUpdater.kmeans_init`
LOAD_DECAY = 0.99
MAX_ROUTER_BIAS = 0.5  # affinities lie within 0 ... 1, so that a larger difference decides nothing more


class CodebookEMA:
    """Moving averages of the count and the sum of the latents that are coded with each codeword.

    Args:
        codebook: Its codewords are kept at sum / count.
        decay: Per update.
        frames: Latent frames per update that the codebook can expect; sets the initial counts.
    """

    def __init__(self, codebook: Codebook, decay: float, frames: float):
        self.codebook, self.decay, self.frames = codebook, decay, frames
        size = len(codebook.codewords)
        self.count = torch.full((size,), frames / size, device=codebook.codewords.device)
        self.sum = codebook.codewords * self.count[:, None]
        self.uses = torch.zeros_like(self.count)  # since the last replacement of dead codes
        self.recent: Tensor | None = None  # latents of the last update, (N, D)

    @torch.no_grad()
    def update(self, latents: Tensor, indices: Tensor) -> None:
        """Take in latents (B, T, D) that were coded as indices (B, T)."""
        latents, indices = latents.flatten(0, 1).float(), indices.flatten()
        self.recent = latents
        ones = torch.ones_like(indices, dtype=self.count.dtype)
        self.uses.index_add_(0, indices, ones)
        self.count.mul_(self.decay).index_add_(0, indices, ones, alpha=1 - self.decay)
        self.sum.mul_(self.decay).index_add_(0, indices, latents, alpha=1 - self.decay)
        # the averages of unused codewords underflow; such codewords stay where they are
        known = (self.count > 1e-6)[:, None]
        means = self.sum / self.count.clamp(min=1e-6)[:, None]
        self.codebook.codewords.copy_(torch.where(known, means, self.codebook.codewords))

    @torch.no_grad()
    def replace_dead_codes(self, below: int) -> int:
        """Replace codewords used less than `below` times since the last call by recent latents.

        Returns:
            Number of codewords replaced.
        """
        dead = (self.uses < below).nonzero()[:, 0]
        self.uses.zero_()
        if self.recent is None or not len(dead):
            return 0
        chosen = torch.randint(len(self.recent), (len(dead),), device=dead.device)
        self.codebook.codewords[dead] = self.recent[chosen]
        self.count[dead] = self.frames / len(self.count)
        self.sum[dead] = self.recent[chosen] * self.count[dead][:, None]
        return len(dead)

    @torch.no_grad()
    def kmeans_init(self, latents: Tensor) -> Tensor:
        """Set codewords and averages by k-means (Lloyd's algorithm) on latents (N, D).

        Returns:
            The codeword of each latent, (N, D).
        """
        codewords = self.codebook.codewords
        size = len(codewords)
        codewords.copy_(latents[torch.randperm(len(latents), device=latents.device)[:size]])
        for _ in range(KMEANS_ITERATIONS):
            index = self.codebook.nearest(latents)
            members = torch.bincount(index, minlength=size).float()[:, None]
            means = torch.zeros_like(codewords).index_add_(0, index, latents) / members.clamp(min=1)
            random = latents[torch.randint(len(latents), (size,), device=latents.device)]
            codewords.copy_(torch.where(members > 0, means, random))
        index = self.codebook.nearest(latents)
        self.count.copy_(torch.bincount(index, minlength=size) / len(latents) * self.frames + 1e-3)
        self.sum.copy_(codewords * self.count[:, None])
        return self.codebook.lookup(index)

    def perplexity(self) -> float:
        """Exponential of the entropy of the codewords' use: 1 for one codeword, their number if uniform."""
        share = self.count / self.count.sum()
        return float((-(share * share.clamp(min=1e-12).log()).sum()).exp())


class CodebookUpdater:
    """Updates everything of a quantizer that has no gradient: EMA codebooks and the router's bias.

    Args:
        quantizer: The quantizer that is trained.
        config: Decay, replacement of dead codes, step of the bias.
        frames: Latent frames per step that an expert can expect.
    """

    def __init__(self, quantizer: ResidualExpertVQ, config: CodebookConfig, frames: float):
        self.quantizer, self.config = quantizer, config
        # empty for codebooks of the factorised form, which are trained by gradient
        self.averages = {
            codebook: CodebookEMA(codebook, config.ema_decay, frames)
            for cascade in quantizer.quantizers
            for codebook in cascade.codebooks
            if isinstance(codebook, FullCodebook)
        }
        self.load = torch.zeros(len(quantizer.experts))  # moving average of each expert's share of the items

    def observe(self, codebook: Codebook, latents: Tensor, indices: Tensor) -> None:
        """Take in what a codebook coded; for `ResidualExpertVQ.forward`."""
        if codebook in self.averages:
            self.averages[codebook].update(latents, indices)

    @torch.no_grad()
    def kmeans_init(self, latents: Tensor) -> None:
        """k-means for every codebook on latents (N, D), or on the residual that earlier codebooks leave.

        An expert's contribution is subtracted from a random half of the latents only, because later experts
        code the residual of it in a part of the windows only.
        """
        residual = latents.clone()
        for number, cascade in enumerate(self.quantizer.quantizers):
            rest = residual.clone()
            for codebook in cascade.codebooks:
                if isinstance(codebook, FullCodebook):
                    rest -= self.averages[codebook].kmeans_init(rest)
            coded = residual - rest
            if number > 0:
                coded *= torch.rand(len(coded), 1, device=coded.device) < SUBTRACTED_SHARE
            residual -= coded

    @torch.no_grad()
    def update_router_bias(self, masks: Tensor) -> None:
        """Move the router's selection bias against the load of each expert in masks (B, Nr).

        Balancing without an auxiliary loss, after Wang et al. 2024.
        """
        load = masks.float().mean(0)
        self.load = LOAD_DECAY * self.load + (1 - LOAD_DECAY) * load.cpu()
        bias = self.quantizer.router.bias
        bias.add_(self.config.router_bias_step * torch.sign(load.mean() - load))
        # centred, because otherwise all biases drift to the limit together
        bias.sub_(bias.mean()).clamp_(-MAX_ROUTER_BIAS, MAX_ROUTER_BIAS)

    def replace_dead_codes(self) -> int:
        """Replace rarely used codewords in every codebook; returns how many."""
        below = self.config.replace_dead_below
        return sum(average.replace_dead_codes(below) for average in self.averages.values())

    def set_decay(self, decay: float) -> None:
        """Change the decay of all moving averages."""
        for average in self.averages.values():
            average.decay = decay

    def perplexities(self) -> list[float]:
        """Perplexity of every EMA codebook's use, the shared quantizer's first."""
        return [average.perplexity() for average in self.averages.values()]
