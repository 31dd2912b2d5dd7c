"""Recordings on a server with OpenSSH."""

import os
from pathlib import Path

import pytest

NAMES = ("plain.wav", "with space.wav", "Übung.flac", "a#b.wav", "what?.wav", "100%.wav", "sub/deep [1].wav")


@pytest.fixture
def tree(sftp, audio) -> Path:
    """Recordings on the server, with links and hidden files."""
    folder = sftp.folder / "raw"
    for seed, name in enumerate(NAMES):
        audio.record(folder / name, seed)
    audio.record(folder / ".hidden.wav")
    (folder / "link.wav").symlink_to("plain.wav")
    (folder / "loop").symlink_to(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_folder_on_a_server_is_encoded_and_decoded_like_a_local_one(swc, sftp, tree):
    swc("encode", tree, "-o", "swc")
    result = swc("encode", f"{sftp.url}/raw", "-o", f"{sftp.url}/new/swc")
    assert "loop: ignored, it is a link to a folder" in result.err
    assert contents(sftp.folder / "new/swc") == contents(Path("swc"))
    assert len(contents(Path("swc"))) == len(NAMES) + 1
    swc("verify", f"{sftp.url}/new/swc", "--quiet")

    swc("decode", "swc", "-o", "audio", "--format", "mp3")
    swc("decode", f"{sftp.url}/new/swc", "-o", f"{sftp.url}/audio", "--format", "mp3")
    assert contents(sftp.folder / "audio") == contents(Path("audio"))
    assert os.listdir("tmp") == []


def test_existing_outputs_are_kept_unless_forced(swc, sftp, audio):
    path = audio.record(Path("a.wav"))
    output = sftp.folder / "a.swc"
    output.write_bytes(b"precious")
    assert "exists already" in swc("encode", path, f"{sftp.url}/a.swc", code=2).err
    assert output.read_bytes() == b"precious"
    swc("encode", path, f"{sftp.url}/a.swc", "--force")
    swc("encode", path, "a.swc")
    assert output.read_bytes() == Path("a.swc").read_bytes()
    assert os.listdir(sftp.folder) == ["a.swc"]
    again = swc("encode", path, "-o", f"{sftp.url}/")
    assert "up to date" in again.err


def test_an_output_that_was_created_meanwhile_is_kept(sftp):
    from switchcodec_cli.errors import UsageError
    from switchcodec_cli.storage import atomic_output

    with (
        pytest.raises(UsageError, match="created by another process meanwhile"),
        atomic_output(f"{sftp.url}/a.swc") as file,
    ):
        file.write(b"mine")
        (sftp.folder / "a.swc").write_bytes(b"theirs")
    assert contents(sftp.folder) == {"a.swc": b"theirs"}


def test_errors_are_one_line(swc, sftp, ssh_home, audio, monkeypatch):
    path = audio.record(Path("a.wav"))
    missing = f"{sftp.url}/none.wav"
    assert f"{missing}: no such file or folder" in swc("encode", missing, "out.swc", code=3).err
    assert "no such file" in swc("encode", path, f"{sftp.url}/none/a.swc", code=1).err
    assert "cannot find the server" in swc("info", "sftp://host.invalid/a.swc", code=3).err
    assert "cannot connect to the server" in swc("info", "sftp://127.0.0.1:9/a.swc", code=3).err
    assert "passwords in URLs are not supported" in swc("info", "sftp://me:secret@loopback/a", code=2).err

    stranger = Path("home/.ssh")
    stranger.mkdir(parents=True)
    config = (ssh_home / ".ssh/config").read_text()
    (stranger / "config").write_text(config)
    monkeypatch.setenv("HOME", os.path.abspath("home"))
    host = "LOOPBACK".lower() + sftp.url.removeprefix("sftp://loopback")
    result = swc("info", f"sftp://nobody@{host}/a.swc", code=3)
    assert "known_hosts" in result.err
    (stranger / "known_hosts").write_text((ssh_home / ".ssh/known_hosts").read_text())
    assert "refuses the keys" in swc("info", f"sftp://nobody@{host}/a.swc", code=3).err
