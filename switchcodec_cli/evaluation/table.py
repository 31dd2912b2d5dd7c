"""Scores in tables and in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

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


def values_for_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, in mappings within them likewise, with None for numbers that are not finite."""
    return {name: _value_for_json(value) for name, value in values.items()}


def _value_for_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return values_for_json(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
