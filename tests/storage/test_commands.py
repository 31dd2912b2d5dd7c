"""Manifests, tokens and transcoding with recordings in a bucket."""

import json
from pathlib import Path

import pytest
from connections import GOLDEN


@pytest.fixture
def streams(swc, bucket, audio) -> None:
    """Two recordings in the bucket, and streams of them."""
    for seed, name in enumerate(("a.wav", "sub/b.wav")):
        bucket.put(f"raw/{name}", audio.record(Path(name), seed).read_bytes())
    swc("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc", "--manifest", "rows.jsonl")


def test_a_manifest_lists_what_is_in_a_bucket(swc, bucket, streams):
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [row["output"] for row in rows] == [f"{bucket.url}/swc/{name}.swc" for name in ("a", "sub/b")]
    assert all(row["source_bytes"] and row["source_time_ns"] and row["output_digest"] for row in rows)

    arguments = ("encode", f"{bucket.url}/raw", "-o", f"{bucket.url}/swc", "--manifest", "rows.jsonl")
    assert "2 up to date" in swc(*arguments).err
    bucket.put("rows.jsonl", Path("rows.jsonl").read_bytes())
    audit = ("verify", f"{bucket.url}/swc", "--manifest", f"{bucket.url}/*.jsonl", "--full")
    assert swc(*audit).out == "2 recordings, 0 findings\n"
    bucket.put("swc/new.swc", b"")
    bucket.put("swc/a.swc", bucket.get("swc/sub/b.swc"))
    bucket.client.delete_object(Bucket=bucket.name, Key="swc/sub/b.swc")
    found = swc(*audit, code=1).out
    assert f"{bucket.url}/swc/a.swc: changed" in found
    assert f"{bucket.url}/swc/sub/b.swc: missing" in found
    assert f"{bucket.url}/swc/new.swc: unlisted" in found
    assert "1 encoded, 1 failed" in swc(*arguments, code=1).err  # a.swc is that of another recording


def test_manifests_and_data_sets_are_written_to_local_files(swc, bucket, streams):
    for arguments in (
        ("encode", "a.wav", "-o", "out/", "--manifest", f"{bucket.url}/rows.jsonl"),
        ("tokens", f"{bucket.url}/swc", "-o", f"{bucket.url}/all.parquet"),
    ):
        assert "written to local files only" in swc(*arguments, code=2).err
    assert not Path("out").exists()
    assert "no such manifest" in swc("verify", "--manifest", f"{bucket.url}/no.jsonl", code=3).err


def test_tokens_and_streams_of_them(swc, bucket, streams):
    weights = ("--weights", GOLDEN)
    swc("tokens", f"{bucket.url}/swc", "-o", f"{bucket.url}/npz", *weights)
    again = swc("tokens", f"{bucket.url}/swc", "-o", f"{bucket.url}/npz", *weights)
    assert "2 up to date" in again.err
    swc("tokens", f"{bucket.url}/raw", "-o", "set.tar", *weights, "--effort", "0")
    bucket.put("set.tar", Path("set.tar").read_bytes())
    for source, folder in ((f"{bucket.url}/npz", "from_npz"), (f"{bucket.url}/set.tar", "from_tar")):
        swc("tokens", "--to-swc", source, "-o", f"{bucket.url}/{folder}/", *weights)
        for name in ("a", "sub/b"):
            assert bucket.get(f"{folder}/{name}.swc") == bucket.get(f"swc/{name}.swc")


def test_transcoding(swc, bucket, streams):
    swc("transcode", f"{bucket.url}/swc/a.swc", f"{bucket.url}/low.swc", "--experts", "0")
    Path("a.swc").write_bytes(bucket.get("swc/a.swc"))
    swc("transcode", "a.swc", "low.swc", "--experts", "0")
    assert bucket.get("low.swc") == Path("low.swc").read_bytes()
    url = f"{bucket.url}/swc/a.swc"
    assert "replace it" in swc("transcode", url, url, "--force", "--experts", "0", code=2).err
