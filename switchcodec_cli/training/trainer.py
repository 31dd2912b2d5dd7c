"""The training loop: wall-clock budget, restartable from exported weights alone."""

from __future__ import annotations

import copy
import csv
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..model.codec_model import CodecModel
from ..model.weights import load_weights, save_weights
from .codebook_ema import CodebookUpdater
from .config import TrainingConfig
from .data import AudioPool
from .latent_basis import change_basis, latent_basis, sensitivity
from .objective import Objective

EXPORT_EVERY = 600.0  # seconds
LOG_EVERY = 200  # steps
PROBED = (0, 2, 5, 8)  # active experts at which the log probes the losses


class Trainer:
    """Trains a model on a pool of audio and exports its averaged weights."""

    def __init__(
        self,
        config: TrainingConfig,
        cache: Path,
        run: Path,
        *,
        device: str = "cpu",
        seed: int = 0,
        resume: Path | None = None,
        compiled: bool = True,
        report: Callable[[str], None] = print,
    ):
        torch.manual_seed(seed)
        self.device = torch.device(device)
        self.report, self.run = report, run
        run.mkdir(parents=True, exist_ok=True)
        self.provenance: dict[str, Any] = {}
        if resume is not None:
            model, _, self.provenance = load_weights(resume)
            config = replace(config, model=model.config)
        else:
            model = CodecModel(config.model)
        self.config = config
        self.model = model.to(self.device).train()
        if config.model.backbone == "dac":
            _add_weight_norm(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.quantized = resume is not None
        segment = config.data.segment_frames * self.model.hop
        self.generator = torch.Generator().manual_seed(seed)
        self.pool = AudioPool(cache, config.data, segment, self.device, config.model.sample_rate)
        self.objective = Objective(self.model, config.loss).to(self.device)
        if resume is not None:
            self.weigh_latents()
        frames = config.data.batch * config.data.segment_frames / 2
        self.care = CodebookUpdater(self.model.quantizer, config.codebook, frames)
        if not self.care.averages:
            self.quantized = True  # codebooks trained by gradient need no k-means start
        settings = config.optimizer
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.adversary = None
        if config.discriminator.kinds:
            from .adversarial import AdversarialTraining

            self.adversary = AdversarialTraining(config).to(self.device)
        if resume is None and config.model.backbone == "spectral":
            self.standardise()
        if compiled:
            self.objective.compile()
        self.step = 0
        self.settling = False
        self.stopped = False

    @torch.no_grad()
    def standardise(self, batches: int = 48) -> None:
        """Measure mean and deviation of every bin's log-magnitude on the data."""
        analysis = self.model.analysis
        logs = torch.cat(
            [
                analysis.magnitude(self.pool.batch(8, self.generator)).clamp(min=analysis.config.floor).log()
                for _ in range(batches)
            ]
        ).flatten(0, 1)
        analysis.mean.copy_(logs.mean(0))
        analysis.deviation.copy_(logs.std(0))
        self.average.analysis.load_state_dict(analysis.state_dict())

    @torch.no_grad()
    def start_codebooks(self) -> None:
        """k-means of all codebooks on fresh latents."""
        self.weigh_latents()
        size = self.config.model.quantizer.codebook_size
        frames = self.config.data.batch * self.config.data.segment_frames
        batches = -(-12 * size // frames)
        latents = [self.objective.latents(self.items())[0].flatten(0, 1) for _ in range(batches)]
        self.care.start(torch.cat(latents))
        self.quantized = True

    def weigh_latents(self, batches: int = 12) -> None:
        """Make distance between latents, by the share that the recipe says, what the decoder makes of it."""
        share = self.config.codebook.sensitivity
        if not share:
            return
        total = torch.zeros((), device=self.device)
        for _ in range(batches):
            with torch.no_grad():
                z, _ = self.objective.latents(self.items())
                if self.quantized:
                    z, _, _ = self.model.quantizer(z, self.active(len(z)))
            total = total + sensitivity(self.model, z)
        basis = latent_basis(self.model, total, share)
        for model in (self.model, self.average):
            change_basis(model, basis)

    def items(self) -> Tensor:
        return self.pool.batch(self.config.data.batch, self.generator)

    def active(self, count: int) -> Tensor:
        """Random numbers of active experts (count,)."""
        experts = self.config.model.quantizer.experts
        chances = self.config.codebook.active or (1.0,) * (experts + 1)
        if len(chances) != experts + 1:
            raise UsageError(f"codebook.active needs {experts + 1} chances, has {len(chances)}")
        chosen = torch.multinomial(torch.tensor(chances), count, replacement=True, generator=self.generator)
        return chosen.to(self.device)

    def learning_rate(self, done: float) -> float:
        """Share of the full learning rate after a share `done` of the budget."""
        settings = self.config.optimizer
        falling = (1 - done) / max(1e-9, 1 - settings.decay_from)
        return min(1.0, (self.step + 1) / settings.warm_up) * min(1.0, max(settings.last, falling))

    def train_step(self, scale: float) -> dict[str, Tensor]:
        """One step of the optimizer(s); returns the loss terms."""
        settings = self.config.optimizer
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * scale
        audio = self.items()
        active = self.active(len(audio)) if self.quantized else None
        outcome = self.objective(audio, active, self.care.observe)
        loss = outcome.loss
        if self.adversary is not None:
            outcome.terms.update(self.adversary.learn(outcome, scale))
            if self.step >= self.config.discriminator.alone:
                loss = loss + self.adversary.generator_loss(outcome)
        if self.adversary is None or self.step >= self.config.discriminator.alone:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
            self.optimizer.step()
            if outcome.masks is not None:
                self.care.balance(outcome.masks)
        self.step += 1
        if self.step % 4 == 0:
            self.update_average()
        return outcome.terms

    def settle(self) -> None:
        """From here on the averaged networks rest, and the codebooks learn what these make of the data."""
        self.model.load_state_dict(self.average.state_dict())
        self.care.remember(self.config.codebook.settle_decay)
        self.settling = True

    @torch.no_grad()
    def settling_step(self) -> None:
        """One step of the codebooks alone."""
        z, _ = self.objective.latents(self.items())
        self.model.quantizer(z, self.active(len(z)), self.care.observe)
        self.step += 1
        self.average.quantizer.load_state_dict(self.model.quantizer.state_dict())

    @torch.no_grad()
    def update_average(self) -> None:
        """Exponential average of the weights; early on over a fraction of the steps so far."""
        decay = min(self.config.optimizer.average, self.step / (self.step + 200)) ** 4
        ours, theirs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)
        for mean, value in zip(self.average.buffers(), self.model.buffers(), strict=True):
            mean.copy_(value)

    @torch.no_grad()
    def probe(self) -> dict[str, float]:
        """Losses of a fixed batch at several numbers of active experts."""
        generator = torch.Generator().manual_seed(1)
        audio = self.pool.crops(self.config.data.batch, self.pool.length, generator)
        row = {}
        for active in PROBED if self.quantized else (None,):
            count = None
            if active is not None:
                count = torch.full((len(audio),), min(active, len(self.care.load)), device=self.device)
            terms = self.objective(audio, count).terms
            row |= {f"{name}_{active}": value.item() for name, value in terms.items()}
        return row

    def export(self, path: Path, minutes: float) -> None:
        """Write the averaged weights with their provenance."""
        history = [*self.provenance.get("history", [])]
        recipe = asdict(self.config)
        recipe.pop("model")
        history.append(
            {"steps": self.step, "minutes": round(minutes, 1), "device": str(self.device), "recipe": recipe}
        )
        save_weights(path, _without_weight_norm(self.average), {**self.provenance, "history": history})

    def stop(self, *_: Any) -> None:
        """Finish after this step (signal handler)."""
        self.stopped = True

    def train(self, minutes: float | None = None, steps: int | None = None) -> Path:
        """Train for a wall-clock budget or a number of steps; returns the exported file."""
        if minutes is None and steps is None:
            raise UsageError("give a budget: --minutes or --steps")
        handlers = {s: signal.signal(s, self.stop) for s in (signal.SIGTERM, signal.SIGINT)}
        target = self.run / "weights.safetensors"
        begin = exported = time.monotonic()
        settings = self.config.codebook
        logged_step, logged_time = 0, begin
        log = (self.run / "log.csv").open("a", newline="")
        writer = None
        try:
            while not self.stopped:
                elapsed = time.monotonic() - begin
                done = max(elapsed / (60 * minutes) if minutes else 0.0, self.step / steps if steps else 0.0)
                if done >= 1:
                    break
                if not self.quantized and done >= settings.unquantized:
                    self.start_codebooks()
                    self.report(f"codebooks started at step {self.step}")
                if self.quantized and self.care.averages and done >= 1 - settings.settle:
                    if not self.settling:
                        self.settle()
                        self.report(f"codebooks settle from step {self.step} on")
                    self.settling_step()
                else:
                    self.train_step(self.learning_rate(done / max(1e-9, 1 - settings.settle)))
                if self.quantized and self.step % settings.revive_every == 0 and done < settings.revive_until:
                    self.care.revive()
                if self.step % LOG_EVERY == 0:
                    now = time.monotonic()
                    row = dict(
                        step=self.step,
                        minutes=round((now - begin) / 60, 2),
                        milliseconds=round(1000 * (now - logged_time) / (self.step - logged_step), 1),
                        **{name: round(value, 4) for name, value in self.probe().items()},
                    )
                    if self.quantized and self.care.averages:
                        entropies = self.care.perplexity()
                        row["perplexity_shared"] = round(entropies[0], 1)
                        row["perplexity_least"] = round(min(entropies), 1)
                        row["load_least"] = round(self.care.load.min().item(), 3)
                        row["load_most"] = round(self.care.load.max().item(), 3)
                    if writer is None or writer.fieldnames != list(row):
                        writer = csv.DictWriter(log, list(row))
                        writer.writeheader()
                    writer.writerow(row)
                    log.flush()
                    self.report(" ".join(f"{name} {value}" for name, value in row.items()))
                    logged_step, logged_time = self.step, now
                if time.monotonic() - exported > EXPORT_EVERY:
                    self.export(target, elapsed / 60)
                    exported = time.monotonic()
        finally:
            log.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if not self.quantized:
            self.start_codebooks()
            self.update_average()
        self.export(target, (time.monotonic() - begin) / 60)
        return target


def _add_weight_norm(model: nn.Module) -> None:
    """As DAC has it: on every convolution, the codebooks' projections (pointwise convolutions) included."""
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d, nn.Linear)):
            nn.utils.parametrizations.weight_norm(module)


def _without_weight_norm(model: CodecModel) -> CodecModel:
    """The same model with plain weights; the given one stays as it is."""
    # not by removing it from a copy: copies share their classes, and the original would lose its weights
    with torch.device("meta"):
        plain = CodecModel(model.config)
    state = {}
    for name in plain.state_dict():
        path, _, key = name.rpartition(".")
        state[name] = getattr(model.get_submodule(path), key).detach()
    plain.load_state_dict(state, assign=True)
    return plain
