"""Results of listening tests as a figure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import UsageError
from .figure_file import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.listening_tests import ListeningResults, MushraResult, PreferenceResult

_COLUMNS = ("tab:blue", "tab:gray", "tab:orange")


def plot_listening_results(
    results: ListeningResults, path: str | os.PathLike[str], force: bool = False
) -> None:
    """Plot scores of MUSHRA tests and answers of preference and ABX tests into a PNG, SVG or PDF file.

    Raises:
        UsageError: matplotlib is not installed, the figure cannot be written to this path, or all listeners
            are excluded.
        SwcError: the file cannot be written.
    """
    mushra = [result for result in results.mushra if result.conditions]
    count = len(mushra) + len(results.preference) + bool(results.abx)
    if not count:
        raise UsageError("there is nothing to plot: all listeners are excluded")
    figure = new_figure(6.4, 3.4 * count)
    axes = iter(figure.subplots(count, 1, squeeze=False).ravel())
    for ratings in mushra:
        _draw_scores(next(axes), ratings)
    for preference in results.preference:
        _draw_preference(next(axes), preference)
    if results.abx:
        _draw_abx(next(axes), results)
    save_figure(figure, path, force)


def _draw_scores(axis: Axes, result: MushraResult) -> None:
    names = [condition.name for condition in result.conditions]
    means = [condition.mean for condition in result.conditions]
    # with a single score there is no interval: no bar
    low = [max(0.0, each.mean - each.interval.low) for each in result.conditions]
    high = [max(0.0, each.interval.high - each.mean) for each in result.conditions]
    axis.errorbar(means, names, xerr=[low, high], fmt="o", capsize=3)
    axis.invert_yaxis()
    axis.grid(alpha=0.3)
    axis.set(title=f"MUSHRA, {result.listeners} listeners", xlabel="score, with 95 % interval", xlim=(0, 101))


def _draw_preference(axis: Axes, result: PreferenceResult) -> None:
    bars = axis.bar(
        [result.pair[0], "no preference", result.pair[1]],
        [result.first, result.none, result.second],
        color=_COLUMNS,
    )
    axis.bar_label(bars)
    axis.set(title=f"Preference, {result.listeners} listeners, p = {result.p_value:.3g}", ylabel="answers")


def _draw_abx(axis: Axes, results: ListeningResults) -> None:
    labels = [f"{' / '.join(each.pair)}\np = {each.p_value:.3g}" for each in results.abx]
    axis.barh(labels, [100 * each.correct / each.trials for each in results.abx])
    axis.axvline(50, color="black", linewidth=1)
    axis.set(title="ABX", xlabel="correct answers in %; guessing gives 50", xlim=(0, 100))
