"""Scores in tables and in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_COLUMNS = 10  # metrics in a table


def table_parts(metrics: Sequence[str]) -> list[Sequence[str]]:
    """Metrics in parts that fit beside each other."""
    return [metrics[start : start + _COLUMNS] for start in range(0, len(metrics), _COLUMNS)] or [metrics]


def score_cell(value: float, decimals: int) -> str:
    """A score as text."""
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def missing_caption(missing: Sequence[str]) -> str | None:
    """The line below a table that names the metrics whose packages are not installed."""
    return f"not installed: {', '.join(missing)}" if missing else None


def scores_for_json(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Scores by name, with None for those that are not finite."""
    return {name: score if math.isfinite(score) else None for name, score in scores.items()}
