"""Adversarial training: the discriminators' own step, and the loss they give to the generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .config import TrainingConfig
from .discriminators import Discriminator, Domain, build_discriminator
from .objective import ForwardResult

GRAD_CLIP_NORM = 10.0


class AdversarialTraining:
    """Least-squares adversarial loss (Mao et al. 2017) and feature matching (Larsen et al. 2016).

    Args:
        config: Kinds, width and learning rate of the discriminators, weights of the generator's losses.
        domains: What the objective lets discriminators compare.
        device: Where they are trained.

    Raises:
        UsageError: A discriminator is unknown, or needs a domain that the objective lacks.
    """

    def __init__(self, config: TrainingConfig, domains: frozenset[Domain], device: torch.device):
        self.settings, self.weights = config.discriminator, config.loss
        self.discriminators: dict[str, Discriminator] = {}
        for kind in self.settings.kinds:
            try:
                discriminator = build_discriminator(kind, self.settings.width)
            except ValueError as error:
                raise UsageError(str(error)) from None
            if discriminator.domain not in domains:
                raise UsageError(_missing_domain(kind, discriminator.domain, config.model.backbone))
            self.discriminators[kind] = discriminator
        self.networks = nn.ModuleList(self.discriminators.values()).to(device)
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), self.settings.learning_rate, betas=(0.8, 0.99), fused=True
        )

    def train_step(self, result: ForwardResult, learning_rate_scale: float) -> Tensor:
        """One step of the discriminators; returns the mean of their losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * learning_rate_scale
        total = result.loss.new_zeros(())
        with torch.autocast(total.device.type, torch.bfloat16):
            for discriminator in self.discriminators.values():
                predicted, target = result.comparisons[discriminator.domain]
                real = discriminator(target).scores.float()
                generated = discriminator(predicted.detach()).scores.float()
                total = total + (1 - real).square().mean() + generated.square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), GRAD_CLIP_NORM)
        self.optimizer.step()
        return total.detach() / len(self.discriminators)

    def generator_loss(self, result: ForwardResult) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the generator, weighted, and its terms for the log."""
        adversarial = result.loss.new_zeros(())
        feature_matching = result.loss.new_zeros(())
        self.networks.requires_grad_(False)
        with torch.autocast(adversarial.device.type, torch.bfloat16):
            for discriminator in self.discriminators.values():
                predicted, target = result.comparisons[discriminator.domain]
                with torch.no_grad():
                    real = discriminator(target)
                generated = discriminator(predicted)
                adversarial = adversarial + (1 - generated.scores.float()).square().mean()
                for ours, theirs in zip(generated.features, real.features, strict=True):
                    distance = (ours.float() - theirs.float()).abs().mean()
                    feature_matching = feature_matching + distance / len(real.features)
        self.networks.requires_grad_(True)
        loss = self.weights.adversarial_weight * adversarial
        loss = loss + self.weights.feature_matching_weight * feature_matching
        return loss, {
            "adversarial": adversarial.detach(),
            "feature_matching": feature_matching.detach(),
        }


def _missing_domain(kind: str, domain: Domain, backbone: str) -> str:
    """Message for a discriminator whose domain the objective lacks."""
    message = f"discriminator {kind!r} needs {domain.value}, which this training does not produce"
    if domain is Domain.AUDIO and backbone == "spectral":
        return f"{message}: set loss.waveform_weight, or choose another"
    return f"{message}: choose another"
