"""The routing of a stream as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .figure_file import new_figure, save_figure
from .routing_text import signal_names

if TYPE_CHECKING:
    from ..bitstream import Summary


def plot_routing(summary: Summary, title: str, path: str, force: bool = False) -> None:
    """Plot over time the number of experts, which experts are used, and the rate of each window.

    The rate of waveform layers is shown apart if there are any.

    Raises:
        UsageError: matplotlib is not installed, or the figure cannot be written to this path.
        SwcError: the file cannot be written.
    """
    header, experts = summary.header, summary.header.parameters.experts
    figure = new_figure(11, 2.2 + 2.2 * header.signals)
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots(header.signals + 2, 1, sharex=True, squeeze=False).ravel()
    count_axis, rate_axis = axes[0], axes[-1]
    edges = _window_edges(summary)
    for signal, name in enumerate(signal_names(header)):
        masks = summary.masks[:, signal]  # (windows, experts)
        count_axis.stairs(masks.sum(axis=1), edges, label=name, baseline=None)
        axis = axes[1 + signal]
        if summary.windows:
            rows = np.arange(experts + 1) - 0.5
            axis.pcolormesh(edges, rows, masks.T, cmap="Blues", vmin=0, vmax=1.3)
        axis.set(ylabel=f"{name or 'routing'}\nexpert")
    count_axis.set(title=title, ylabel="experts", ylim=(0, experts + 0.5))
    if header.signals == 2:
        count_axis.legend(loc="upper right")
    per_byte = 8e-3 / np.maximum(np.diff(edges), 1e-9)
    kbps = summary.window_bytes * per_byte
    rate_axis.stairs(kbps, edges, baseline=None, label="window")
    if header.waveform_layers:
        layers = summary.layer_bytes.sum(axis=1) * per_byte
        rate_axis.stairs(layers, edges, baseline=None, label="waveform layers")
        rate_axis.legend(loc="upper right")
    rate_axis.set(xlabel="seconds", ylabel="kbps", ylim=(0, _highest_rate(kbps)))
    for axis in axes[:-1]:
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    save_figure(figure, path, force)


def _highest_rate(kbps: np.ndarray) -> float:
    """Upper limit of the axis. The last window may be short, so that its rate is no guide."""
    full = kbps[:-1] if len(kbps) > 1 else kbps
    return 1.05 * float(full.max(initial=0)) or 1.0


def _window_edges(summary: Summary) -> np.ndarray:
    """Start of each window and end of the last one, in seconds. # (windows + 1,)"""
    edges = np.arange(summary.windows + 1) * summary.header.parameters.window_seconds
    if summary.windows:
        edges[-1] = max(edges[-2], min(edges[-1], summary.seconds))
    return edges
