"""Metrics: agreement with an independent implementation, and edge cases."""

import math

import numpy as np
import pairs
import pytest

from switchcodec_cli.errors import UsageError
from switchcodec_cli.evaluation import (
    GROUPS,
    METRICS,
    available_metrics,
    choose_metrics,
    measure,
    missing_metrics,
)
from switchcodec_cli.evaluation.metrics import spectral_distances

# Values of another implementation of the same definitions by another author: the default metrics, in order
GOLDEN = {
    "sweep": (0.561559, 0.772166, 22.450128, 1.544501, 0.978508, 4.656494),
    "buzz": (4.252023, 8.130377, 10.823531, 2.343539, 0.998807, 2.013884),
    "coarse_stereo": (5.330241, 11.864378, 25.769593, 1.507527, 0.989436, 1.556522),
}
# The STFT distance depends on the rounding noise of the machine's Fourier transform.
TOLERANCE = {"mel": 1e-4, "stft": 1e-3, "si_sdr": 1e-4, "pesq": 2e-3, "stoi": 1e-4, "visqol": 2e-3}


@pytest.mark.parametrize("metric", GROUPS["default"])
@pytest.mark.parametrize("pair", GOLDEN)
def test_values_of_an_independent_implementation(pair, metric):
    if metric not in available_metrics():
        pytest.skip(f"the package for {metric} is not installed")
    reference, decoded, sample_rate = getattr(pairs, pair)()
    expected = GOLDEN[pair][GROUPS["default"].index(metric)]
    assert measure(reference, decoded, sample_rate, [metric]) == {
        metric: pytest.approx(expected, abs=TOLERANCE[metric])
    }


def test_signal_against_itself():
    reference, _, sample_rate = pairs.buzz()
    scores = measure(reference, reference, sample_rate)
    assert tuple(scores) == available_metrics()
    assert scores["mel"] == scores["stft"] == 0 and scores["si_sdr"] > 120
    best = {"pesq": 4.644, "stoi": 1.0, "visqol": 4.7}
    for name in best.keys() & scores.keys():
        assert scores[name] == pytest.approx(best[name], abs=0.05)


def test_more_noise_scores_worse():
    reference, _, sample_rate = pairs.buzz()
    noise = pairs.noise(len(reference))
    scores = [measure(reference, reference + level * noise, sample_rate) for level in (0.001, 0.01, 0.1)]
    for name in available_metrics():
        values = [score[name] for score in scores]
        assert values == sorted(values, reverse=not METRICS[name].lower_is_better), name
        assert METRICS[name].lower_is_better == (name in ("mel", "stft"))


def test_blocks_of_frames_do_not_change_the_distances(monkeypatch):
    reference, decoded, _ = pairs.buzz()
    whole = spectral_distances(reference, decoded)
    monkeypatch.setattr("switchcodec_cli.evaluation.metrics._FRAMES_PER_BLOCK", 37)
    assert spectral_distances(reference, decoded) == pytest.approx(whole, abs=1e-6)


def test_missing_end_is_ignored_or_counted_as_silence():
    reference, _, sample_rate = pairs.buzz()
    names = ["mel", "si_sdr"]
    short, shorter = reference[:-1000], reference[:-22050]
    assert measure(reference, short, sample_rate, names)["mel"] == 0  # less than 50 ms is ignored
    cut = measure(reference, shorter, sample_rate, names)
    padded = np.concatenate([shorter, np.zeros(22050)])
    assert cut == measure(reference, padded, sample_rate, names) and cut["mel"] > 0.1
    assert measure(shorter, reference, sample_rate, names)["mel"] == 0


@pytest.mark.parametrize("frames", [0, 1, 2, 100, 3000])
def test_short_and_silent_signals(frames):
    for signal in (np.zeros(frames), pairs.noise(frames) * 0.1, np.zeros((frames, 2))):
        scores = measure(signal, signal * 0.5, 44100)
        assert tuple(scores) == available_metrics()
        assert math.isnan(scores["mel"]) == (frames == 0)
        assert math.isnan(scores["si_sdr"]) == (frames == 0)
        for name in {"pesq", "stoi"} & scores.keys():
            assert math.isnan(scores[name])


def test_choose_metrics():
    assert choose_metrics(["si_sdr", "mel"]) == ("mel", "si_sdr")
    assert {"mel", "stft", "si_sdr"} <= set(choose_metrics())
    assert choose_metrics(["levels", "mel"]) == ("mel", *GROUPS["levels"])
    assert choose_metrics(["stereo", "icld"]) == ("icld", "coherence")
    assert set(choose_metrics(["all"])) == {name for name, metric in METRICS.items() if metric.available}
    with pytest.raises(UsageError, match="no metric is called 'snr'"):
        choose_metrics(["snr"])


def test_speech_metrics_do_not_apply_to_other_kinds():
    for metric in METRICS.values():
        assert metric.applies_to("speech") and metric.applies_to("anything")
        assert metric.applies_to("music") == metric.applies_to("sound")
    of_music = {name for name, metric in METRICS.items() if metric.applies_to("music")}
    assert of_music == {"mel", "stft", "si_sdr", "visqol", *GROUPS["levels"], *GROUPS["stereo"]}


def test_metric_of_a_missing_package_is_unavailable(monkeypatch):
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "visqol" else found(name))
    assert "visqol" not in available_metrics()
    missing = missing_metrics()
    assert missing == missing_metrics(["default", "levels"])
    assert "visqol" in missing and set(missing) <= {"pesq", "stoi", "visqol"}  # extras of `eval`
    assert "visqol" not in choose_metrics(["default"])
    with pytest.raises(UsageError, match="needs the package 'visqol-python'"):
        choose_metrics(["visqol"])


def test_metric_is_unavailable_without_an_undeclared_requirement(monkeypatch):
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "requests" else found(name))
    assert "dnsmos" in missing_metrics(["speech"]) and "dnsmos" not in choose_metrics(["speech"])
