"""SFTP with the settings of OpenSSH: hosts, keys and known hosts as `ssh` knows them."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from ..errors import UsageError

_ANSWER_SECONDS = 60
_KEEP_ALIVE_SECONDS = 30  # connections are idle during the encoding of long files


class SshConfigFileSystem(SFTPFileSystem):  # type: ignore[misc]  # fsspec has no type information
    """SFTP to a server that OpenSSH knows.

    User, port, host name and key come from `~/.ssh/config` where the URL does not say them. The key of the
    server must be in `~/.ssh/known_hosts`: fsspec would accept any.
    """

    def _connect(self) -> None:
        client = paramiko.SSHClient()
        client.load_system_host_keys()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(self.host, **self.ssh_kwargs)
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(_KEEP_ALIVE_SECONDS)
        self.client, self.ftp = client, client.open_sftp()
        self.set_timeout(_ANSWER_SECONDS)

    def set_timeout(self, seconds: float) -> None:
        """Set how long to wait for an answer of the server."""
        channel = self.ftp.get_channel()
        assert channel is not None
        channel.settimeout(seconds)

    @property
    def is_connected(self) -> bool:
        """Whether the server is still there, as far as is known."""
        transport = self.client.get_transport()
        return transport is not None and transport.is_active()


_connections: dict[tuple[str, int], SshConfigFileSystem] = {}  # by server and process


def connect(host: str) -> SshConfigFileSystem:
    """Connect to [USER@]HOST[:PORT]; a connection of this process is used again.

    Raises:
        UsageError: there is no such port, or a password is given.
        paramiko.SSHException: the server or the user is not accepted.
        OSError: the server cannot be reached.
    """
    key = host, os.getpid()
    connection = _connections.get(key)
    if connection is None or not connection.is_connected:
        connection = _connections[key] = _connect(host)
    return connection


def _connect(host: str) -> SshConfigFileSystem:
    parts = urlsplit(f"//{host}")
    if parts.password is not None:
        raise UsageError("passwords in URLs are not supported; use a key, or an SSH agent")
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"sftp://{host}: not a port") from None
    name = parts.hostname or ""
    known = _config().lookup(name)
    options: dict[str, Any] = {"port": int(port or known.get("port", 22))}
    user = parts.username or known.get("user")
    if user is not None:
        options["username"] = user
    if "identityfile" in known:
        options["key_filename"] = known["identityfile"]
    return SshConfigFileSystem(known.get("hostname", name), skip_instance_cache=True, **options)


def _config() -> paramiko.SSHConfig:
    path = os.path.expanduser("~/.ssh/config")
    return paramiko.SSHConfig.from_path(path) if os.path.isfile(path) else paramiko.SSHConfig()
