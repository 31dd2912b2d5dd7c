"""The training loop: wall-clock or step budget, resumable from exported weights alone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..model.codec_model import CodecModel
from ..model.weights import load_weights, save_weights
from .adversarial import AdversarialTraining
from .codebook_ema import CodebookUpdater
from .config import TrainingConfig
from .data import AudioPool
from .latent_basis import change_basis, latent_basis, output_sensitivity, remaining_share
from .model_ema import UPDATE_EVERY, ModelEMA
from .objective import build_objective
from .refiner import check_new_model, with_refiner
from .schedule import Budget, Schedule
from .training_log import StepTimer, TrainingLog
from .weight_norm import add_weight_norm, without_weight_norm

EXPORT_EVERY = 10.0  # minutes
LOG_EVERY = 200  # steps
PROBED_EXPERT_COUNTS = (0, 2, 5, 8)
STATISTICS_BATCHES, STATISTICS_BATCH_SIZE = 48, 8
KMEANS_LATENTS = 12  # at least, per codeword
SENSITIVITY_BATCHES = 12


class Trainer:
    """Trains a model on a pool of audio and exports its averaged weights.

    Args:
        config: The recipe; its model is replaced by that of `resume`, which gets a refiner if the recipe
            has one.
        cache: Folder of the pool, see `data.build_pool`.
        run: Folder for `weights.safetensors` and `log.csv`, created if it does not exist.
        device: A torch device.
        seed: Of all random numbers.
        resume: Weights file to continue from; None starts with random weights.
        compiled: Whether to compile the networks.
        report: Called with lines of progress.

    Raises:
        UsageError: The recipe does not fit the model or the pool.
        WeightsError: The weights to continue from cannot be read.
    """

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
        self.generator = torch.Generator().manual_seed(seed)
        self.device, self.run, self.report = torch.device(device), run, report
        run.mkdir(parents=True, exist_ok=True)
        self.provenance: dict[str, Any] = {}
        if resume is None:
            check_new_model(config.model)
            model = CodecModel(config.model)
        else:
            model, _, self.provenance = load_weights(resume)
            model.index_tensors = None  # its codebooks are about to change
            if config.model.latents_are_refined and not model.config.latents_are_refined:
                model = with_refiner(model, config.model.spectral.refiner_blocks)
            config = replace(config, model=model.config)
        self.config, self.schedule = config, Schedule(config)
        self.expert_count_weights = _expert_count_weights(config)
        self.model = model.to(self.device).train()
        if model.backbone.weight_norm:
            add_weight_norm(self.model)
        self.ema = ModelEMA(self.model, config.optimizer.ema_decay)
        self.pool = self._open_pool(cache)
        self.objective = build_objective(self.model, config.loss)
        self.step = 0
        self.stopped = False
        self.quantized = resume is not None
        self.codebooks_only = False
        # share of output distortion in the latents' metric, by all changes of basis so far
        self.output_distortion_share = float(self.provenance.get("output_distortion_share", 0.0))
        if resume is None:
            self.fit_statistics()
        else:
            self.change_latent_basis()
        expected_frames = config.data.batch_size * config.data.segment_frames / 2  # of an expert, per step
        self.codebooks = CodebookUpdater(self.model.quantizer, config.codebook, expected_frames)
        if not self.codebooks.averages:
            self.quantized = True  # codebooks trained by gradient need no initialisation
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            config.optimizer.learning_rate,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self.adversary: AdversarialTraining | None = None
        if config.discriminator.kinds:
            self.adversary = AdversarialTraining(config, self.objective.domains, self.device)
        if compiled:
            self.objective.compile()

    def _open_pool(self, cache: Path) -> AudioPool:
        length = self.config.data.segment_frames * self.model.hop
        pool = AudioPool(cache, self.config.data, length, self.device)
        needed = self.config.model.sample_rate
        if pool.sample_rate != needed:
            raise UsageError(f"{cache}: holds audio at {pool.sample_rate} Hz, the model needs {needed} Hz")
        return pool

    def train(self, minutes: float | None = None, steps: int | None = None) -> Path:
        """Train for a wall-clock budget or up to a number of steps, or until `stop`.

        SIGTERM and SIGINT end the run after the current step; its weights are exported all the same.

        Returns:
            The exported weights file.

        Raises:
            UsageError: There is no budget.
        """
        budget = Budget(minutes, steps)
        path, log = self.run / "weights.safetensors", TrainingLog(self.run / "log.csv")
        timer, exported = StepTimer(self.step), budget.elapsed_minutes
        with _termination_signals(self.stop):
            while not self.stopped and (progress := budget.progress(self.step)) < 1:
                self.advance(progress)
                if self.step % LOG_EVERY == 0:
                    row = {
                        "step": self.step,
                        "minutes": round(budget.elapsed_minutes, 2),
                        "milliseconds": round(timer.milliseconds_per_step(self.step), 1),
                        **self.measurements(),
                    }
                    log.write(row)
                    self.report(" ".join(f"{name} {value}" for name, value in row.items()))
                if budget.elapsed_minutes - exported > EXPORT_EVERY:
                    self.export(path, budget.elapsed_minutes)
                    exported = budget.elapsed_minutes
        if not self.quantized:
            self.initialise_codebooks()
            self.ema.update(self.model, self.step)
        self.export(path, budget.elapsed_minutes)
        return path

    def stop(self) -> None:
        """End the run after the current step."""
        self.stopped = True

    def advance(self, progress: float) -> None:
        """Take one step of the kind that is due at a progress, the share 0 ... 1 of the budget."""
        if not self.quantized and self.schedule.quantized(progress):
            self.initialise_codebooks()
            self.report(f"codebooks in use from step {self.step} on")
        if self.quantized and self.codebooks.averages and self.schedule.codebooks_only(progress):
            if not self.codebooks_only:
                self.freeze_networks()
                self.report(f"only the codebooks are updated from step {self.step} on")
            self.codebook_step()
        else:
            self.train_step(self.schedule.learning_rate_scale(progress, self.step))
        if self.quantized and self.schedule.replaces_dead_codes(progress, self.step):
            self.codebooks.replace_dead_codes()

    def train_step(self, learning_rate_scale: float) -> dict[str, Tensor]:
        """Take one step of all optimizers; returns the terms of the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optimizer.learning_rate * learning_rate_scale
        audio = self.next_batch()
        expert_counts = self.sample_expert_counts(len(audio)) if self.quantized else None
        result = self.objective.forward(audio, expert_counts, self.codebooks.observe)
        loss, terms = result.loss, dict(result.terms)
        discriminators_only = False
        if self.adversary is not None:
            terms["discriminator"] = self.adversary.train_step(result, learning_rate_scale)
            discriminators_only = self.step < self.config.discriminator.warmup_steps
            if not discriminators_only:
                generator_loss, generator_terms = self.adversary.generator_loss(result)
                loss = loss + generator_loss
                terms |= generator_terms
        if not discriminators_only:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.grad_clip_norm)
            self.optimizer.step()
            if result.masks is not None:
                self.codebooks.update_router_bias(result.masks)
        self.step += 1
        if self.step % UPDATE_EVERY == 0:
            self.ema.update(self.model, self.step)
        return terms

    def freeze_networks(self) -> None:
        """From here on only the codebooks are updated, and for the averaged networks.

        While the networks change, the moving averages must be fast, and a codeword is the mean of a dozen
        latents or so. From here on they can be slow.
        """
        self.model.load_state_dict(self.ema.model.state_dict())
        self.codebooks.set_decay(self.config.codebook.codebook_only_ema_decay)
        self.codebooks_only = True

    @torch.no_grad()
    def codebook_step(self) -> None:
        """Update the codebooks alone."""
        z = self.objective.latents(self.next_batch())
        self.model.quantizer(z, self.sample_expert_counts(len(z)), self.codebooks.observe)
        self.step += 1
        self.ema.model.quantizer.load_state_dict(self.model.quantizer.state_dict())

    def fit_statistics(self) -> None:
        """Set the constants of a new model that are measured on the data."""
        self.objective.fit_statistics(
            self.pool.batch(STATISTICS_BATCH_SIZE, self.generator) for _ in range(STATISTICS_BATCHES)
        )
        self.ema.model.load_state_dict(self.model.state_dict())

    @torch.no_grad()
    def initialise_codebooks(self) -> None:
        """Start to quantize: change of basis, then k-means for all codebooks on fresh latents."""
        self.change_latent_basis()
        data = self.config.data
        frames = KMEANS_LATENTS * self.config.model.quantizer.codebook_size
        batches = -(-frames // (data.batch_size * data.segment_frames))
        latents = [self.objective.latents(self.next_batch()).flatten(0, 1) for _ in range(batches)]
        self.codebooks.kmeans_init(torch.cat(latents))
        self.quantized = True

    def change_latent_basis(self) -> None:
        """Give output distortion the recipe's share in the latents' metric, unless it has as much already."""
        wanted = self.config.codebook.output_distortion_share
        share = remaining_share(self.output_distortion_share, wanted)
        if share == 0:
            return
        sensitivity = torch.zeros((), device=self.device)
        for _ in range(SENSITIVITY_BATCHES):
            sensitivity = sensitivity + output_sensitivity(self.model, self.sample_latents())
        basis = latent_basis(self.model, sensitivity, share)
        for model in (self.model, self.ema.model):
            change_basis(model, basis)
        self.output_distortion_share = wanted

    @torch.no_grad()
    def sample_latents(self) -> Tensor:
        """Latents (B, T, D) of a fresh batch, as the decoder gets them."""
        z = self.objective.latents(self.next_batch())
        if self.quantized:
            z, _, _ = self.model.quantizer(z, self.sample_expert_counts(len(z)))
        return z

    def next_batch(self) -> Tensor:
        """Random audio, (B, L)."""
        return self.pool.batch(self.config.data.batch_size, self.generator)

    def sample_expert_counts(self, count: int) -> Tensor:
        """Random numbers of experts, (count,)."""
        weights = self.expert_count_weights
        chosen = torch.multinomial(weights, count, replacement=True, generator=self.generator)
        return chosen.to(self.device)

    def measurements(self) -> dict[str, float]:
        """A row of the log: losses, and the use of codewords and experts."""
        row = {name: round(value, 4) for name, value in self.probe().items()}
        if self.quantized and self.codebooks.averages:
            perplexities, load = self.codebooks.perplexities(), self.codebooks.load
            row["perplexity_shared"] = round(perplexities[0], 1)
            row["perplexity_min"] = round(min(perplexities), 1)
            row["load_min"] = round(load.min().item(), 3)
            row["load_max"] = round(load.max().item(), 3)
        return row

    @torch.no_grad()
    def probe(self) -> dict[str, float]:
        """Loss terms of one fixed batch at several numbers of experts, as "mel_5" or "mel_unquantized"."""
        generator = torch.Generator().manual_seed(1)
        audio = self.pool.crops(self.config.data.batch_size, self.pool.length, generator)
        if not self.quantized:
            terms = self.objective.forward(audio, None).terms
            return {f"{name}_unquantized": value.item() for name, value in terms.items()}
        row: dict[str, float] = {}
        for count in PROBED_EXPERT_COUNTS:
            used = min(count, self.config.model.quantizer.experts)
            expert_counts = torch.full((len(audio),), used, device=self.device)
            terms = self.objective.forward(audio, expert_counts).terms
            row |= {f"{name}_{count}": value.item() for name, value in terms.items()}
        return row

    def export(self, path: Path, minutes: float) -> None:
        """Write the averaged weights; their provenance gets an entry for this run of `minutes` so far."""
        recipe = asdict(self.config)
        del recipe["model"]
        entry = {
            "steps": self.step,
            "minutes": round(minutes, 1),
            "device": str(self.device),
            "recipe": recipe,
        }
        provenance = {
            **self.provenance,
            "history": [*self.provenance.get("history", []), entry],
            "output_distortion_share": self.output_distortion_share,
        }
        save_weights(path, without_weight_norm(self.ema.model), provenance)


def _expert_count_weights(config: TrainingConfig) -> Tensor:
    """Weight of every number of experts, 0 ... Nr. Raises UsageError where their number is another."""
    experts = config.model.quantizer.experts
    weights = config.codebook.expert_count_weights or (1.0,) * (experts + 1)
    if len(weights) != experts + 1:
        raise UsageError(f"codebook.expert_count_weights needs {experts + 1} weights, has {len(weights)}")
    return torch.tensor(weights)


@contextmanager
def _termination_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT inside the block."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, lambda *_: stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
