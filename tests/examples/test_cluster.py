"""The scripts in examples/cluster, run as a cluster runs them, with small weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"
WEIGHTS = str(ROOT / "tests" / "golden" / "dac.safetensors")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with recordings, and a program `swc` that uses small weights."""
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).normal(0, 0.1, 1600)
        soundfile.write(f"in/{'sub/' * (number % 2)}{number}.wav", noise, 8000)
    Path("bin").mkdir()
    program = Path("bin/swc")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m switchcodec_cli "$@" --weights {WEIGHTS}\n')
    program.chmod(0o755)


def start(command, **variables):
    paths = {"PATH": f"{Path('bin').resolve()}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | paths | variables)


def check(processes, count):
    """Check that shards that ran at the same time encoded every file once."""
    for process in processes:
        _, messages = process.communicate(timeout=120)
        assert process.returncode == 0, messages
    parts = []
    for number in range(count):
        lines = Path(f"out/manifest-{number}.jsonl").read_text().splitlines()
        parts.append([json.loads(line)["output"] for line in lines])
    listed = [output for part in parts for output in part]
    assert all(parts) and len(listed) == len(set(listed)) == 6
    assert sorted(listed) == sorted(map(str, Path("out").rglob("*.swc")))
    audit = [sys.executable, "-m", "switchcodec_cli", "verify", "out", "--manifest", "out/manifest-*.jsonl"]
    result = subprocess.run([*audit, "--full"], capture_output=True, text=True)
    assert result.stdout == "6 recordings, 0 findings\n", result.stderr


def test_slurm_array(folder):
    command = ["sh", str(CLUSTER / "encode.sbatch"), "in", "out", "--effort", "0"]
    array = {"SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "2"}
    check([start(command, SLURM_ARRAY_TASK_ID=str(number), **array) for number in (5, 6)], 2)


def test_kubernetes_job(folder):
    yaml = pytest.importorskip("yaml")
    specification = yaml.safe_load((CLUSTER / "encode-job.yaml").read_text())["spec"]
    assert specification["completionMode"] == "Indexed"
    (container,) = specification["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert variables["SHARDS"] == str(specification["completions"])
    variables |= {"INPUT": "in", "OUTPUT": "out", "SHARDS": "2", "JOBS": "1", "EFFORT": "0"}
    indices = ("0", "1")
    check([start(container["command"], JOB_COMPLETION_INDEX=index, **variables) for index in indices], 2)
