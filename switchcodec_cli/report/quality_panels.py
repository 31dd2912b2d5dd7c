"""Quality against rate as small figures for a web page: inline SVG with the colours of the page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..evaluation.metrics import METRICS
from ..evaluation.statistics import Interval, bootstrap_interval
from .figure_file import import_matplotlib, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation import RateQuality, Row

_WIDTH, _HEIGHT = 3.3, 2.3  # inches
_INK, _GRID = "#010203", "#040506"  # replaced by variables of the page's style sheet
_TICKS = tuple(2.0**power for power in range(-3, 11))  # kbps


@dataclass(frozen=True)
class QualityPanel:
    """One measure of one kind of audio."""

    kind: str
    metric: str
    svg: str


@dataclass(frozen=True)
class MeanScore:
    """The mean over all files of a kind at one point of a curve."""

    kbps: float
    score: float
    interval: Interval


def mean_score(rows: Sequence[Row], metric: str) -> MeanScore:
    """The mean of those rows that have a score; not-a-number if none has one."""
    known = [row for row in rows if math.isfinite(row.scores[metric])]
    if not known:
        return MeanScore(math.nan, math.nan, Interval(math.nan, math.nan))
    scores = [row.scores[metric] for row in known]
    kbps = sum(row.kbps * row.seconds for row in known) / sum(row.seconds for row in known)
    return MeanScore(kbps, sum(scores) / len(scores), bootstrap_interval(scores))


def quality_panels(result: RateQuality) -> list[QualityPanel]:
    """A panel per kind and measure: a dot per file, and per curve the means with intervals of 95 %.

    The n-th curve has the colour `var(--series-n)`. Rows without a known rate are left out, and measures
    that no file of a kind has.

    Raises:
        UsageError: matplotlib is not installed.
    """
    rows = [row for row in result.rows if math.isfinite(row.kbps)]
    curves = list(dict.fromkeys(row.curve for row in result.rows))
    panels = []
    for kind in dict.fromkeys(row.kind for row in rows):
        for metric in result.metrics:
            known = [row for row in rows if row.kind == kind and math.isfinite(row.scores[metric])]
            if known and METRICS[metric].applies_to(kind):
                panels.append(QualityPanel(kind, metric, _draw(known, metric, curves)))
    return panels


def _draw(rows: Sequence[Row], metric: str, curves: Sequence[str]) -> str:
    matplotlib = import_matplotlib()
    style = {"svg.fonttype": "none", "svg.hashsalt": metric, "font.size": 8, "path.simplify": True}
    colours = {_INK: "currentColor", _GRID: "var(--grid)"}
    with matplotlib.rc_context(style):
        figure = new_figure(_WIDTH, _HEIGHT, layout=None)
        figure.subplots_adjust(left=0.15, right=0.98, top=0.97, bottom=0.18)
        axis = figure.add_subplot()
        for number, curve in enumerate(curves):
            colour = f"#0000{number + 1:02x}"
            colours[colour] = f"var(--series-{number + 1})"
            _draw_curve(axis, [row for row in rows if row.curve == curve], metric, colour)
        if METRICS[metric].zero_is_best:
            axis.axhline(0, color=_INK, linewidth=0.6)
        _draw_axes(axis, [row.kbps for row in rows])
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    return _inline(file.getvalue(), colours)


def _draw_curve(axis: Axes, rows: Sequence[Row], metric: str, colour: str) -> None:
    if not rows:
        return
    axis.plot(
        [row.kbps for row in rows],
        [row.scores[metric] for row in rows],
        linestyle="none",
        marker="o",
        markersize=3.5,
        markeredgewidth=0,
        alpha=0.45,
        color=colour,
    )
    settings = dict.fromkeys(row.setting for row in rows)
    means = [mean_score([row for row in rows if row.setting == setting], metric) for setting in settings]
    means.sort(key=lambda mean: mean.kbps)
    limits = [
        [mean.score - mean.interval.low for mean in means],
        [mean.interval.high - mean.score for mean in means],
    ]
    axis.errorbar(
        [mean.kbps for mean in means],
        [mean.score for mean in means],
        yerr=[[max(0.0, value) for value in side] for side in limits],
        color=colour,
        linewidth=1.6,
        elinewidth=1.2,
        capsize=2.5,
        marker="o",
        markersize=4,
    )


def _draw_axes(axis: Axes, rates: Sequence[float]) -> None:
    low, high = min(rates) / 1.25, max(rates) * 1.25
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axis.set_xscale("log")
    axis.set(xlim=(low, high), xlabel="kbps")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.grid(color=_GRID, linewidth=0.6)
    axis.tick_params(color=_INK, labelcolor=_INK)
    axis.xaxis.label.set_color(_INK)
    for spine in axis.spines.values():
        spine.set(color=_INK, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _inline(svg: str, colours: dict[str, Any]) -> str:
    """A figure as an element of a page: without declarations, metadata and size, in the page's colours."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    for placeholder, colour in colours.items():
        element = element.replace(placeholder, colour)
    return re.sub(r">\s+<", "><", element)
