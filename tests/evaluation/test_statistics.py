"""Intervals, exact tests, rate differences and loudness."""

import math

import numpy as np
import pytest

from switchcodec_cli.evaluation.loudness import loudness
from switchcodec_cli.evaluation.statistics import (
    CurvePoint,
    binomial_p_value,
    bjontegaard_rate_difference,
    bootstrap_interval,
    sign_test_p_value,
)


def test_bootstrap_interval_is_that_of_the_normal_distribution_for_many_values():
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = bootstrap_interval(list(values))
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)
    assert bootstrap_interval(list(values)) == interval
    assert math.isnan(bootstrap_interval([1.0]).low)


def test_exact_tests():
    assert binomial_p_value(12, 16) == pytest.approx(0.03841, abs=1e-5)  # known from ABX tables
    assert binomial_p_value(0, 5) == 1 and binomial_p_value(5, 5) == 1 / 32
    assert sign_test_p_value(1, 8) == sign_test_p_value(8, 1) == pytest.approx(20 / 512)
    assert sign_test_p_value(3, 3) == 1 and sign_test_p_value(0, 0) == 1


def curve(factor, scores=(1.0, 2.0, 2.7, 3.0), rates=(1, 2, 4, 8)):
    return [CurvePoint(factor * rate, score) for rate, score in zip(rates, scores, strict=True)]


def test_rate_difference_of_curves_that_are_shifted():
    pytest.importorskip("scipy")
    assert bjontegaard_rate_difference(curve(1), curve(1.5)) == pytest.approx(0.5)
    assert bjontegaard_rate_difference(curve(1.5), curve(1)) == pytest.approx(1 / 1.5 - 1)
    falling = (3.0, 2.0, 1.3, 1.0)  # a measure of which less is better
    assert bjontegaard_rate_difference(curve(1, falling), curve(2, falling)) == pytest.approx(1)


def test_rate_difference_that_does_not_exist():
    pytest.importorskip("scipy")
    for other in (curve(1)[:1], curve(1, (4, 5, 6, 7)), curve(1, (1, 3, 2, 4)), curve(1, (1, 1, 2, 3))):
        assert math.isnan(bjontegaard_rate_difference(curve(1), other))


@pytest.mark.parametrize("rate", [44100, 48000])
def test_loudness_of_tones(rate):
    """The tone of BS.1770-4 that defines the scale, and levels of EBU Tech 3341."""
    time = np.arange(5 * rate)[:, None] / rate
    tone = np.sin(2 * np.pi * 997 * time)
    assert loudness(tone, rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness(0.1 * np.hstack([tone, tone]), rate) == pytest.approx(-20, abs=0.05)
    quiet = np.concatenate([tone, 0.001 * tone])  # the second half is below the gate
    assert loudness(quiet, rate) == pytest.approx(-3.01, abs=0.2)


def test_silence_has_no_loudness():
    assert loudness(np.zeros((48000, 1)), 48000) == loudness(np.ones((100, 1)), 48000) == -math.inf
