"""examples/spectrogram.py runs as documented."""

import os
import subprocess
import sys
from pathlib import Path

import pairs
import pytest
import soundfile

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "spectrogram.py"


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_spectrogram_is_drawn(tmp_path):
    reference, decoded, sample_rate = pairs.sweep()
    soundfile.write(tmp_path / "original.wav", reference, sample_rate)
    soundfile.write(tmp_path / "decoded.flac", decoded[: sample_rate // 2], sample_rate)
    files = [tmp_path / "original.wav", tmp_path / "decoded.flac"]
    result = run(*files, "-o", tmp_path / "one.png", "--max-frequency", 9000)
    assert (result.returncode, result.stderr) == (0, "")
    from matplotlib.image import imread

    picture = imread(tmp_path / "one.png")
    assert picture.shape[0] > 400 and picture.shape[1] > 900 and picture[..., :3].std() > 0.1
    assert run(*files, "-o", tmp_path / "two.pdf", "--labels", "a").returncode == 2
    missing = run(tmp_path / "missing.wav", "-o", tmp_path / "three.png")
    assert missing.returncode == 3 and missing.stderr.count("\n") == 1 and "no such file" in missing.stderr
    assert not (tmp_path / "three.png").exists()
