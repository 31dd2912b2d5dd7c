"""Uploads that end in the middle: nothing appears under the final name."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from connections import GOLDEN, forget_connections

from switchcodec_cli.storage import atomic_output

ROOT = Path(__file__).parents[2]
SIZES = {"in one request": 6 << 20, "in parts": 24 << 20}
UPLOAD = """
import sys
from switchcodec_cli.storage import atomic_output
with atomic_output(sys.argv[1]) as file:
    file.write(bytes(int(sys.argv[2])))
"""


class Relay:
    """Forwards TCP connections to a server until so many bytes were sent, and then stalls."""

    def __init__(self, host: str, port: int, limit: int) -> None:
        self._target, self._left, self._lock = (host, port), limit, threading.Lock()
        self.stalled, self._released = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._released.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_limited: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if is_limited:
                    with self._lock:
                        self._left -= len(data)
                    if self._left < 0:
                        self.stalled.set()
                        self._released.wait()
                        break
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()


@pytest.fixture
def relay():
    """Make a relay to a port of this machine."""
    relays = []

    def make(port: int, limit: int) -> Relay:
        relays.append(Relay("127.0.0.1", port, limit))
        return relays[-1]

    yield make
    for each in relays:
        each.close()


def start(*command: object, **environment: str) -> subprocess.Popen:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": os.path.abspath("tmp")} | environment
    return subprocess.Popen(
        [sys.executable, *map(str, command)], env=variables, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_killed_during_an_upload_to_s3(bucket, relay, size):
    gate = relay(int(bucket.endpoint.rpartition(":")[2]), size - (2 << 20))
    process = start(
        "-c", UPLOAD, f"{bucket.url}/a.swc", size, AWS_ENDPOINT_URL=f"http://127.0.0.1:{gate.port}"
    )
    assert gate.stalled.wait(60), process.communicate()
    process.kill()
    process.communicate()
    gate.close()
    assert bucket.names() == []


def test_terminated_during_an_upload_to_s3(bucket, relay, audio):
    audio.record(Path("a.wav"), seconds=60)
    gate = relay(int(bucket.endpoint.rpartition(":")[2]), 2000)
    process = start(
        *("-m", "switchcodec_cli", "encode", "a.wav", f"{bucket.url}/a.swc"),
        *("--weights", GOLDEN, "--effort", "0", "--experts", "8"),
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{gate.port}",
    )
    assert gate.stalled.wait(60), process.communicate()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.decode().strip()) == (143, "swc: terminated")
    assert os.listdir("tmp") == []
    gate.close()
    assert bucket.names() == []


def test_killed_during_an_upload_by_sftp(sftp, ssh_home, relay, monkeypatch):
    config = (ssh_home / ".ssh/config").read_text()
    port = config.partition("Port ")[2].split()[0]
    size = SIZES["in one request"]
    gate = relay(int(port), size - (2 << 20))
    home = Path("home/.ssh")
    home.mkdir(parents=True)
    (home / "config").write_text(config.replace(f"Port {port}", f"Port {gate.port}"))
    known = (ssh_home / ".ssh/known_hosts").read_text()
    (home / "known_hosts").write_text(known.replace(f":{port}", f":{gate.port}"))
    process = start("-c", UPLOAD, f"{sftp.url}/a.swc", size, HOME=os.path.abspath("home"))
    assert gate.stalled.wait(60), process.communicate()
    process.kill()
    process.communicate()
    left = os.listdir(sftp.folder)
    assert len(left) == 1 and left[0].startswith(".a.swc.") and left[0].endswith(".part")


@pytest.mark.parametrize("server", ["bucket", "sftp"])
def test_an_exception_before_the_end_leaves_nothing(server, request):
    place = request.getfixturevalue(server)
    with pytest.raises(RuntimeError), atomic_output(f"{place.url}/a.swc") as file:
        file.write(bytes(12 << 20))
        raise RuntimeError
    if server == "bucket":
        assert (place.names(), place.uploads()) == ([], [])
    else:
        assert os.listdir(place.folder) == []
    assert os.listdir("tmp") == []


def test_a_failing_upload_in_parts_is_aborted(bucket, relay, monkeypatch):
    import s3fs

    from switchcodec_cli.errors import SwcError

    gate = relay(int(bucket.endpoint.rpartition(":")[2]), 18 << 20)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{gate.port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget_connections()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    threading.Thread(target=lambda: (gate.stalled.wait(60), gate.close()), daemon=True).start()
    with pytest.raises(SwcError, match="cannot write"), atomic_output(f"{bucket.url}/a.swc") as file:
        file.write(bytes(24 << 20))
    assert bucket.names() == []
