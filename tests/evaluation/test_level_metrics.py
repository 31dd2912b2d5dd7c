"""Metrics of levels on signals with known answers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from switchcodec_cli.evaluation import GROUPS, METRICS, measure

sys.path.insert(0, str(Path(__file__).parents[1] / "edges"))
from edges import TONES, tone

RATE = 44100


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def in_band(audio: np.ndarray, low: float, high: float, gain_db: float) -> np.ndarray:
    """A signal with another level between two frequencies."""
    spectrum = np.fft.rfft(audio)
    frequencies = np.fft.rfftfreq(len(audio), 1 / RATE)
    spectrum[(frequencies >= low) & (frequencies < high)] *= 10 ** (gain_db / 20)
    return np.fft.irfft(spectrum, len(audio))


@pytest.mark.parametrize("gain_db", [-3.0, 3.0])
def test_changed_level_of_one_octave(gain_db: float) -> None:
    audio = noise(3)
    scores = measure(audio, in_band(audio, 1000 / 2**0.5, 1000 * 2**0.5, gain_db), RATE, ["levels"])
    for name in GROUPS["levels"]:
        if name.startswith("octave_"):
            expected = gain_db if name == "octave_1000" else 0
            assert scores[name] == pytest.approx(expected, abs=0.15), name
    assert scores["octaves"] == pytest.approx(3 / 9, abs=0.05)
    assert all(METRICS[f"octave_{centre}"].arrow == "→0" for centre in (63, 16000))


def test_octaves_that_the_original_does_not_have_are_left_out() -> None:
    audio = in_band(noise(2), 3000, 30000, -90)
    scores = measure(audio, audio + 1e-4 * noise(2, 1), RATE, ["levels"])
    assert math.isnan(scores["octave_8000"]) and math.isnan(scores["octave_16000"])
    assert scores["octave_1000"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("frequency", TONES)
def test_level_of_tones(frequency: float) -> None:
    audio = tone(frequency, 1)
    scores = measure(audio, 10 ** (-24 / 20) * audio, RATE, ["level", "peak", "octaves"])
    assert scores == pytest.approx({"level": -24, "peak": -24, "octaves": 24}, abs=1e-6)


def test_level_and_peak_of_clicks() -> None:
    clicks = np.zeros(RATE)
    clicks[5000::9000] = 0.5
    smeared = np.convolve(clicks, np.full(4, 0.25))[:RATE]
    scores = measure(clicks, smeared, RATE, ["level", "peak"])
    assert scores == pytest.approx({"level": -6.02, "peak": -12.04}, abs=0.01)
    lost = measure(clicks, 0 * clicks, RATE, ["level", "peak"])
    assert lost == {"level": -100, "peak": -100}
    assert all(math.isnan(score) for score in measure(0 * clicks, clicks, RATE, ["levels"]).values())


def test_swapped_channels() -> None:
    audio = np.stack([noise(2), 0.5 * noise(2)], 1)  # left is 6 dB louder
    scores = measure(audio, audio[:, ::-1], RATE, ["stereo"])
    assert scores == pytest.approx({"icld": 12.04, "coherence": 0}, abs=0.01)
    assert measure(audio, 0.3 * audio, RATE, ["stereo"]) == pytest.approx(
        {"icld": 0, "coherence": 0}, abs=1e-6
    )


def test_lost_coherence() -> None:
    together = np.stack([noise(2), noise(2)], 1)
    apart = np.stack([noise(2), noise(2, 1)], 1)
    scores = measure(together, apart, RATE, ["stereo"])
    assert 0.7 < scores["coherence"] < 1 and scores["icld"] < 2
    assert measure(apart, together, RATE, ["coherence"])["coherence"] == pytest.approx(scores["coherence"])


def test_leak_into_a_silent_channel() -> None:
    audio = noise(1)
    left = np.stack([audio, 0 * audio], 1)
    scores = measure(left, np.stack([audio, 0.1 * audio], 1), RATE, ["stereo"])
    assert scores["icld"] == pytest.approx(10, abs=0.01)  # from the limit of 30 dB to 20 dB
    assert math.isnan(scores["coherence"])


def test_stereo_of_other_rates_and_lengths_and_of_mono() -> None:
    audio = np.stack([noise(1), 0.5 * noise(1)], 1)
    assert measure(audio, audio[:-500, ::-1], 48000, ["icld"])["icld"] == pytest.approx(12.04, abs=0.01)
    assert all(math.isnan(score) for score in measure(noise(1), noise(1), RATE, ["stereo"]).values())
    for frames in (1, 100, 3000):
        short = measure(audio[:frames], audio[:frames], RATE, ["levels", "stereo"])
        assert short["level"] == 0 and short["icld"] == 0
