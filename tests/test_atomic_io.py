"""Atomic output files."""

import os
import stat

import pytest

from switchcodec_cli.atomic_io import atomic_output, same_file
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
