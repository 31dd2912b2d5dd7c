"""Atomic output files."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from switchcodec_cli.atomic_io import PendingFile, atomic_output, same_file
from switchcodec_cli.errors import SwcError, UsageError


def test_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "out.swc"
    with atomic_output(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.seek(0)
        file.write(b"w")
    assert path.read_bytes() == b"walf" and os.listdir(tmp_path) == ["out.swc"]


def test_permissions_are_the_usual_ones(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_output(tmp_path / "new") as file:
        file.write(b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o604)
    with atomic_output(tmp_path / "new", force=True) as file:
        file.write(b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_output(tmp_path / "link", force=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert same_file(tmp_path / "link", tmp_path / "real") and not same_file(
        tmp_path / "link", tmp_path / "no"
    )


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs /dev/null")
def test_device_is_written_and_not_replaced():
    with atomic_output("/dev/null") as file:
        file.write(b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_invalid_outputs_are_refused(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"old")
    for output, kind in [
        (path, UsageError),
        (tmp_path, UsageError),
        ("", UsageError),
        (tmp_path / "a" / "b", SwcError),
    ]:
        with pytest.raises(kind), atomic_output(output):
            pytest.fail("the block must not run")
    other = tmp_path / "late"
    with pytest.raises(UsageError, match="meanwhile"), atomic_output(other) as file:
        file.write(b"mine")
        other.write_bytes(b"theirs")
    assert other.read_bytes() == b"theirs" and sorted(os.listdir(tmp_path)) == ["late", "out"]


def test_error_in_the_block_is_raised_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_output(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()
    assert os.listdir(tmp_path) == []


def test_temporary_file_is_hidden_and_named_after_its_output(tmp_path):
    with atomic_output(tmp_path / "out.swc"):
        (name,) = os.listdir(tmp_path)
        assert name.startswith(".out.swc.") and name.endswith(".part")
    long = tmp_path / ("ä" * 120 + ".swc")  # 244 bytes
    with atomic_output(long) as file:
        file.write(b"x")
    assert long.read_bytes() == b"x" and len(os.listdir(tmp_path)) == 2


def test_new_file_never_replaces_one_that_appears_at_the_last_moment(tmp_path, monkeypatch):
    path = tmp_path / "out"
    pending = PendingFile(path)
    path.write_bytes(b"theirs")
    monkeypatch.setattr(Path, "exists", lambda self: False)  # it appears after this was asked
    with pytest.raises(UsageError, match="meanwhile"):
        pending.commit()
    pending.discard()
    assert path.read_bytes() == b"theirs" and os.listdir(tmp_path) == ["out"]


def test_temporary_file_is_removed_when_the_process_ends(tmp_path):
    program = (
        "import os, sys\n"
        "from switchcodec_cli.atomic_io import PendingFile\n"
        "pending = PendingFile(sys.argv[1])\n"
        "if os.fork() == 0:\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "assert pending.temporary.exists()\n"
        "raise KeyboardInterrupt\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", program, tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert b"KeyboardInterrupt" in result.stderr and b"AssertionError" not in result.stderr
    assert os.listdir(tmp_path) == []
