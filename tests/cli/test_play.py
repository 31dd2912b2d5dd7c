"""`swc play`, into a file or a pipe through a virtual sound device of ALSA."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE

PATIENCE = 60  # seconds
ROOT = Path(__file__).parents[2]


def virtual_device(target: Path) -> dict[str, str]:
    """An environment in which the default sound device writes floats into a file."""
    configuration = target.with_suffix(".asoundrc")
    configuration.write_text(
        f'pcm.!default {{ type file slave.pcm {{ type null }} file "{target}" format raw }}\n'
    )
    return os.environ | {"ALSA_CONFIG_PATH": str(configuration), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def device(tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("sounddevice", reason="playing needs sounddevice and PortAudio", exc_type=ImportError)
    environment = virtual_device(tmp_path / "heard.raw")
    query = "import sounddevice; sounddevice.query_devices(kind='output')"
    found = subprocess.run([sys.executable, "-c", query], env=environment, capture_output=True)
    if found.returncode:
        pytest.skip("there is no PortAudio with ALSA, for a virtual sound device")
    return environment


def test_what_arrives_is_what_decode_writes(swc, process, stream, weights, device, tmp_path) -> None:
    Path("a.swc").write_bytes(stream)
    command = ["play", "a.swc", "--start", "0:01.5", "--weights", weights]
    played = process(*command, env=device, stdin=subprocess.DEVNULL)
    out, err = played.communicate(timeout=PATIENCE)
    assert (played.returncode, out, err) == (0, b"", b"")
    swc("decode", "a.swc", "a.wav", "--start", "1.5", "--subtype", "FLOAT")
    expected = soundfile.read("a.wav", dtype="float32")[0]
    heard = np.fromfile(tmp_path / "heard.raw", np.float32).reshape(-1, 2)
    assert np.array_equal(heard[: len(expected)], expected)
    assert not heard[len(expected) :].any()  # silence up to the size of the device's buffer


def test_damage_is_reported(process, stream, weights, device, tmp_path) -> None:
    damaged = bytearray(stream)
    damaged[len(stream) // 2] ^= 1
    Path("a.swc").write_bytes(damaged)
    for options, code, message in [
        ((), 3, b"swc: error: window 2 at 1.997 s is damaged"),
        (["--conceal"], 0, b"swc: a.swc: window 2 at 1.997 s is damaged"),
    ]:
        played = process("play", "a.swc", "--weights", weights, *options, env=device)
        _, err = played.communicate(timeout=PATIENCE)
        assert played.returncode == code and err.startswith(message) and err.count(b"\n") == 1, err
    assert (tmp_path / "heard.raw").stat().st_size >= 4.2 * RATE * 8 - 8


def test_without_a_sound_device_a_pipe_is_named(process, stream, weights, device, tmp_path) -> None:
    Path("a b.swc").write_bytes(stream)
    Path("none.asoundrc").write_text("pcm.!default { type hw card 31 }\n")
    environment = device | {"ALSA_CONFIG_PATH": str(tmp_path / "none.asoundrc")}
    played = process("play", "a b.swc", "--weights", weights, env=environment)
    out, err = played.communicate(timeout=PATIENCE)
    assert (played.returncode, out) == (5, b"")
    assert err.startswith(b"swc: error: no sound device can be used") and err.count(b"\n") == 1
    assert b"swc decode 'a b.swc' - | aplay (or ffplay" in err


def test_without_sounddevice_a_pipe_and_the_extra_are_named(swc, stream, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    Path("a.swc").write_bytes(stream)
    error = swc("play", "a.swc", code=2).err
    assert "switchcodec-cli[play]" in error and "swc decode a.swc - | aplay" in error


def test_impossible_requests(swc, stream) -> None:
    Path("a.swc").write_bytes(stream)
    Path("bad.wav").write_bytes(b"not audio")
    assert "the stream ends at 4.200 s" in swc("play", "a.swc", "--start", "5", code=2).err
    assert "swc decode - - | aplay" in swc("play", "-", code=2).err
    swc("play", "none.swc", code=3)
    swc("play", "a.swc", "--compare", "bad.wav", code=3)
    assert "is not a time" in swc("play", "a.swc", "--start", "soon", code=2).err


class Terminal:
    """`swc play` in a pseudo terminal, with a sound device that is as fast as this process reads it."""

    def __init__(self, environment: dict[str, str], heard: Path, arguments: list[str]) -> None:
        os.mkfifo(heard)
        self.heard = os.open(heard, os.O_RDONLY | os.O_NONBLOCK)
        self.screen, self.slave = pty.openpty()
        self.settings = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "switchcodec_cli", "play", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environment | {"TERM": "xterm", "COLUMNS": "200"},
        )
        self.text = ""
        self.samples = 0

    def line(self) -> str:
        """The last line shown that has a position."""
        lines = re.findall(r"\d+:\d\d\.\d / 0:04\.2[^\r\n\x1b]*", self.text)
        return lines[-1] if lines else ""

    def position(self) -> float:
        minutes, seconds = self.line().split(" /")[0].split(":")
        return 60 * int(minutes) + float(seconds)

    def until(self, condition, listen: bool = True) -> None:
        """Read what is shown, and what is heard if `listen`, until a condition holds."""
        limit = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < limit, self.text[-500:]
            files = [self.screen, self.heard] if listen else [self.screen]
            for file in select.select(files, [], [], 0.05)[0]:
                data = os.read(file, 4096)
                if file == self.screen:
                    self.text += data.decode()
                else:
                    self.samples += len(data) // 8

    def press(self, keys: bytes) -> None:
        os.write(self.screen, keys)

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        if not self.is_over():
            self.process.kill()
            self.process.wait()
        for file in (self.heard, self.screen, self.slave):
            os.close(file)


@pytest.fixture
def terminal(device, stream, weights, tmp_path):
    Path("a.swc").write_bytes(stream)
    soundfile.write("original.wav", np.zeros((RATE, 1)), RATE)
    arguments = ["a.swc", "--compare", "original.wav", "--weights", str(weights)]
    terminal = Terminal(virtual_device(tmp_path / "pipe.raw"), tmp_path / "pipe.raw", arguments)
    yield terminal
    terminal.close()


def test_keys(terminal) -> None:
    terminal.until(lambda: terminal.samples > RATE // 2)
    terminal.press(b" ")
    terminal.until(lambda: "paused" in terminal.line())
    assert "a.swc" in terminal.line()
    assert 0.4 < terminal.position() < 2.5  # it is ahead by the pipe and the device's buffer only
    terminal.press(b"\x1b[C\x1b[D\t")  # to the end, and 5 seconds back
    terminal.until(lambda: "original.wav" in terminal.line() and terminal.position() == 0)
    assert "paused" in terminal.line()
    terminal.press(b"\t \x1bOA")  # on, from the end
    terminal.until(terminal.is_over)
    assert terminal.process.returncode == 0
    assert termios.tcgetattr(terminal.slave) == terminal.settings


def test_q_ends(terminal) -> None:
    terminal.until(lambda: terminal.samples > 0)
    assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO
    terminal.press(b"q")
    terminal.until(terminal.is_over)
    assert terminal.process.returncode == 0 and terminal.samples < 3 * RATE
    assert termios.tcgetattr(terminal.slave) == terminal.settings


def test_interrupt_restores_the_terminal(terminal) -> None:
    terminal.until(lambda: terminal.samples > 0)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until(terminal.is_over)
    terminal.until(lambda: "swc: interrupted" in terminal.text)
    assert terminal.process.returncode == 130 and "Traceback" not in terminal.text
    assert termios.tcgetattr(terminal.slave) == terminal.settings
