"""Pairs of original and degraded signals, computed by formula so that they are equal on every machine."""

import numpy as np


def noise(count: int) -> np.ndarray:
    """Pseudo-random values in [-1, 1], (count,)."""
    return 2 * ((np.sin(np.arange(1, count + 1) * 12.9898) * 43758.5453) % 1) - 1


def sweep() -> tuple[np.ndarray, np.ndarray, int]:
    """A rising tone; degraded: quieter, with a steady tone. Mono, 44.1 kHz."""
    time = np.arange(88200) / 44100
    reference = (
        0.5 * np.sin(2 * np.pi * (100 * time + 1975 * time**2)) * (0.6 + 0.4 * np.cos(2 * np.pi * 3 * time))
    )
    return reference, 0.8 * reference + 0.02 * np.sin(2 * np.pi * 3000 * time), 44100


def buzz() -> tuple[np.ndarray, np.ndarray, int]:
    """Noisy harmonic syllables; degraded: delayed, low-pass filtered and noisy. Mono, 44.1 kHz."""
    time = np.arange(3 * 44100) / 44100
    phase = 2 * np.pi * 120 * time + 2 * np.sin(2 * np.pi * 2.3 * time)
    voice = sum(np.sin(k * phase) / k for k in range(1, 31))
    envelope = np.maximum(0, np.sin(2 * np.pi * 2 * time)) ** 0.5
    reference = 0.2 * envelope * (voice + 0.2 * noise(len(time)))
    dull = np.convolve(reference, np.ones(9) / 9)[: len(time)]
    return reference, dull + 0.004 * noise(2 * len(time))[len(time) :], 44100


def coarse_stereo() -> tuple[np.ndarray, np.ndarray, int]:
    """Decaying tones; degraded: quantized in steps of 1/32. Stereo, 48 kHz."""
    time = np.arange(72000) / 48000
    left = 0.4 * np.exp(-3 * (time % 0.5)) * np.sin(2 * np.pi * 440 * time)
    right = 0.4 * np.exp(-5 * (time % 0.25)) * np.sin(2 * np.pi * 1330 * time + 1)
    reference = np.stack([left, right], axis=1)
    return reference, np.round(reference * 32) / 32, 48000
