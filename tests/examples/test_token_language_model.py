"""The example token_language_model.py, with small weights and a few seconds of a synthetic voice."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "tests" / "golden" / "spectral.safetensors"
RATE = 16000


def write_voice(path: Path) -> None:
    """Syllables of harmonics, of two pitches in turn."""
    time = np.arange(20 * RATE) / RATE
    pitch = np.where(time % 0.5 < 0.25, 120.0, 180.0)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tones = sum(np.sin(order * phase) / order for order in range(1, 12))
    noise = np.random.default_rng(0).normal(0, 0.003, len(time))
    soundfile.write(path, 0.15 * tones * np.sin(4 * np.pi * time) ** 2 + noise, RATE)


def run(folder: Path, *words: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_token_language_model(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_voice(tmp_path / "voice.wav")
    words = ["tokens", "voice.wav", "-o", "voice.parquet", "--experts", "0", "--effort", "0"]
    run(tmp_path, "-m", "switchcodec_cli", *words, "--weights", WEIGHTS)
    words = ["--steps", "120", "--width", "32", "--seconds", "2", "--weights", WEIGHTS]
    out = run(tmp_path, ROOT / "examples" / "token_language_model.py", "voice.parquet", "out.wav", *words)
    bits, frequencies = re.search(
        r"held-out bits per token: ([\d.]+); by frequencies alone ([\d.]+)", out
    ).groups()
    assert float(bits) < 0.9 * float(frequencies), out[-1500:]
    pitch = re.search(r"held-out part: .* pitch (\d+) Hz", out).group(1)
    assert 90 < int(pitch) < 400 and "continuation:  level" in out
    info = soundfile.info(tmp_path / "out.wav")
    assert info.samplerate == RATE and info.duration == pytest.approx(4.0, abs=0.1)
