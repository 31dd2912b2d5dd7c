"""The results of an evaluation as a figure: quality against rate."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..evaluation.metrics import METRICS
from ..evaluation.rate_quality import ALL_KINDS
from .figure_file import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation import Mean, RateQuality


@dataclass(frozen=True)
class _Line:
    """One curve of one kind of audio."""

    kind: str
    curve: str
    means: list[Mean]
    """Entries of `RateQuality.means`, in order of rate."""


@dataclass(frozen=True)
class _Panel:
    """One set of axes."""

    metric: str
    kind: str | None
    """Kind of the lines in the panel, None for all kinds."""

    def shows(self, line: _Line) -> bool:
        """Whether a line belongs to the panel."""
        return self.kind in (None, line.kind) and METRICS[self.metric].applies_to(line.kind)

    @property
    def title(self) -> str:
        prefix = "" if self.kind is None else f"{self.kind}: "
        return f"{prefix}{METRICS[self.metric].title} ({METRICS[self.metric].direction})"


def plot_rate_quality(result: RateQuality, path: str | os.PathLike[str], force: bool = False) -> None:
    """Plot the metrics against the real rate into a PNG, SVG or PDF file.

    With a single curve, each panel shows a metric with a line per kind of audio. With several curves, each
    row of panels shows a kind with a line per curve. SI-SDR, which is meaningless if a decoder generates
    phases, and metrics of speech for other kinds are omitted.

    Raises:
        UsageError: matplotlib is not installed, or the figure cannot be written to this path.
        SwcError: the file cannot be written.
    """
    lines = _lines(result)
    metrics = [name for name in result.metrics if name != "si_sdr"] or list(result.metrics)
    if any(line.curve for line in lines):
        kinds = dict.fromkeys(line.kind for line in lines)
        panels = [_Panel(name, kind) for kind in kinds for name in metrics]
        columns = len(metrics)
    else:
        panels = [_Panel(name, None) for name in metrics]
        columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns) or 1
    figure = new_figure(4.2 * columns, 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(axes, panels, strict=False):
        if panel.kind is not None and not METRICS[panel.metric].applies_to(panel.kind):
            axis.remove()
        else:
            _draw_panel(axis, panel, lines)
    for axis in axes[len(panels) :]:
        axis.remove()
    if lines:
        axes[0].legend(fontsize="small")
    save_figure(figure, path, force)


def _lines(result: RateQuality) -> list[_Line]:
    groups: dict[tuple[str, str], list[Mean]] = {}
    for mean in result.means():
        if mean["kind"] != ALL_KINDS:
            groups.setdefault((mean["kind"], mean["curve"]), []).append(mean)
    return [
        _Line(kind, curve, sorted(means, key=lambda mean: float(mean["kbps"])))
        for (kind, curve), means in groups.items()
    ]


def _draw_panel(axis: Axes, panel: _Panel, lines: Sequence[_Line]) -> None:
    for line in filter(panel.shows, lines):
        axis.plot(
            [mean["kbps"] for mean in line.means],
            [mean["scores"][panel.metric] for mean in line.means],
            marker="o",
            markersize=3,
            linestyle="-" if line.curve.startswith("constant") or not line.curve else "--",
            label=line.curve or line.kind,
        )
    axis.set(title=panel.title, xlabel="kbps")
    axis.grid(alpha=0.3)
