"""Servers on the loopback: S3, SFTP by OpenSSH, and HTTP with ranges."""

from __future__ import annotations

import functools
import getpass
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from connections import GOLDEN, forget_connections

RATE = 16000
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, which also takes the temporary files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


def sound(seed: int, seconds: float = 0.3, channels: int = 1) -> np.ndarray:
    """Noise that is different for every seed. # (frames, channels)"""
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))


def record(path: Path, seed: int = 0, seconds: float = 0.3, **options: Any) -> Path:
    """Write noise to a local file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seed, seconds, options.pop("channels", 1)), RATE, **options)
    return path


@pytest.fixture
def audio() -> SimpleNamespace:
    return SimpleNamespace(record=record)


@pytest.fixture(scope="session")
def swc():
    """Call a command in this process with the golden weights."""
    from click.testing import CliRunner

    from switchcodec_cli.cli import cli

    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # from click 8.2 on they are always separate
        runner = CliRunner()

    def run(*arguments: object, code: int | None = 0) -> SimpleNamespace:
        words = [str(argument) for argument in arguments]
        if words[0] in ("encode", "decode"):
            words += ["--weights", str(GOLDEN)] + (["--effort", "0"] if words[0] == "encode" else [])
        result = runner.invoke(cli, words)
        outcome = SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)
        assert code in (None, result.exit_code), (result.stderr, result.stdout, result.exception)
        assert "Traceback" not in result.stderr
        return outcome

    return run


@dataclass
class Bucket:
    """A bucket of the S3 server."""

    client: Any
    name: str
    endpoint: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def names(self) -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def uploads(self) -> list[str]:
        """Keys of the uploads in parts that are not complete."""
        return [
            item["Key"] for item in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        ]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server."""
    pytest.importorskip("s3fs", reason="needs s3fs, of the extra remote")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_server, monkeypatch) -> None:
    """Credentials and the address of the server, where the library looks for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_connections()


@pytest.fixture
def bucket(s3_server, s3_environment, request) -> Bucket:
    """A new bucket."""
    import boto3

    client = boto3.client("s3")
    name = f"b{abs(hash(request.node.nodeid))}"
    client.create_bucket(Bucket=name)
    return Bucket(client, name, s3_server)


@pytest.fixture(scope="session")
def ssh_home(tmp_path_factory) -> Iterator[Path]:
    """A home folder whose SSH configuration names a running server `loopback`."""
    pytest.importorskip("paramiko", reason="needs paramiko, of the extra remote")
    if SSHD is None:
        pytest.skip("needs the SSH server of OpenSSH (apt install openssh-server)")
    home = tmp_path_factory.mktemp("home")
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "PermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    (folder / "config").write_text(
        f"Host loopback\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder}/user\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # its folder for privilege separation
    with open(home / "sshd.log", "wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
        try:
            wait_for_port(port, home / "sshd.log")
            yield home
        finally:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port: int, log: Path) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the SSH server does not start: {log.read_text()}")


@pytest.fixture
def sftp(ssh_home, tmp_path, monkeypatch) -> SimpleNamespace:
    """A folder on the SFTP server: its URL, and its path on this machine."""
    monkeypatch.setenv("HOME", str(ssh_home))
    folder = tmp_path / "on the server"
    folder.mkdir()
    return SimpleNamespace(url=f"sftp://loopback{folder}", folder=folder)


@dataclass
class WebServer:
    """An HTTP server for a folder."""

    url: str
    folder: Path
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Method and range of each request."""
    has_ranges: bool = True
    fails_after: int | None = None
    """Position behind which ranges are refused."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and parts of them."""

    server_state: WebServer

    def do_GET(self) -> None:
        state, wanted = self.server_state, self.headers.get("Range")
        state.requests.append(("GET", wanted))
        path = Path(self.translate_path(self.path))
        if wanted is None or not state.has_ranges or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data)) + 1, len(data))
        if state.fails_after is not None and stop > state.fails_after:
            self.send_error(500)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(data[start:stop])

    def end_headers(self) -> None:
        if self.server_state.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path) -> Iterator[WebServer]:
    """An HTTP server that honours ranges."""
    pytest.importorskip("fsspec", reason="needs fsspec, of the extra remote")
    pytest.importorskip("aiohttp", reason="needs aiohttp, of the extra remote")
    folder = tmp_path / "www"
    folder.mkdir()
    state = WebServer("", folder)
    handler = type("Handler", (_Handler,), {"server_state": state})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
