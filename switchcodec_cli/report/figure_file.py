"""Writing figures; requires matplotlib."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic_io import atomic_path
from ..errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def check_figure_path(path: str | os.PathLike[str], force: bool = False) -> None:
    """Check that a figure can be written to a path.

    Raises:
        UsageError: the suffix is not supported, the file exists and `force` is false, or matplotlib is not
            installed.
    """
    if Path(path).suffix.lower() not in FIGURE_SUFFIXES:
        raise UsageError(f"{path}: figures are written as .png, .svg or .pdf")
    if os.path.exists(path) and not force:
        raise UsageError(f"{path}: exists already (use --force to overwrite it)")
    new_figure()


def import_matplotlib() -> Any:
    """The package `matplotlib`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise UsageError("figures need matplotlib: pip install 'switchcodec-cli[plot]'") from None
    return matplotlib


def new_figure(width: float = 6.4, height: float = 4.8, layout: str | None = "constrained") -> Figure:
    """An empty figure of a size in inches.

    Raises:
        UsageError: matplotlib is not installed.
    """
    figure: Figure = import_matplotlib().figure.Figure(figsize=(width, height), layout=layout)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], force: bool = False) -> None:
    """Write a figure in the format of the suffix.

    Raises:
        UsageError: see `check_figure_path`.
        SwcError: the file cannot be written.
    """
    check_figure_path(path, force)
    with atomic_path(path, force) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lower()[1:], dpi=120)
