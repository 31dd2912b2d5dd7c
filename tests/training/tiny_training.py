"""Synthetic training audio, and configurations small enough to train in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from switchcodec_cli.model.config import DacConfig, ModelConfig, QuantizerConfig, SpectralConfig
from switchcodec_cli.training.config import (
    CodebookConfig,
    DataConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
)
from switchcodec_cli.training.data import build_pool
from switchcodec_cli.training.trainer import Trainer

torch.set_num_threads(1)  # networks this small are slower with several threads

RATE = 8000

SPECTRAL = TrainingConfig(
    model=ModelConfig(
        sample_rate=RATE,
        frames_per_window=16,
        latent_dimension=8,
        quantizer=QuantizerConfig(experts=5, codebook_size=16, codebooks=1),
        spectral=SpectralConfig(
            window_length=256,
            hop_length=64,
            spectra_per_frame=2,
            width=24,
            encoder_blocks=1,
            decoder_blocks=1,
            expansion=2,
            kernel=3,
        ),
    ),
    data=DataConfig(segment_frames=16, batch_size=8),
    loss=LossConfig(mel_bands=(20, 40)),
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=20, ema_decay=0.98),
    codebook=CodebookConfig(unquantized_share=0.2, replace_dead_every=30),
)
DAC = TrainingConfig(
    model=ModelConfig(
        backbone="dac",
        sample_rate=RATE,
        frames_per_window=40,
        latent_dimension=16,
        quantizer=QuantizerConfig(
            experts=3, codebook_size=16, codebooks=1, form="factorised", code_dimension=4
        ),
        dac=DacConfig(encoder_width=4, decoder_width=16, strides=(2, 4, 8)),
    ),
    data=DataConfig(segment_frames=40, batch_size=4, speed_eq_probability=0.0),
    loss=LossConfig(commitment_weight=0.25),
    optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=5, ema_decay=0.9),
)


def tone_bursts(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Bursts of a gliding harmonic tone over faint noise, (n,)."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 150 + 60 * seed % 300 + 40 * np.sin(2 * np.pi * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    total = sum(np.sin(number * phase) / number for number in range(1, 7))
    return 0.15 * total * (0.3 + np.sin(2 * np.pi * 2 * time) ** 2) + random.normal(0, 0.004, len(time))


def write_data_folder(folder: Path, seconds: float = 4.0, each: int = 2) -> Path:
    """Write a data folder with `each` recordings of every kind."""
    for number, kind in enumerate(("speech", "music", "sound") * each):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / kind / f"{number}.wav", tone_bursts(seconds, RATE, number), RATE)
    return folder


def make_pool(root: Path) -> Path:
    """Build the pool of such a data folder."""
    build_pool(write_data_folder(root / "audio"), root / "pool", RATE, workers=1)
    return root / "pool"


def make_trainer(config: TrainingConfig, pool: Path, run: Path, **options: Any) -> Trainer:
    """A trainer that neither compiles nor prints."""
    return Trainer(config, pool, run, compiled=False, report=lambda line: None, **options)
