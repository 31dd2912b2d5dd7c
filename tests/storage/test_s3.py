"""Recordings in a bucket."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile
from connections import forget_connections

NAMES = ("plain.wav", "with space.wav", "Übung.flac", "a#b.wav", "what?.wav", "100%.wav", "sub/deep [1].wav")


@pytest.fixture
def tree(bucket, audio) -> Path:
    """The same recordings in a bucket and in a local folder."""
    for seed, name in enumerate(NAMES):
        path = audio.record(Path("raw") / name, seed)
        bucket.put(f"raw/{name}", path.read_bytes())
    bucket.put("raw/", b"")  # a marker, as consoles make it for a folder
    bucket.put("raw/notes.txt", b"text")
    return Path("raw")


def files(folder: str) -> dict[str, bytes]:
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def objects(bucket, folder: str) -> dict[str, bytes]:
    keys = [key for key in bucket.names() if key.startswith(folder + "/")]
    return {key.removeprefix(folder + "/"): bucket.get(key) for key in keys}


def test_a_bucket_is_encoded_and_decoded_like_a_folder(swc, bucket, tree):
    swc("encode", "raw", "-o", "swc")
    swc("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc")
    assert objects(bucket, "swc") == files("swc")
    assert len(files("swc")) == len(NAMES)
    swc("verify", f"{bucket.url}/swc", "--quiet")
    assert swc("info", f"{bucket.url}/swc/a#b.swc").out.startswith(f"{bucket.url}/swc/a#b.swc\n")

    swc("decode", "swc", "-o", "audio", "--format", "flac")
    swc("decode", f"{bucket.url}/swc/", "-o", f"{bucket.url}/audio", "--format", "flac")
    assert objects(bucket, "audio") == files("audio")
    assert os.listdir("tmp") == []


def test_existing_outputs_are_kept_unless_forced(swc, bucket, audio):
    path = audio.record(Path("a.wav"))
    bucket.put("a.swc", b"precious")
    assert "exists already" in swc("encode", path, f"{bucket.url}/a.swc", code=2).err
    assert bucket.get("a.swc") == b"precious"
    swc("encode", path, f"{bucket.url}/a.swc", "--force")
    swc("encode", path, "a.swc")
    assert bucket.get("a.swc") == Path("a.swc").read_bytes()


def test_a_second_run_skips_what_is_done(swc, bucket, tree):
    swc("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc")
    before = [item["LastModified"] for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    again = swc("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc")
    assert f"{len(NAMES)} up to date" in again.err
    after = [item["LastModified"] for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    assert after == before


def test_patterns_and_names_that_look_like_patterns(swc, bucket, tree):
    swc("encode", f"{bucket.url}/raw/*.wav", "-o", "matches")
    assert sorted(files("matches")) == sorted(f"{Path(name).stem}.swc" for name in NAMES[:2] + NAMES[3:6])
    swc("encode", f"{bucket.url}/raw/what?.wav", "-o", "one.swc")
    assert Path("one.swc").read_bytes() == Path("matches/what?.swc").read_bytes()
    nothing = swc("encode", f"{bucket.url}/raw/*.mp3", "-o", "none", code=1)
    assert "no file matches this pattern" in nothing.err


def test_a_name_cannot_lead_out_of_the_output_folder(swc, bucket, audio):
    data = audio.record(Path("a.wav")).read_bytes()
    bucket.put("raw/ok.wav", data)
    bucket.client.put_object(Bucket=bucket.name, Key="raw/x//../../evil.wav", Body=data)
    os.mkdir("inner")
    swc("encode", f"{bucket.url}/raw", "-o", "inner/out")
    result = swc(
        "encode",
        f"{bucket.url}/raw/x//../../evil.wav",
        "--relative-to",
        f"{bucket.url}/raw",
        "-o",
        "inner/out",
        code=2,
    )
    assert "cannot be kept in an output folder" in result.err
    assert not list(Path().rglob("evil*"))
    assert Path("inner/out/ok.swc").exists()


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "aiff", "caf", "m4a"])
def test_every_format_is_read_by_ranges(swc, bucket, audio, suffix):
    if suffix == "m4a":
        if shutil.which("ffmpeg") is None:
            pytest.skip("needs ffmpeg")
        audio.record(Path("t.wav"), 1)
        path = Path("t.m4a")
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", "t.wav", path], check=True)
    else:
        path = audio.record(Path(f"t.{suffix}"), 1)
    bucket.put(path.name, path.read_bytes())
    swc("encode", path, "local.swc")
    swc("encode", f"{bucket.url}/{path.name}", "remote.swc")
    assert Path("remote.swc").read_bytes() == Path("local.swc").read_bytes()


def test_stereo_tags_and_average_rate_need_several_passes(swc, bucket, audio):
    path = audio.record(Path("t.wav"), 1, 2.5, channels=2)
    with soundfile.SoundFile("t.ogg", "w", 16000, 2, format="OGG") as file:
        file.title = "Übung"
        file.write(soundfile.read(path)[0])
    bucket.put("t.ogg", Path("t.ogg").read_bytes())
    swc("encode", "t.ogg", "local.swc", "--abr", "3")
    swc("encode", f"{bucket.url}/t.ogg", f"{bucket.url}/t.swc", "--abr", "3")
    assert bucket.get("t.swc") == Path("local.swc").read_bytes()
    assert "Übung" in swc("info", f"{bucket.url}/t.swc").out


def test_inputs_are_deleted_on_request(swc, bucket, audio):
    bucket.put("raw/a.wav", audio.record(Path("a.wav")).read_bytes())
    swc("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc", "--delete-input")
    assert bucket.names() == ["swc/a.swc"]


def test_relative_to_a_folder_in_the_bucket(swc, bucket, tree):
    url = f"{bucket.url}/raw/sub/deep [1].wav"
    swc("encode", url, "--relative-to", f"{bucket.url}/raw", "-o", "out")
    assert list(files("out")) == ["sub/deep [1].swc"]
    outside = swc("encode", url, "--relative-to", f"{bucket.url}/other", "-o", "out", code=2)
    assert "no such folder" in outside.err


def test_errors_are_one_line(swc, bucket, audio, monkeypatch):
    path = audio.record(Path("a.wav"))
    missing = f"{bucket.url}/none.wav"
    assert f"{missing}: no such file or folder" in swc("encode", missing, "out.swc", code=3).err
    assert "no such bucket" in swc("encode", "s3://no-such-bucket/a.wav", "out.swc", code=3).err
    assert "no such bucket" in swc("encode", path, "s3://no-such-bucket/a.swc", code=None).err
    assert "no such bucket" in swc("info", "s3://no-such-bucket/a.swc", code=3).err
    assert "not supported" in swc("info", "ftp://host/a.swc", code=2).err
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_connections()
    assert "cannot connect to the server" in swc("verify", f"{bucket.url}/a.swc", code=3).err
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", os.getcwd())
    forget_connections()
    assert "no credentials were found" in swc("verify", f"{bucket.url}/a.swc", code=3).err
