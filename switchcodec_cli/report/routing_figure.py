"""The routing of a stream as a figure; needs matplotlib."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..atomic_io import atomic_path
from ..errors import UsageError

if TYPE_CHECKING:
    from ..bitstream import Summary

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: str, force: bool = False) -> None:
    """Raises UsageError where a figure cannot be drawn or not be called `path`."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("plots need matplotlib: pip install 'switchcodec-cli[plot]'")
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: plots are written as {', '.join(SUFFIXES)}")
    if os.path.exists(path) and not force:
        raise UsageError(f"{path}: exists already (use --force to overwrite it)")


def plot_routing(summary: Summary, title: str, path: str, force: bool = False) -> None:
    """Draw experts per window, which they are, and the rate of each window, over time.

    Raises:
        UsageError: matplotlib is not installed, or the name does not do.
        SwcError: the file cannot be written.
    """
    check_plot(path, force)
    from matplotlib.figure import Figure

    header, parameters = summary.header, summary.header.parameters
    edges = np.arange(summary.windows + 1) * parameters.window_seconds
    edges[-1] = max(edges[-1] if not summary.windows else edges[-2], min(edges[-1], summary.seconds))
    figure = Figure(figsize=(11, 2.2 + 2.2 * header.signals), layout="constrained")
    axes = figure.subplots(header.signals + 2, 1, sharex=True, squeeze=False).ravel()
    axes[0].set(title=title, ylabel="experts", ylim=(0, parameters.experts + 0.5))
    names = ("mid", "side") if header.channel_coding.name == "MID_SIDE" else ("left", "right")
    for signal in range(header.signals):
        name = names[signal] if header.signals == 2 else "routing"
        count = summary.masks[:, signal].sum(axis=1)
        axes[0].stairs(count, edges, label=name, baseline=None)
        axis = axes[1 + signal]
        if summary.windows:
            rows = np.arange(parameters.experts + 1) - 0.5
            axis.pcolormesh(edges, rows, summary.masks[:, signal].T, cmap="Blues", vmin=0, vmax=1.3)
        axis.set(ylabel=f"{name}\nexpert")
    if header.signals == 2:
        axes[0].legend(loc="upper right")
    lengths = np.maximum(np.diff(edges), 1e-9)
    kbps = 8e-3 * summary.window_bytes / lengths
    axes[-1].stairs(kbps, edges, baseline=None)
    axes[-1].set(xlabel="seconds", ylabel="kbps", ylim=(0, None))
    with atomic_path(path, force) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lower()[1:], dpi=120)
