"""The example benchmark.py, with small weights and one second of audio."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmark():
    weights = ROOT / "tests" / "golden" / "spectral.safetensors"
    words = ["--minutes", "0.02", "--threads", "1", "--kbps", "4", "--no-peers", "--weights", str(weights)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "benchmark.py"), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    cells = {row[0].strip(): [float(cell) for cell in row[1:]] for row in rows}
    assert len(cells) == 5
    for name in ("swc, effort 0", "swc, default effort"):
        encode, _, encode_memory, decode, _, decode_memory = cells[name]
        assert encode > 0 and decode > 0
        assert 20 < encode_memory < 2000 and 20 < decode_memory < 2000
    assert cells["swc, effort 0"][1] == cells["swc, effort 0"][4] == 1
    assert 0 < cells["swc --help"][0] < cells["swc encode, one second of audio"][0]
