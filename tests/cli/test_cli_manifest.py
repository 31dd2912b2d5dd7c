"""Manifests: written by `encode` and `decode`, compared with the outputs by `verify`."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

SHORT = ("--effort", 0)


def rows_of(path):
    """The rows of a manifest by the name of their sources, each of which may occur once."""
    if str(path).endswith(".parquet"):
        records = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    else:
        records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    rows = {Path(record["source"]).name: record for record in records}
    assert len(rows) == len(records)
    return rows


@pytest.fixture
def folder(files):
    """Two recordings, and a file that is none."""
    files.write("in/a.wav", 1.2)
    files.write("in/b.wav", 0.4, channels=2)
    Path("in/c.wav").write_text("no audio")


@pytest.mark.parametrize("manifest", ["m.jsonl", "m.parquet"])
def test_row_of_every_recording(swc, folder, files, manifest):
    if manifest.endswith("parquet"):
        pytest.importorskip("pyarrow")
    command = ("encode", "in", "-o", "out", "--manifest", manifest, *SHORT)
    swc(*command, code=1)
    rows = rows_of(manifest)
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.wav": "encoded",
        "b.wav": "encoded",
        "c.wav": "failed",
    }
    row, data = rows["a.wav"], Path("out/a.swc").read_bytes()
    assert (row["samples"], row["sample_rate"], row["channels"]) == (52920, 44100, 1)
    assert row["output_digest"] == hashlib.blake2b(data, digest_size=16).hexdigest()
    assert (row["output_bytes"], row["source_bytes"]) == (len(data), Path("in/a.wav").stat().st_size)
    assert row["kbps"] == pytest.approx(8e-3 * len(data) / 1.2)
    assert row["elapsed"] > 0 and row["error"] is None
    (info,) = swc("info", "out/a.swc", "--json").records
    assert row["fingerprint"] == info["weights"]
    assert "c.wav" in rows["c.wav"]["error"] and rows["c.wav"]["output_digest"] is None

    # what is done is skipped without reading it, what failed is tried again
    times = os.stat("in/a.wav")
    Path("in/a.wav").write_bytes(bytes(times.st_size))
    os.utime("in/a.wav", ns=(times.st_atime_ns, times.st_mtime_ns))
    files.write("in/c.wav", 0.3)
    assert "1 encoded, 2 up to date" in swc(*command).err
    again = rows_of(manifest)
    assert again["a.wav"] == row and again["c.wav"]["status"] == "encoded"


def test_changed_output_is_compared_with_its_source(swc, folder):
    Path("in/c.wav").unlink()
    command = ("encode", "in", "-o", "out", "--manifest", "m.jsonl", *SHORT)
    swc(*command)
    Path("out/a.swc").write_bytes(Path("out/a.swc").read_bytes()[:-1])
    assert "is damaged" in swc(*command, code=1).err
    assert rows_of("m.jsonl")["a.wav"]["status"] == "failed"
    swc(*command, "--update")
    assert rows_of("m.jsonl")["a.wav"]["status"] == "encoded"
    assert "was made with other settings" in swc(*command, "--kbps", 8, code=1).err


def test_outputs_without_rows_get_them(swc, folder):
    swc("encode", "in", "-o", "out", *SHORT, code=1)
    swc("encode", "in", "-o", "out", *SHORT, "--manifest", "new.jsonl", code=1)
    swc("encode", "in", "-o", "out", *SHORT, "--manifest", "forced.jsonl", "--force", code=1)
    new, forced = rows_of("new.jsonl"), rows_of("forced.jsonl")
    for name in ("a.wav", "b.wav"):
        assert new[name] | {"elapsed": 0} == forced[name] | {"elapsed": 0}
    swc("decode", "out", "-o", "wav", "--manifest", "decoded.jsonl")
    swc("decode", "out", "-o", "wav", "--manifest", "found.jsonl")
    for name, row in rows_of("decoded.jsonl").items():
        assert row["status"] == "decoded" and row["elapsed"] > 0
        assert rows_of("found.jsonl")[name] == row | {"elapsed": None}


def test_interruption_leaves_a_valid_manifest(process, swc, files, weights):
    files.write("in/a.wav", 0.5)
    files.write("in/b.wav", 100)
    command = ("encode", "in", "-o", "out", "--manifest", "m.jsonl", "--effort", 3)
    encoder = process(*command, "--weights", weights, "--jobs", 2)
    deadline = time.monotonic() + 60
    while not (Path("m.jsonl").exists() and Path("m.jsonl").read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    encoder.send_signal(signal.SIGKILL)
    encoder.communicate(timeout=60)
    assert list(rows_of("m.jsonl")) == ["a.wav"]
    with open("m.jsonl", "a") as file:
        file.write('{"source": "in/b.w')  # as a power failure might leave it
    files.write("in/b.wav", 0.5)
    assert "1 encoded, 1 up to date" in swc(*command).err
    assert len(rows_of("m.jsonl")) == 2


def test_shards_write_their_own_manifests(swc, folder):
    for number in range(2):
        shard = ("--shard", f"{number}/2", "--manifest", "m-{shard}.jsonl")
        swc("encode", "in", "-o", "out", *SHORT, *shard, code=None)
    swc("encode", "in", "-o", "other", *SHORT, "--shard", "0/1", code=1)
    verified = [swc("verify", "other", "--shard", f"{number}/2", code=None).out for number in range(2)]
    assert sorted("".join(verified).splitlines()) == sorted(swc("verify", "other").out.splitlines())
    same = ("--shard", "0/2", "--manifest", "m.jsonl")
    assert "must contain {shard}" in swc("encode", "in", "-o", "out", *same, code=2).err
    outcome = swc("verify", "out", "--manifest", "m-*.jsonl", code=1)
    assert outcome.out.splitlines()[-1] == "3 recordings, 1 findings" and "c.wav: failed: " in outcome.out


def test_wrong_manifests(swc, folder):
    assert ".parquet or .jsonl" in swc("encode", "in", "--manifest", "m.csv", code=2).err
    assert "needs files" in swc("encode", "-", "a.swc", "--manifest", "m.jsonl", code=2).err
    Path("m.jsonl").write_text('{"source": "a"}\n')
    assert "not a manifest" in swc("encode", "in", "--manifest", "m.jsonl", code=3).err
    assert "not a manifest" in swc("verify", "--manifest", "m.jsonl", code=3).err
    Path("m.jsonl").write_text("no JSON\n{}\n")
    assert "line 1 is not JSON" in swc("verify", "--manifest", "m.jsonl", code=3).err
    assert "no such manifest" in swc("verify", "--manifest", "none-*.jsonl", code=3).err
    assert "--full goes with --manifest" in swc("verify", "in", "--full", code=2).err


def test_audit_finds_every_kind_of_difference(swc, files):
    for name in "abcdef":
        files.write(f"in/{name}.wav", 0.4)
    swc("encode", "in", "-o", "out", "--manifest", "m.jsonl", *SHORT)
    assert swc("verify", "out", "--manifest", "m.jsonl", "--full").out == "6 recordings, 0 findings\n"
    Path("out/a.swc").unlink()
    Path("out/b.swc").write_bytes(Path("out/b.swc").read_bytes()[:-9])
    for name, position in (("c", -1), ("d", 60)):  # in the trailer, and in the packet
        data = bytearray(Path(f"out/{name}.swc").read_bytes())
        data[position if position < 0 else len(data) // 2] ^= 1
        Path(f"out/{name}.swc").write_bytes(data)
    Path("out/new.swc").write_bytes(Path("out/e.swc").read_bytes())
    swc("encode", "in/f.wav", "other.swc", *SHORT, "--tag", "a=b")  # a sound stream of another size
    Path("out/f.swc").write_bytes(Path("other.swc").read_bytes())

    def kinds(*options):
        records = swc("verify", "out", "--manifest", "m.jsonl", "--json", *options, code=1).records
        return {Path(record["file"]).stem: record["kind"] for record in records}

    found = {"a": "missing", "b": "changed", "c": "damaged", "f": "changed", "new": "unlisted"}
    assert kinds() == found
    assert kinds("--full") == found | {"d": "damaged"}
    Path("m2.jsonl").write_text(Path("m.jsonl").read_text().splitlines()[4] + "\n")
    repeated = swc("verify", "--manifest", "m.jsonl", "--manifest", "m2.jsonl", code=1).out
    assert "in/e.wav: repeated: m2.jsonl lists it" in repeated


def test_audit_of_decoded_audio(swc, files):
    for name in "ab":
        files.write(f"in/{name}.wav", 0.4)
    swc("encode", "in", "-o", "out", *SHORT)
    swc("decode", "out", "-o", "wav", "--manifest", "m.jsonl")
    assert swc("verify", "--manifest", "m.jsonl", "--full").code == 0
    data = Path("wav/a.wav").read_bytes()
    Path("wav/a.wav").write_bytes(data[:-2] + b"xy")
    assert swc("verify", "--manifest", "m.jsonl").code == 0
    assert "wav/a.wav: changed" in swc("verify", "--manifest", "m.jsonl", "--full", code=1).out
