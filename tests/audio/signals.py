"""Deterministic test signals, and the environment of subprocesses."""

import os
from pathlib import Path

import numpy as np

# Subprocesses find the package from any folder, installed or not.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def tones(frames: int, channels: int = 1, sample_rate: int = 44100, level: float = 0.4) -> np.ndarray:
    """Two sines with some noise, different in every channel. # (frames, channels), float32"""
    time = np.arange(frames)[:, None] / sample_rate
    pitch = 220 * (1 + np.arange(channels))
    noise = np.random.default_rng(channels).standard_normal((frames, channels))
    signal = 0.6 * np.sin(2 * np.pi * pitch * time) + 0.3 * np.sin(2 * np.pi * 3.01 * pitch * time)
    return (level * (signal + 0.05 * noise)).astype(np.float32)
