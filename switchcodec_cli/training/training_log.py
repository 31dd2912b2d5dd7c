"""The log of a run: a CSV file that grows by a row every few hundred steps."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path


class TrainingLog:
    """Appends rows to a CSV file; a header precedes the first row and every row with other columns."""

    def __init__(self, path: Path):
        self.path = path
        self.columns: list[str] = []
        path.touch()

    def write(self, row: Mapping[str, float]) -> None:
        """Append a row."""
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if self.columns != list(row):
                self.columns = list(row)
                writer.writeheader()
            writer.writerow(row)


class StepTimer:
    """Measures the time of a step, averaged since the last reading."""

    def __init__(self, step: int):
        self.step, self.time = step, time.monotonic()

    def milliseconds_per_step(self, step: int) -> float:
        """Mean since the last call, or since the start."""
        now = time.monotonic()
        mean = 1000 * (now - self.time) / (step - self.step)
        self.step, self.time = step, now
        return mean
