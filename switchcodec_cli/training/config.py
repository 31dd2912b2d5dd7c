"""Configuration of a training run, read from a TOML file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError, WeightsError
from ..model.config import ModelConfig, build_dataclass


@dataclass(frozen=True)
class DataConfig:
    """What a training item is made of."""

    segment_frames: int = 32  # latent frames per item
    batch: int = 8
    # shares of the kinds; a kind is the first folder below the root of the data
    speech: float = 0.6
    music: float = 0.25
    sound: float = 0.15
    quietest: float = -20.0  # dB; the gain is drawn between this and 0 for half of the items
    mixing: float = 0.1  # share of items with a second one added
    warping: float = 0.3  # share of steps with another speed and equaliser curve
    tones: float = 0.0  # share of items with gliding pure tones, alone or over what was there


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss terms."""

    mel: float = 15.0
    mel_bands: tuple[int, ...] = (80, 160)
    misses: float = 0.0  # share of squares beside absolute differences: what is missed altogether counts more
    fine: float = 15.0  # on every bin of the log-magnitude spectrum
    fine_edges: tuple[float, ...] = (2750.0, 5500.0)  # Hz, between bands of different weight
    fine_bands: tuple[float, ...] = (20.0, 8.0, 1.0)  # weight below the first edge, below the second, above
    commitment: float = 1.0
    # on the audio that comes out of the phase search; 0 leaves the search out of the step
    output: float = 0.0
    output_iterations: int = 8
    output_graded: int = 0  # further rounds of the search that gradients pass through
    loudness: float = 0.0  # share of loudness beside logarithms in the term of the output
    amplitude: float = 0.0  # likewise of magnitudes as they are: the loudest parts alone count
    adversarial: float = 1.0
    feature_matching: float = 2.0


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedule over the time budget."""

    learning_rate: float = 1e-3
    beta1: float = 0.8
    beta2: float = 0.99
    weight_decay: float = 0.01
    warm_up: int = 100  # steps
    decay_from: float = 0.5  # share of the budget after which the learning rate falls linearly
    last: float = 0.02  # share of the learning rate that is left at the end
    clip: float = 20.0  # norm of the gradient
    average: float = 0.999  # decay of the averaged weights, which are what is exported


@dataclass(frozen=True)
class CodebookConfig:
    """Care of the codebooks that are kept by moving averages."""

    decay: float = 0.99
    # share of the budget, at its end, in which the codebooks alone learn, for the averaged networks, and with
    # a longer memory: while networks learn, codewords are means of a dozen latents or so
    settle: float = 0.0
    settle_decay: float = 0.998
    unquantized: float = 0.1  # share of a fresh run's budget before the codebooks start
    revive_every: int = 150  # steps
    revive_below: int = 2  # uses since the last revival
    revive_until: float = 0.85  # share of the budget
    # share of what the decoder makes of latents in the distance between them, measured when the codebooks
    # start and when a run resumes; 0 leaves the latents as they are
    sensitivity: float = 0.0
    balance: float = 1e-3  # step of the router's selection bias
    # chance of k_r = 0 ... Nr; empty: uniform
    active: tuple[float, ...] = ()


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Adversarial training; `kinds` empty switches it off."""

    kinds: tuple[str, ...] = ()
    width: int = 24
    learning_rate: float = 4e-4
    alone: int = 300  # steps for which only the discriminators learn


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)


def read_config(path: Path | None) -> TrainingConfig:
    """Read a TOML recipe; None gives the defaults. Raises UsageError."""
    if path is None:
        return TrainingConfig()
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return build_dataclass(TrainingConfig, tomllib.loads(path.read_text()), "recipe")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, WeightsError) as error:
        raise UsageError(f"{path}: {error}") from None
