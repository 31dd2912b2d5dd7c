"""The option --jobs of `encode` and `decode`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULES = """
import sys
from switchcodec_cli.cli import cli
if __name__ == "__main__":
    code = cli.main(sys.argv[1:], standalone_mode=False)
    print(code, "torch" in sys.modules)
"""


@pytest.fixture
def run(weights):
    """Run a command with two jobs in a process; returns its messages, and whether it loaded torch."""
    Path("run.py").write_text(MODULES)

    def run(*arguments, code=0, jobs=("--jobs", "2")):
        command = [sys.executable, "run.py", *map(str, arguments), "--weights", weights, *jobs]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        found, has_torch = result.stdout.split()
        assert int(found) == code, result.stderr
        return result.stderr.splitlines(), has_torch == "True"

    return run


def test_outputs_do_not_depend_on_the_number_of_jobs(swc, run, files):
    lengths = {"a": 2.5, "b": 0.3, "c": 1.2}
    names = [str(files.write(f"{name}.wav", seconds)) for name, seconds in lengths.items()]
    Path("d.wav").write_text("no audio")
    for effort, rate in ((0, "--kbps"), (2, "--abr")):
        one, two, options = f"one{effort}", f"two{effort}", (rate, 2, "--effort", effort)
        swc("encode", *names, "-o", one, *options)
        lines, has_torch = run("encode", *names, "d.wav", "-o", two, *options, code=1)
        lines = [line for line in lines if "kbps, more than" not in line]  # short for an average rate
        assert [line.split(" -> ")[0] for line in lines[:3]] == names
        assert lines[3].startswith("swc: error: d.wav: ") and lines[4].startswith("3 encoded, 1 failed: ")
        assert not has_torch  # which only the workers need
        for name in ("a.swc", "b.swc", "c.swc"):
            assert Path(two, name).read_bytes() == Path(one, name).read_bytes()
        assert len(list(Path(two).iterdir())) == 3
    lines, has_torch = run("encode", *names, "-o", two, *options)
    assert lines[-1] == "0 encoded, 3 up to date" and not has_torch

    swc("decode", one, "-o", "wav1")
    assert not run("decode", one, "-o", "wav2")[1]
    for name in names:
        assert Path("wav2", name).read_bytes() == Path("wav1", name).read_bytes()


def test_as_many_jobs_as_cores_where_that_is_faster(run, files, monkeypatch):
    names = [str(files.write(f"{name}.wav", 1)) for name in "abcdef"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    lines, has_torch = run("encode", *names, "-o", "out", "--effort", 3, "--device", "cpu", jobs=())
    assert lines[-1].startswith("6 encoded: ") and not has_torch  # which only the workers need


def test_number_of_jobs_is_positive(swc):
    assert "--jobs" in swc("encode", "a.wav", "--jobs", 0, code=2).err
    assert "--jobs" in swc("decode", "a.swc", "--jobs", -1, code=2).err


def test_interruption_leaves_no_file_of_any_job(process, files, weights):
    for name in "ab":
        files.write(f"in/{name}.wav", 100)
    command = ("encode", "in", "-o", "out", "--effort", 3, "--jobs", 2, "--weights", weights)
    encoder = process(*command, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(Path("out").glob(".*.part"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(Path("out").iterdir())) == 2
    os.killpg(encoder.pid, signal.SIGINT)  # to the workers, too, as a terminal does
    _, messages = encoder.communicate(timeout=60)
    assert encoder.returncode == 130
    assert messages.startswith(b"swc: interrupted: 0 of 2 files are done; ") and messages.count(b"\n") == 1
    assert not list(Path("out").iterdir())
