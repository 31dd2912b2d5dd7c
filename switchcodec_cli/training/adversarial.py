"""Adversarial training: the discriminators' own step, and what the generator gets from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .config import TrainingConfig
from .discriminators import build_discriminators
from .objective import Outcome


class AdversarialTraining(nn.Module):
    """Least-squares adversarial loss (Mao et al. 2017) and feature matching (Larsen et al. 2016)."""

    def __init__(self, config: TrainingConfig):
        super().__init__()
        self.config = config
        settings = config.discriminator
        try:
            self.discriminators = build_discriminators(settings.kinds, settings.width)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if config.model.backbone == "spectral":
            missing = "audio" if not config.loss.output else None
        else:
            missing = "spectra"
        for kind, discriminator in self.discriminators.items():
            if discriminator.sees == missing:
                raise UsageError(
                    f"discriminator {kind!r} looks at {missing}, which this training does not make: "
                    + ("set loss.output, or take another" if missing == "audio" else "take another")
                )
        self.optimizer = torch.optim.AdamW(
            self.discriminators.parameters(), settings.learning_rate, betas=(0.8, 0.99), fused=True
        )

    def learn(self, outcome: Outcome, scale: float) -> dict[str, Tensor]:
        """One step of the discriminators on what the generator made; returns their loss for the log."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.discriminator.learning_rate * scale
        total = outcome.loss.new_zeros(())
        with torch.autocast(outcome.loss.device.type, torch.bfloat16):
            for discriminator in self.discriminators.values():
                predicted, true = getattr(outcome, discriminator.sees)
                real, _ = discriminator(true)
                fake, _ = discriminator(predicted.detach())
                total = total + (1 - real.float()).square().mean() + fake.float().square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.discriminators.parameters(), 10)
        self.optimizer.step()
        return {"discriminator": total.detach() / max(1, len(self.discriminators))}

    def generator_loss(self, outcome: Outcome) -> Tensor:
        """Weighted adversarial and feature matching loss of the generator."""
        weights = self.config.loss
        adversarial = outcome.loss.new_zeros(())
        matching = outcome.loss.new_zeros(())
        self.discriminators.requires_grad_(False)
        with torch.autocast(outcome.loss.device.type, torch.bfloat16):
            for discriminator in self.discriminators.values():
                predicted, true = getattr(outcome, discriminator.sees)
                with torch.no_grad():
                    _, real = discriminator(true)
                score, fake = discriminator(predicted)
                adversarial = adversarial + (1 - score.float()).square().mean()
                for seen, wanted in zip(fake, real, strict=True):
                    matching = matching + (seen.float() - wanted.float()).abs().mean() / len(real)
        self.discriminators.requires_grad_(True)
        outcome.terms["adversarial"] = adversarial.detach()
        outcome.terms["matching"] = matching.detach()
        return weights.adversarial * adversarial + weights.feature_matching * matching
