"""Continuation of signals, and the ends of recordings that it makes free of clicks."""

from __future__ import annotations

import numpy as np
import pytest

from switchcodec_cli import Codec
from switchcodec_cli.encoder.extrapolation import CONTEXT, ORDER, burg, extrapolate

RATE = 44100


def tone(frequency: float, samples: int) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE)).astype(np.float32)


@pytest.mark.parametrize("frequency", [100, 440, 5000])
def test_a_tone_continues(frequency):
    noise = 1e-4 * np.random.default_rng(0).standard_normal(CONTEXT + 1000)
    signal = (tone(frequency, CONTEXT + 1000) + noise).astype(np.float32)
    continuation = extrapolate(signal[:CONTEXT], 1000)
    np.testing.assert_allclose(continuation[:500], signal[CONTEXT : CONTEXT + 500], atol=0.02)
    assert np.abs(continuation).max() < 0.12


def test_a_continuation_does_not_grow():
    random = np.random.default_rng(1)
    for signal in (random.standard_normal(CONTEXT), tone(30, CONTEXT), np.ones(CONTEXT)):
        continuation = extrapolate(signal.astype(np.float32), 20_000)
        assert np.abs(continuation).max() <= 1.5 * np.abs(signal).max()


@pytest.mark.parametrize("samples", [0, 1, 2 * ORDER - 1])
def test_short_signals_and_silence_continue_with_silence(samples):
    assert not extrapolate(tone(440, samples), 10).any()
    assert not extrapolate(np.zeros(CONTEXT, np.float32), 10).any()
    assert len(burg(np.zeros(CONTEXT), ORDER)) == 0


@pytest.mark.parametrize("samples", [102_400, 102_500, 103_300])
def test_a_steady_tone_ends_without_a_click(samples):
    """The last 1024 samples hold hardly more energy beside the tone than the middle."""
    codec = Codec.load(device="cpu")
    audio, _ = codec.decode(codec.encode(tone(440, samples), RATE, effort=0))

    def energy_beside_tone(part: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        frequency = np.fft.rfftfreq(len(part), 1 / RATE)
        return 10 * np.log10(power[np.abs(frequency - 440) > 300].sum() / power.sum())

    assert energy_beside_tone(audio[-1024:]) < -38  # -25 dB where the end was cut
