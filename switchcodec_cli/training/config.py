"""Configuration of a training run, read from a TOML file called a recipe."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from ..config_fields import FieldError, bounded, check_fields, field_errors_as, from_mapping
from ..errors import UsageError, WeightsError
from ..model.config import ModelConfig


@dataclass(frozen=True)
class DataConfig:
    """Composition and augmentation of training items."""

    segment_frames: int = bounded(32, 1, 65536)  # latent frames per item
    batch_size: int = bounded(8, 1, 65536)
    speech_share: float = bounded(0.6, 0.0, 1.0)  # of items drawn from a kind; only ratios matter
    music_share: float = bounded(0.25, 0.0, 1.0)
    sound_share: float = bounded(0.15, 0.0, 1.0)  # also of every other kind
    min_gain_db: float = bounded(-20.0, -100.0, 0.0)  # half of the items get a gain from here to 0 dB
    mix_probability: float = bounded(0.1, 0.0, 1.0)  # per item, of a second item added to it
    speed_eq_probability: float = bounded(0.3, 0.0, 1.0)  # per batch, of random speed and equalisation
    tone_probability: float = bounded(0.0, 0.0, 1.0)  # per item, of synthetic tones

    def check(self, name: str) -> None:
        """Raises FieldError on values that cannot be used."""
        check_fields(self, name)
        if not any((self.speech_share, self.music_share, self.sound_share)):
            raise FieldError(f"{name}: one of the shares must be positive")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms and their settings."""

    # L1 distance of log10 mel magnitudes: of spectra (spectral backbone) or multi-scale (waveform backbone)
    mel_weight: float = bounded(15.0, 0.0, 1e6)
    mel_bands: tuple[int, ...] = bounded((80, 160), 1, 4096)
    squared_weight: float = bounded(0.0, 0.0, 1e6)  # of squared differences, relative to absolute ones
    # L1 distance of the log-magnitudes of single bins, weighted by frequency band
    bin_weight: float = bounded(15.0, 0.0, 1e6)
    bin_edges: tuple[float, ...] = bounded((2750.0, 5500.0), 0.0, 384_000.0)  # Hz
    bin_band_weights: tuple[float, ...] = bounded((20.0, 8.0, 1.0), 0.0, 1e6)  # one more than edges
    commitment_weight: float = bounded(1.0, 0.0, 1e6)
    # multi-scale mel distance of the audio after Griffin-Lim (spectral backbone); 0 skips the synthesis
    waveform_weight: float = bounded(0.0, 0.0, 1e6)
    phase_iterations: int = bounded(8, 0, 1000)  # of Griffin-Lim, without gradient
    phase_iterations_with_gradient: int = bounded(0, 0, 100)  # that follow
    loudness_weight: float = bounded(0.0, 0.0, 1e6)  # of loudness, relative to log10 magnitudes
    linear_magnitude_weight: float = bounded(0.0, 0.0, 1e6)  # of magnitudes, likewise
    # with discriminators
    adversarial_weight: float = bounded(1.0, 0.0, 1e6)
    feature_matching_weight: float = bounded(2.0, 0.0, 1e6)

    def check(self, name: str) -> None:
        """Raises FieldError on values that cannot be used."""
        check_fields(self, name)
        if not self.mel_bands:
            raise FieldError(f"{name}.mel_bands must not be empty")
        if list(self.bin_edges) != sorted(self.bin_edges):
            raise FieldError(f"{name}.bin_edges must ascend: {self.bin_edges}")
        if len(self.bin_band_weights) != len(self.bin_edges) + 1 or not any(self.bin_band_weights):
            raise FieldError(
                f"{name}.bin_band_weights must be {len(self.bin_edges) + 1} weights, one more than bin_edges "
                f"and not all zero: {self.bin_band_weights}"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its learning rate over the budget, and the average of the weights."""

    learning_rate: float = bounded(1e-3, 0.0, 1.0)
    beta1: float = bounded(0.8, 0.0, 0.999999)
    beta2: float = bounded(0.99, 0.0, 0.999999)
    weight_decay: float = bounded(0.01, 0.0, 10.0)
    warmup_steps: int = bounded(100, 1, 10**9)
    decay_start: float = bounded(0.5, 0.0, 1.0)  # share of the budget, from where linear decay begins
    final_lr_ratio: float = bounded(0.02, 0.0, 1.0)  # share of the learning rate at the end
    grad_clip_norm: float = bounded(20.0, 1e-9, 1e9)
    ema_decay: float = bounded(0.999, 0.0, 0.999999)  # per step, of the averaged weights that are exported


@dataclass(frozen=True)
class CodebookConfig:
    """EMA codebooks, the change of basis before them, and the router."""

    ema_decay: float = bounded(0.99, 0.0, 0.999999)
    unquantized_share: float = bounded(0.1, 0.0, 1.0)  # of a fresh run's budget, before codebooks are used
    # share of the budget, at its end, in which only the codebooks are updated, for the averaged networks
    codebook_only_share: float = bounded(0.0, 0.0, 1.0)
    codebook_only_ema_decay: float = bounded(0.998, 0.0, 0.999999)
    replace_dead_every: int = bounded(150, 1, 10**9)  # steps
    replace_dead_below: int = bounded(2, 0, 10**9)  # uses since the last replacement
    replace_dead_until: float = bounded(0.85, 0.0, 1.0)  # share of the budget
    # Share of output distortion in the metric of the latents after the change of basis; 0 leaves the latents
    # as they are. See latent_basis.py.
    output_distortion_share: float = bounded(0.0, 0.0, 1.0)
    router_bias_step: float = bounded(1e-3, 0.0, 1.0)  # towards equal use of the experts
    expert_count_weights: tuple[float, ...] = bounded((), 0.0, 1e6)  # of 0 ... Nr experts; empty: uniform

    def check(self, name: str) -> None:
        """Raises FieldError on values that cannot be used."""
        check_fields(self, name)
        if self.expert_count_weights and not any(self.expert_count_weights):
            raise FieldError(f"{name}.expert_count_weights must not all be zero")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Adversarial training; without `kinds` there is none."""

    kinds: tuple[str, ...] = ()  # see discriminators.py
    width: int = bounded(24, 1, 4096)
    learning_rate: float = bounded(4e-4, 0.0, 1.0)
    warmup_steps: int = bounded(300, 0, 10**9)  # in which only the discriminators are updated


@dataclass(frozen=True)
class TrainingConfig:
    """Everything about a run but its data, budget and seed.

    Raises UsageError on values that cannot be used.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        with field_errors_as(UsageError):
            self.data.check("recipe.data")
            self.loss.check("recipe.loss")
            check_fields(self.optimizer, "recipe.optimizer")
            self.codebook.check("recipe.codebook")
            check_fields(self.discriminator, "recipe.discriminator")


def read_config(path: Path | None) -> TrainingConfig:
    """Read a recipe; None gives the defaults.

    Raises:
        UsageError: The file cannot be read, is not TOML, or has unknown, ill-typed or impossible fields.
    """
    if path is None:
        return TrainingConfig()
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with field_errors_as(UsageError):
            return from_mapping(TrainingConfig, tomllib.loads(path.read_text("utf-8")), "recipe")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, WeightsError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from None
