"""How far a run has come, and what is due at which point of it."""

from __future__ import annotations

import time

from ..errors import UsageError
from .config import TrainingConfig


class Budget:
    """Wall-clock time or number of steps that a run may take; the time starts with the object.

    Args:
        minutes: Limit in minutes, or None.
        steps: Limit in steps, or None. With both, the first one reached ends the run.

    Raises:
        UsageError: There is no limit at all.
    """

    def __init__(self, minutes: float | None, steps: int | None):
        if minutes is None and steps is None:
            raise UsageError("give a budget: --minutes or --steps")
        self.minutes, self.steps = minutes, steps
        self.started = time.monotonic()

    @property
    def elapsed_minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.started) / 60

    def progress(self, step: int) -> float:
        """Share of the budget that is used after `step` steps; 1 or more at the end."""
        of_minutes = self.elapsed_minutes / self.minutes if self.minutes else 0.0
        return max(of_minutes, step / self.steps if self.steps else 0.0)


class Schedule:
    """What is due at a given progress, the share 0 ... 1 of the budget.

    A fresh run first trains the networks on unquantized latents, then with codebooks; at the end the
    codebooks may be updated alone.
    """

    def __init__(self, config: TrainingConfig):
        self.optimizer, self.codebook = config.optimizer, config.codebook

    def quantized(self, progress: float) -> bool:
        """Whether latents are quantized."""
        return progress >= self.codebook.unquantized_share

    def codebooks_only(self, progress: float) -> bool:
        """Whether only the codebooks are updated."""
        return progress >= 1 - self.codebook.codebook_only_share

    def replaces_dead_codes(self, progress: float, step: int) -> bool:
        """Whether dead codes are replaced after the step."""
        due = step % self.codebook.replace_dead_every == 0
        return due and progress < self.codebook.replace_dead_until

    def learning_rate_scale(self, progress: float, step: int) -> float:
        """Share of the full learning rate: linear warm-up by steps, linear decay by progress.

        The decay ends where the part that updates only the codebooks begins.
        """
        settings = self.optimizer
        progress = progress / max(1e-9, 1 - self.codebook.codebook_only_share)
        decay = (1 - progress) / max(1e-9, 1 - settings.decay_start)
        warmup = (step + 1) / settings.warmup_steps
        return min(1.0, warmup) * min(1.0, max(settings.final_lr_ratio, decay))
