"""Encoding and decoding of several files: outputs, skipped files, errors, and full disks."""

import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.api import Codec


def tree(folder="."):
    """Relative paths of all files in a folder."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def recordings(files):
    files.write("in/a.wav", 0.4)
    files.write("in/sub/b.flac", 0.4, 2)
    files.write("in/sub/deep/C.WAV", 0.4)
    files.write("in/.hidden/d.wav", 0.1)
    files.write("in/sub/._b.wav", 0.1)
    Path("in/notes.txt").write_text("not audio")


def test_folder_trees_are_mirrored(swc, recordings):
    before = {name: Path("in", name).read_bytes() for name in tree("in")}
    records = swc("encode", "in", "-o", "out", "--json").records
    assert tree("out") == ["a.swc", "sub/b.swc", "sub/deep/C.swc"]
    assert [record["status"] for record in records] == ["encoded"] * 3
    result = swc("decode", "out", "-o", "back/", "--format", "flac")
    assert tree("back") == ["a.flac", "sub/b.flac", "sub/deep/C.flac"]
    assert "3 decoded: 1.20 s of audio" in result.err
    assert {name: Path("in", name).read_bytes() for name in tree("in")} == before


def test_model_is_loaded_once(swc, recordings, monkeypatch):
    loads, load = [], Codec.load
    monkeypatch.setattr(Codec, "load", lambda *arguments: loads.append(1) or load(*arguments))
    swc("encode", "in", "-o", "out")
    assert len(loads) == 1


def test_errors_are_reported_and_other_files_encoded(swc, recordings):
    Path("in/sub/bad.wav").write_bytes(b"RIFF without anything else")
    shutil.copy("in/a.wav", "in/sub/cut.wav")
    os.truncate("in/sub/cut.wav", 20000)
    result = swc("encode", "in", "-o", "out", "--json", code=1)
    assert tree("out") == ["a.swc", "sub/b.swc", "sub/deep/C.swc"]
    errors = [line for line in result.err.splitlines() if line.startswith("swc: error: ")]
    assert len(errors) == 2 and "in/sub/bad.wav" in errors[0] and "in/sub/cut.wav" in errors[1]
    assert [record["exit_code"] for record in result.records if record["status"] == "failed"] == [3, 3]
    assert "3 encoded, 2 failed" in result.err


def test_files_that_are_up_to_date_are_skipped(swc, recordings):
    swc("encode", "in", "-o", "out")
    os.remove("out/sub/b.swc")
    kept = Path("out/a.swc").stat().st_mtime_ns
    result = swc("encode", "in", "-o", "out", "--json")
    statuses = {record["output"]: record["status"] for record in result.records}
    assert statuses == {
        "out/a.swc": "skipped",
        "out/sub/b.swc": "encoded",
        "out/sub/deep/C.swc": "skipped",
    }
    assert "1 encoded, 2 up to date" in result.err
    assert Path("out/a.swc").stat().st_mtime_ns == kept
    swc("decode", "out", "-o", "back")
    os.remove("back/a.wav")
    result = swc("decode", "out", "-o", "back", "--json")
    assert [record["status"] for record in result.records] == ["decoded", "skipped", "skipped"]


def test_existing_outputs_that_differ_are_errors(swc, files):
    files.write("in/a.wav", 0.4)
    swc("encode", "in")
    assert "other settings" in swc("encode", "in", "--kbps", "8", code=1).err
    assert "other settings" in swc("encode", "in", "--tag", "a=b", code=1).err
    assert "channels 1 instead of 2" in swc("encode", "in", "--channels", "stereo", code=1).err
    first = Path("in/a.swc").read_bytes()
    Path("in/a.swc").write_bytes(first[:-1])
    assert "damaged" in swc("encode", "in", code=1).err
    assert Path("in/a.swc").read_bytes() == first[:-1]
    swc("encode", "in", "--force")
    assert Path("in/a.swc").read_bytes() == first
    os.utime("in/a.swc", (1, 1))
    assert "older" in swc("encode", "in", code=1).err
    files.write("in/a.wav", 0.5)
    assert "other audio" in swc("encode", "in", code=1).err
    Path("in/a.wav").write_text("not audio")
    assert "not readable" in swc("decode", "in", code=1).err


def test_existing_output_is_overwritten_only_with_force(swc, files, stream):
    files.write("a.wav", 0.2)
    Path("a.swc").write_bytes(stream)
    assert "a.swc: exists already (use --force" in swc("encode", "a.wav", code=2).err
    assert "a.wav: exists already" in swc("decode", "a.swc", code=2).err
    assert Path("a.swc").read_bytes() == stream
    swc("encode", "a.wav", "--force")
    assert Path("a.swc").read_bytes() != stream


def test_output_never_replaces_an_input(swc, files):
    files.write("a.wav", 0.2)
    before = Path("a.wav").read_bytes()
    os.rename("a.wav", "a.swc")
    assert "replace an input" in swc("encode", "a.swc", "--force", code=2).err
    os.link("a.swc", "b.swc")
    assert "replace an input" in swc("encode", "a.swc", "b.swc", "--force", code=2).err
    assert Path("a.swc").read_bytes() == before


def test_inputs_with_the_same_output(swc, files):
    files.write("in/a.wav", 0.2)
    files.write("in/a.flac", 0.2)
    result = swc("encode", "in", code=1)
    assert "in/a.wav: its output in/a.swc is also that of in/a.flac" in result.err
    assert Path("in/a.swc").exists()


def test_several_folders_keep_their_names(swc, files):
    files.write("x/a.wav", 0.2)
    files.write("y/a.wav", 0.2)
    files.write("single.wav", 0.2)
    swc("encode", "x", "y/", "single.wav", "-o", "out")
    assert tree("out") == ["single.swc", "x/a.swc", "y/a.swc"]


def test_glob_patterns(swc, files):
    files.write("x/one/a1.wav", 0.2)
    files.write("x/two/a2.wav", 0.2)
    files.write("x/two/b.wav", 0.2)
    swc("encode", "x/**/a*.wav", "-o", "out")
    assert tree("out") == ["one/a1.swc", "two/a2.swc"]
    assert "matches" in swc("encode", "x/*.mp3", code=1).err
    files.write("take [1].wav", 0.2)
    swc("encode", "take [1].wav")
    assert Path("take [1].swc").exists()


def test_output_paths(swc, files):
    files.write("a.wav", 0.2)
    files.write("b.wav", 0.2)
    assert "write there/" in swc("encode", "a.wav", "-o", "there", code=2).err
    assert "folder" in swc("encode", "a.wav", "b.wav", "-o", "one.swc", code=2).err
    assert "folder" in swc("encode", "a.wav", "b.wav", "-o", "-", code=2).err
    assert "name of the output" in swc("encode", "a.wav", "-o", "", code=2).err
    assert "several inputs" in swc("encode", "-", "b.wav", "-o", "out/", code=2).err
    assert "no such file" in swc("encode", "a.wav", "-o", "missing/a.swc", code=1).err
    swc("encode", "a.wav", "-o", "there/")
    swc("encode", "b.wav", "-o", "there")
    assert tree("there") == ["a.swc", "b.swc"]


def test_missing_and_empty_inputs(swc, files):
    files.write("a.wav", 0.2)
    assert "nothing.wav: no such file" in swc("encode", "nothing.wav", code=3).err
    assert "nothing.wav" in swc("encode", "nothing.wav", "a.wav", code=1).err
    assert Path("a.swc").exists()
    os.mkdir("empty")
    assert "no audio file" in swc("encode", "empty", code=1).err
    assert "no .swc file" in swc("verify", "empty", code=3).err
    Path("void.wav").touch()
    assert "void.wav: the file is empty" in swc("encode", "void.wav", code=3).err
    assert not Path("void.swc").exists()


def test_missing_permissions(swc, files):
    files.write("a.wav", 0.2).chmod(0)
    if os.access("a.wav", os.R_OK):
        pytest.skip("this user may read all files")
    assert "permission" in swc("encode", "a.wav", code=3).err
    files.write("b.wav", 0.2)
    os.mkdir("closed", 0o500)
    assert "permission" in swc("encode", "b.wav", "-o", "closed/", code=1).err
    assert tree("closed") == []


def test_full_disk(swc, files, stream):
    files.write("a.wav", 2.0)
    Path("a.swc").write_bytes(stream)
    for words in (("encode", "a.wav", "-o"), ("decode", "a.swc", "-o")):
        if Path("/dev/full").exists():
            options = () if words[0] == "encode" else ("--format", "wav")
            result = swc(*words, "/dev/full", *options, code=1)
            assert "no space left on device" in result.err and result.err.count("\n") == 1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        wave = swc("decode", "a.swc", "big.wav", code=1)
        flac = swc("decode", "a.swc", "big.flac", code=1)
        batch = swc("decode", "a.swc", "b.swc", "-o", "out/", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "big.wav: cannot write" in wave.err and "big.flac: cannot write" in flac.err
    assert batch.err.count("swc: error") == 2
    assert tree() == ["a.swc", "a.wav"]


def test_mp3_with_an_understated_length_is_read_to_its_end(swc, files):
    files.write("a.mp3", 3.0)
    whole = len(soundfile.read("a.mp3")[0])
    data = bytearray(Path("a.mp3").read_bytes())
    xing = max(data.find(b"Xing"), data.find(b"Info"))
    assert xing > 0 and data[xing + 7] & 1
    frames = int.from_bytes(data[xing + 8 : xing + 12], "big")
    data[xing + 8 : xing + 12] = (frames // 2).to_bytes(4, "big")
    Path("a.mp3").write_bytes(data)
    record = swc("encode", "a.mp3", "--json").records[0]
    read = record["seconds"] * record["sample_rate"]
    assert read <= whole
    swc("verify", "a.swc")
    swc("decode", "a.swc", "b.wav")
    assert soundfile.info("b.wav").frames == read


def test_file_names_that_are_not_valid_text(swc, files):
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        files.write("plain.wav", 0.2).rename(name)
    except OSError:
        pytest.skip("this file system requires names in UTF-8")
    swc("encode", name, "--json")
    assert Path(os.fsdecode(b"caf\xe9.swc")).exists()
    Path("a\x1b[31m.swc").write_bytes(b"bad")
    result = swc("verify", "a\x1b[31m.swc", code=3)
    assert "\x1b" not in result.out + result.err


def test_wav_with_a_placeholder_size_is_read_to_its_end(swc, files):
    data = bytearray(files.write("a.wav", 1.0).read_bytes())
    at = data.find(b"data") + 4
    data[at : at + 4] = b"\xff" * 4
    swc("encode", "-", "b.swc", input=bytes(data))
    swc("decode", "b.swc", "b.wav")
    assert np.array_equal(soundfile.read("b.wav")[0].shape, (44100,))
