"""Intervals of means, tests of hypotheses, and differences between curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000
_SEED = 20250801  # of the bootstrap, so that the same results give the same intervals


@dataclass(frozen=True)
class Interval:
    """Limits of a confidence interval of 95 %."""

    low: float
    high: float


def bootstrap_interval(values: Sequence[float]) -> Interval:
    """The interval of 95 % of the mean of independent values, by the percentile bootstrap.

    Both limits are not-a-number if there are fewer than two values.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    if len(values) < 2:
        return Interval(math.nan, math.nan)
    chosen = np.random.default_rng(_SEED).integers(len(values), size=(_RESAMPLES, len(values)))
    means = np.asarray(values, np.float64)[chosen].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(low), float(high))


def binomial_p_value(successes: int, trials: int) -> float:
    """Probability of at least so many successes by guessing: one-sided exact binomial test with p = 1/2."""
    favourable = sum(math.comb(trials, count) for count in range(successes, trials + 1))
    return float(favourable / 2**trials)


def sign_test_p_value(first: int, second: int) -> float:
    """Two-sided exact sign test: of paired comparisons, so many were won by each; ties are not counted."""
    return min(1.0, 2 * binomial_p_value(max(first, second), first + second))


@dataclass(frozen=True)
class CurvePoint:
    """A point of a curve of quality against rate."""

    kbps: float
    score: float


def bjontegaard_rate_difference(reference: Sequence[CurvePoint], other: Sequence[CurvePoint]) -> float:
    """How much more rate the other codec needs at equal scores, relative to the reference: 0.5 is 50 % more.

    The mean, over the scores that both curves reach, of the difference of the logarithms of the rates. The
    logarithm of the rate is interpolated as a function of the score by a monotonic piecewise cubic (PCHIP).

    Returns:
        Not-a-number if a curve has less than two points or is not monotonic, or if they have no scores in
        common.

    Source: Bjøntegaard 2001, VCEG-M33, with the interpolation of JCTVC-L1100.
    """
    from scipy.interpolate import PchipInterpolator

    curves = [_by_score(points) for points in (reference, other)]
    if any(len(points) < 2 or not _is_monotonic(points) for points in curves):
        return math.nan
    low = max(points[0].score for points in curves)
    high = min(points[-1].score for points in curves)
    if low >= high:
        return math.nan
    ours, theirs = (
        PchipInterpolator([p.score for p in points], [math.log(p.kbps) for p in points]).integrate(low, high)
        for points in curves
    )
    return math.exp((theirs - ours) / (high - low)) - 1


def _by_score(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    known = (point for point in points if math.isfinite(point.score) and math.isfinite(point.kbps))
    return sorted(known, key=lambda point: point.score)


def _is_monotonic(points: Sequence[CurvePoint]) -> bool:
    """Whether the rate rises or falls strictly with the score."""
    steps = np.diff([point.kbps for point in points])
    distinct = np.diff([point.score for point in points]) > 0
    return bool(distinct.all() and ((steps > 0).all() or (steps < 0).all()))
