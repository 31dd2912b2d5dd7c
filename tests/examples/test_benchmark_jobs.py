"""The example benchmark_jobs.py, with small weights and short files."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmark_of_jobs():
    weights = str(ROOT / "tests" / "golden" / "spectral.safetensors")
    words = ["--efforts", "0", "--lengths", "0.2", "--seconds", "1", "--no-decoding", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "benchmark_jobs.py"), *words, "--weights", weights],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    (row,) = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    name, length, count, command, *_ = (cell.strip() for cell in row)
    assert (name, length, count) == ("encode, effort 0", "0.2 s", "5") and float(command) > 0
