"""From arguments to jobs."""

import os
from pathlib import Path

import pytest

from switchcodec_cli.batch.plan import STREAM_SUFFIXES, Conversion, Job, find_inputs, plan_jobs, split_output
from switchcodec_cli.errors import BadInputError, UsageError

ENCODE = Conversion(frozenset({".wav", ".flac"}), STREAM_SUFFIXES, ".swc")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run every test in a folder with some files."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/sub/b.FLAC", "in/sub/notes.txt", "in/.hidden/c.wav", "other/a.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_files_in_folders():
    inputs = find_inputs(["in"], ENCODE.input_suffixes)
    assert [(file.path, file.relative_path) for file in inputs.files] == [
        ("in/a.wav", "a.wav"),
        ("in/sub/b.FLAC", "sub/b.FLAC"),
    ]
    assert inputs.rejected == []
    several = find_inputs(["in", "other/"], ENCODE.input_suffixes)
    assert [file.relative_path for file in several.files] == ["in/a.wav", "in/sub/b.FLAC", "other/a.wav"]


def test_glob_patterns():
    inputs = find_inputs(["in/**/*.[wF]*"], ENCODE.input_suffixes)
    assert [file.relative_path for file in inputs.files] == ["a.wav", "sub/b.FLAC"]
    folders = find_inputs(["i*"], ENCODE.input_suffixes)
    assert [file.relative_path for file in folders.files] == ["in/a.wav", "in/sub/b.FLAC"]


def test_arguments_without_files_are_rejected():
    os.mkdir("empty")
    inputs = find_inputs(["missing.wav", "empty", "*.mp3", "in/a.wav"], ENCODE.input_suffixes)
    assert [file.path for file in inputs.files] == ["in/a.wav"]
    assert [rejected.source for rejected in inputs.rejected] == ["missing.wav", "empty", "*.mp3"]
    assert all(isinstance(rejected.error, BadInputError) for rejected in inputs.rejected)


def test_split_output():
    assert split_output(["a.wav", "b.SWC"], None, ENCODE) == (["a.wav"], "b.SWC")
    assert split_output(["a.wav", "-"], None, ENCODE) == (["a.wav"], "-")
    assert split_output(["a.wav", "in/a.wav"], None, ENCODE) == (["a.wav", "in/a.wav"], None)
    assert split_output(["a.wav", "b.swc"], "c", ENCODE) == (["a.wav", "b.swc"], "c")
    assert split_output(["a.wav", "b.wav", "other"], None, ENCODE) == (["a.wav", "b.wav"], "other")
    assert split_output(["a.wav", "b.wav", "missing.wav"], None, ENCODE)[1] is None
    assert split_output(["a.wav", "*.wav"], None, ENCODE) == (["a.wav", "*.wav"], None)


def test_outputs_of_jobs():
    assert plan_jobs(["in/a.wav"], None, ENCODE).jobs == [Job("in/a.wav", "in/a.swc")]
    assert plan_jobs(["in/a.wav"], "b.swc", ENCODE).jobs == [Job("in/a.wav", "b.swc")]
    assert plan_jobs(["in/a.wav", "b.swc"], None, ENCODE).jobs == [Job("in/a.wav", "b.swc")]
    assert plan_jobs(["in/a.wav"], "out/", ENCODE).jobs == [Job("in/a.wav", "out/a.swc", True)]
    assert plan_jobs(["-"], None, ENCODE).jobs == [Job("-", "-")]
    assert [job.output for job in plan_jobs(["in"], "out", ENCODE).jobs] == ["out/a.swc", "out/sub/b.swc"]


def test_single_files():
    assert plan_jobs(["in/a.wav"], None, ENCODE).is_single
    assert plan_jobs(["missing.wav"], None, ENCODE).is_single
    assert not plan_jobs(["in"], None, ENCODE).is_single
    assert not plan_jobs(["in/*.wav"], None, ENCODE).is_single
    with pytest.raises(BadInputError, match="no such file"):
        plan_jobs(["missing.wav"], None, ENCODE).check(force=False)
    Path("in/a.swc").touch()
    plan_jobs(["in/a.wav"], None, ENCODE).check(force=True)
    with pytest.raises(UsageError, match="exists already"):
        plan_jobs(["in/a.wav"], None, ENCODE).check(force=False)


@pytest.mark.parametrize(
    ("arguments", "output", "message"),
    [
        (["in/a.wav"], "", "empty"),
        (["in/a.wav"], "out", "write out/"),
        (["in"], "out.swc", "need an output folder.*write out.swc/"),
        (["in"], "-", "need an output folder"),
        (["-", "in/a.wav"], "out/", "one of several inputs"),
        (["-"], "out/", "name of an output file"),
    ],
)
def test_contradicting_arguments_are_refused(arguments, output, message):
    with pytest.raises(UsageError, match=message):
        plan_jobs(arguments, output, ENCODE)


def test_outputs_that_collide_are_rejected():
    Path("in/a.flac").touch()
    plan = plan_jobs(["in"], None, ENCODE)
    assert [job.source for job in plan.jobs] == ["in/a.flac", "in/sub/b.FLAC"]
    (rejected,) = plan.rejected
    assert rejected.source == "in/a.wav" and "also that of in/a.flac" in str(rejected.error)
    (rejected,) = plan_jobs(["in/a.wav"], "in/a.wav", ENCODE).rejected
    assert "would replace an input" in str(rejected.error)
