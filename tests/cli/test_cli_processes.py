"""Tests that need processes of their own: pipes, signals, and imported modules."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOADED_MODULES = """
import sys
from switchcodec_cli.cli import cli
heavy = ("torch", "rich", "soundfile", "soxr", "scipy", "numpy")
for words in {calls!r}:
    assert cli.main(words, standalone_mode=False) == 0, words
print("loaded:", *[name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("calls", "allowed"),
    [
        ([["--help"], ["--version"], ["encode", "--help"], ["completion", "zsh"]], ""),
        ([["info", "a.swc", "--windows"], ["verify", "a.swc"], ["weights", "show", "WEIGHTS"]], "numpy"),
    ],
)
def test_imports_of_light_commands(stream, weights, calls, allowed):
    Path("a.swc").write_bytes(stream)
    calls = [[str(weights) if word == "WEIGHTS" else word for word in words] for words in calls]
    folder = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", LOADED_MODULES.format(calls=calls)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": folder},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split() == ["loaded:", *allowed.split()]


def test_pipeline_whose_reader_exits_early(process, files, weights, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # with which writes to a pipe may be incomplete
    path = files.write("a.wav", 6.0, 2)
    with open(path, "rb") as audio:
        encoder = process("encode", "-", "-", "--kbps", "8", "--weights", weights, stdin=audio)
        decoder = process("decode", "-", "-", "--weights", weights, stdin=encoder.stdout)
        encoder.stdout.close()
        start = decoder.stdout.read(1000)
        decoder.stdout.close()  # like `head -c 1000`
        assert start[:4] == b"RIFF" and len(start) == 1000
        messages = decoder.stderr.read() + encoder.stderr.read()
        assert decoder.wait(60) == 141, messages
        assert encoder.wait(60) in (0, 141)
    assert b"Traceback" not in messages and b"error" not in messages and b"ignored" not in messages


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output_is_reported_in_one_line(process, stream):
    Path("a.swc").write_bytes(stream)
    with open("/dev/full", "wb") as full:
        _, messages = (run := process("info", "a.swc", stdout=full)).communicate(timeout=60)
    assert run.returncode == 1 and messages == b"swc: error: no space left on device\n"


def wave_of_unknown_length() -> bytes:
    """A WAV header without a length, and 30 seconds of audio."""
    riff = b"RIFF" + b"\xff" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    return riff + b"data" + b"\xff" * 4 + bytes(range(250)) * 128 * 30


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")]
)
def test_signal_during_encoding_leaves_no_file(process, weights, number, code, word):
    encoder = process("encode", "-", "a.swc", "--weights", weights, stdin=subprocess.PIPE)
    encoder.stdin.write(wave_of_unknown_length())
    encoder.stdin.flush()
    deadline = time.monotonic() + 60
    while not any(Path(".").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [path.suffix for path in Path(".").iterdir()] == [".part"]
    encoder.send_signal(number)
    _, messages = encoder.communicate(timeout=60)
    assert encoder.returncode == code
    assert messages == b"swc: " + word + b"\n"
    assert not list(Path(".").iterdir())
