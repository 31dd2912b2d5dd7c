"""The commands and the Python code in the README run, and its rates are those of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from switchcodec_cli.bitstream import StreamParameters, nominal_kbps, total_kbps

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
DEFAULT_PARAMETERS = StreamParameters(
    sample_rate=44100,
    hop=1024,
    frames_per_window=43,
    experts=8,
    codebook_size=1024,
    codebooks_per_quantizer=2,
)


def code_blocks(language: str, heading: str) -> str:
    """All code blocks of a language in a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the example audio, and an environment in which `swc` runs this package."""
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


def test_shell_examples(sandbox: tuple[Path, dict[str, str]]) -> None:
    folder, environment = sandbox
    headings = ("Use", "Pipelines", "Data sets and clusters")
    script = "set -e\n" + "".join(code_blocks("sh", heading) for heading in headings)
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


def test_python_example(sandbox: tuple[Path, dict[str, str]]) -> None:
    folder, environment = sandbox
    code = code_blocks("python", "Python API")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kbps" in done.stdout


def test_size_of_an_hour() -> None:
    kbps = total_kbps(DEFAULT_PARAMETERS, 2, 1)
    assert f"{kbps * 3600 / 8 / 1000:.1f} MB" in README


def test_table_of_rates() -> None:
    for experts in range(9):
        nominal = nominal_kbps(DEFAULT_PARAMETERS, 1 + experts)
        real = total_kbps(DEFAULT_PARAMETERS, experts, 1)
        window_bytes = round(real * 125 * DEFAULT_PARAMETERS.window_seconds)
        row = f"| {nominal:.2f} | {real:.3f} | {experts} | {window_bytes} | {real * 0.45:.2f} MB |"
        assert row in README, row
