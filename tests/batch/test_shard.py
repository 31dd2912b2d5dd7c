"""Shards: which part of the inputs a process works on."""

import hashlib
import unicodedata
from pathlib import Path

import pytest

from switchcodec_cli.batch.plan import STREAM_SUFFIXES, Conversion, Selection, find_inputs, plan_jobs
from switchcodec_cli.batch.shard import Shard, path_number
from switchcodec_cli.errors import UsageError

ENCODE = Conversion(frozenset({".wav", ".flac"}), STREAM_SUFFIXES, ".swc")


def test_number_of_a_path_is_its_digest():
    digest = hashlib.blake2b("sub/é.wav".encode(), digest_size=8).digest()
    assert path_number("sub/é.wav") == int.from_bytes(digest, "big")
    assert path_number("./sub//é.wav") == path_number("sub/é.wav")
    assert path_number("a.wav") % 3 == 1  # fixed for ever: shards of one run may use different versions


def test_number_does_not_depend_on_the_normalisation_of_a_name():
    assert path_number(unicodedata.normalize("NFD", "é.wav")) == path_number("é.wav")
    assert path_number("\udcff.wav") >= 0  # a byte that is not UTF-8


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/0", "/", "0/2/3"])
def test_impossible_shards(text):
    with pytest.raises(UsageError, match="shard"):
        Shard.parse(text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    for number in range(20):
        Path(f"in/{number}.wav").touch()
        Path(f"in/sub/{number}.wav").touch()


def test_every_file_belongs_to_one_shard(folder):
    shards = [Shard(number, 3) for number in range(3)]
    plans = [plan_jobs(["in"], "out", ENCODE, Selection(shard=shard)) for shard in shards]
    parts = [{job.source for job in plan.jobs} for plan in plans]
    assert all(parts) and sum(map(len, parts)) == 40 and len(set().union(*parts)) == 40
    found = [find_inputs(["in"], ENCODE.input_suffixes).in_shard(shard) for shard in shards]
    assert [{file.path for file in files} for files in found] == parts


def test_shard_depends_on_the_path_below_the_root_only(folder):
    shard = Shard(0, 2)
    names = {job.output for job in plan_jobs(["in"], "out", ENCODE, Selection(shard=shard)).jobs}
    listed = tuple(str(path) for path in sorted(Path("in").resolve().rglob("*.wav")))
    selection = Selection(listed=listed, relative_to="in", shard=shard)
    assert {job.output for job in plan_jobs([], "out", ENCODE, selection).jobs} == names


def test_equal_outputs_of_different_shards_are_detected_once(folder):
    Path("in/1.flac").touch()
    plans = [plan_jobs(["in"], "out", ENCODE, Selection(shard=Shard(number, 2))) for number in range(2)]
    assert sum(len(plan.jobs) for plan in plans) == 40
    (rejected,) = [rejected for plan in plans for rejected in plan.rejected]
    assert "is also that of in/1.flac" in str(rejected.error)
