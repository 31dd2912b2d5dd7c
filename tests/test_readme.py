"""The README's own commands run and do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str, heading: str) -> str:
    """All code blocks of a language below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the examples in it, and an environment in which `swc` is this package."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "speech.flac", folder / "examples")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    script = bin_folder / "swc"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m switchcodec_cli "$@"\n')
    script.chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    return folder, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def test_shell_examples(place: tuple[Path, dict[str, str]]) -> None:
    folder, environment = place
    script = "set -e\n" + blocks("sh", "Use") + blocks("sh", "Pipelines")
    assert script.count("swc ") >= 10
    done = subprocess.run(["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    original = soundfile.info(ROOT / "examples" / "speech.flac")
    for name in ("speech.wav", "again.wav", "restored/speech.flac"):
        decoded = soundfile.info(folder / name)
        assert (decoded.frames, decoded.samplerate) == (original.frames, original.samplerate), name
    assert soundfile.info(folder / "part.wav").frames == 2 * 44100
    assert (folder / "small.swc").stat().st_size < (folder / "speech.swc").stat().st_size
    assert (folder / "archive2" / "speech.swc").read_bytes() == (folder / "archive/speech.swc").read_bytes()


def test_python_example(place: tuple[Path, dict[str, str]]) -> None:
    folder, environment = place
    code = blocks("python", "Python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kbps" in done.stdout


def test_size_claim_for_an_hour() -> None:
    from switchcodec_cli.bitstream import StreamParameters, total_kbps

    kbps = total_kbps(StreamParameters(44100, 1024, 43, 8, 1024, 2), 2, 1)
    assert f"{kbps * 3600 / 8 / 1000:.1f} MB" in README


def test_rate_table_is_the_rate_arithmetic() -> None:
    from switchcodec_cli.bitstream import StreamParameters, nominal_kbps, total_kbps

    parameters = StreamParameters(44100, 1024, 43, 8, 1024, 2)
    for experts in (0, 2, 5, 8):
        row = f"| {nominal_kbps(parameters, 1 + experts):.2f} | {total_kbps(parameters, experts, 1):.3f} |"
        assert row in README, row
