"""The measures agree with an independent implementation, and answer sensibly at the edges."""

import math

import numpy as np
import pairs
import pytest

from switchcodec_cli.errors import UsageError
from switchcodec_cli.evaluation import METRICS, available_metrics, choose_metrics, measure
from switchcodec_cli.evaluation.metrics import mel_filters, spectral_distances

# From another implementation of the same definitions, kept by another author.
GOLDEN = {
    "sweep": (0.561559, 0.772166, 22.450128, 1.544501, 0.978508, 4.656494),
    "buzz": (4.252023, 8.130377, 10.823531, 2.343539, 0.998807, 2.013884),
    "coarse_stereo": (5.330241, 11.864378, 25.769593, 1.507527, 0.989436, 1.556522),
}
# `stft` sees the rounding noise of the machine's Fourier transform; the rest does not.
TOLERANCE = {"mel": 1e-4, "stft": 1e-3, "si_sdr": 1e-4, "pesq": 2e-3, "stoi": 1e-4, "visqol": 2e-3}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("pair", GOLDEN)
def test_golden_values(pair, metric):
    if metric not in available_metrics():
        pytest.skip(f"the package for {metric} is not installed")
    reference, decoded, sample_rate = getattr(pairs, pair)()
    expected = GOLDEN[pair][METRICS.index(metric)]
    assert measure(reference, decoded, sample_rate, [metric]) == {
        metric: pytest.approx(expected, abs=TOLERANCE[metric])
    }


def test_a_signal_against_itself():
    reference, _, sample_rate = pairs.buzz()
    scores = measure(reference, reference, sample_rate)
    assert tuple(scores) == available_metrics()
    assert scores["mel"] == scores["stft"] == 0 and scores["si_sdr"] > 120
    best = {"pesq": 4.644, "stoi": 1.0, "visqol": 4.7}
    for name in best.keys() & scores.keys():
        assert scores[name] == pytest.approx(best[name], abs=0.05)


def test_more_damage_scores_worse():
    reference, _, sample_rate = pairs.buzz()
    noise = pairs.noise(len(reference))
    scores = [measure(reference, reference + level * noise, sample_rate) for level in (0.001, 0.01, 0.1)]
    for name in available_metrics():
        values = [score[name] for score in scores]
        assert values == sorted(values, reverse=name not in ("mel", "stft")), name


def test_mel_filters():
    for window, bands in ((2048, 150), (512, 80)):
        filters = mel_filters(window, bands)
        assert filters.shape == (bands, window // 2 + 1) and filters.min() == 0
        peaks = filters.argmax(axis=1)
        assert (np.diff(peaks) >= 0).all() and peaks[-1] > 0.9 * window / 2
    wide = mel_filters(2048, 20)
    np.testing.assert_allclose(wide.sum(axis=1) * 44100 / 2048, 1, rtol=0.02)  # each has an area of one


def test_long_signals_are_taken_in_pieces_without_a_seam(monkeypatch):
    reference, decoded, _ = pairs.buzz()
    whole = spectral_distances(reference, decoded)
    monkeypatch.setattr("switchcodec_cli.evaluation.metrics._FRAMES_AT_ONCE", 37)
    assert spectral_distances(reference, decoded) == pytest.approx(whole, abs=1e-6)


def test_missing_ends():
    reference, _, sample_rate = pairs.buzz()
    names = ["mel", "si_sdr"]
    short, shorter = reference[:-1000], reference[:-22050]
    assert measure(reference, short, sample_rate, names)["mel"] == 0  # a tail under 50 ms is not counted
    cut = measure(reference, shorter, sample_rate, names)
    padded = np.concatenate([shorter, np.zeros(22050)])
    assert cut == measure(reference, padded, sample_rate, names) and cut["mel"] > 0.1
    assert measure(shorter, reference, sample_rate, names)["mel"] == 0


@pytest.mark.parametrize("frames", [0, 1, 2, 100, 3000])
def test_tiny_and_silent(frames):
    for signal in (np.zeros(frames), pairs.noise(frames) * 0.1, np.zeros((frames, 2))):
        scores = measure(signal, signal * 0.5, 44100)
        assert tuple(scores) == available_metrics()
        assert math.isnan(scores["mel"]) == (frames == 0)
        assert math.isnan(scores["si_sdr"]) == (frames == 0)
        for name in {"pesq", "stoi"} & scores.keys():
            assert math.isnan(scores[name])


def test_choice():
    assert choose_metrics(["si_sdr", "mel"]) == ("mel", "si_sdr")
    assert {"mel", "stft", "si_sdr"} <= set(choose_metrics())
    with pytest.raises(UsageError, match="no metric is called 'snr'"):
        choose_metrics(["snr"])


def test_a_missing_package_is_absent_or_named(monkeypatch):
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "visqol" else found(name))
    assert "visqol" not in available_metrics()
    with pytest.raises(UsageError, match="needs the package 'visqol-python'"):
        choose_metrics(["visqol"])
