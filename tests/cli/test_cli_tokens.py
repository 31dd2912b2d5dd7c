"""`swc tokens`: arrays of tokens from audio and from streams, data sets, and back."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from switchcodec_cli import Tokens
from switchcodec_cli.bitstream import StreamReader
from switchcodec_cli.tokens import from_record
from switchcodec_cli.tokens.dataset import DatasetWriter, open_dataset

pytest.importorskip("pyarrow")
GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "version_1_1").glob("*.swc"))
ROOT = Path(__file__).parents[2]


def tree(folder="."):
    """Relative paths of all files in a folder."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def archive(stream):
    """A folder of streams of one and two signals, with equal names in different folders, and their bytes."""
    streams = {"a.b.swc": stream, "sub/a.b.swc": GOLDEN[0].read_bytes(), "sub/c.swc": GOLDEN[2].read_bytes()}
    for name, data in streams.items():
        path = Path("archive", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return streams


@pytest.mark.parametrize("output", ["all.parquet", "all.tar", "npz/"])
def test_streams_come_back(swc, archive, output):
    assert "3 converted" in swc("tokens", "archive", "-o", output).err
    swc("tokens", "--to-swc", output.rstrip("/"), "-o", "back/")
    assert tree("back") == sorted(archive)
    assert {name: Path("back", name).read_bytes() for name in archive} == archive


@pytest.mark.parametrize("suffix", ["parquet", "tar"])
def test_shards(swc, archive, suffix):
    swc("tokens", "archive", "-o", f"all.{suffix}", "--shard-size", "2")
    names = [f"all-00000{number}.{suffix}" for number in (0, 1)]
    assert [name for name in tree() if name.startswith("all")] == names
    assert [len(open_dataset(name).paths) for name in names] == [2, 1]
    before = [Path(name).read_bytes() for name in names]
    assert (
        "exists already" in swc("tokens", "archive", "-o", f"all.{suffix}", "--shard-size", "3", code=2).err
    )
    assert [Path(name).read_bytes() for name in names] == before
    swc("tokens", "archive", "-o", f"all.{suffix}", "--shard-size", "3", "--force")
    assert [name for name in tree() if name.startswith("all")] == names[:1]
    swc("tokens", "--to-swc", names[0], "-o", "back/")
    assert tree("back") == sorted(archive)


def test_audio_gives_the_tokens_of_its_stream(swc, files):
    for channels in (1, 2):
        files.write(f"in/{channels}.wav", 1.4, channels)
    swc("encode", "in", "-o", "out", "--effort", "1", "--abr", "6")
    swc("tokens", "in", "-o", "npz/", "--effort", "1", "--abr", "6")
    swc("tokens", "in", "-o", "in.parquet", "--effort", "1", "--abr", "6", "--jobs", "2")
    swc("tokens", "--to-swc", "npz", "-o", "back1/")
    swc("tokens", "--to-swc", "in.parquet", "-o", "back2/")
    for name in ("1.swc", "2.swc"):
        assert Path("back1", name).read_bytes() == Path("out", name).read_bytes()
        assert Path("back2", name).read_bytes() == Path("out", name).read_bytes()


def test_npz_file_holds_plain_arrays(swc, stream):
    Path("a.swc").write_bytes(stream)
    swc("tokens", "a.swc", "-o", "a.npz")
    tokens = Tokens.from_stream(stream)
    with np.load("a.npz", allow_pickle=False) as arrays:
        assert (arrays["indices"] == tokens.indices).all()
        assert (arrays["masks"] == tokens.masks).all()
        assert arrays["tags"].tolist() == [["title", "A test"]]
        assert arrays["frame_rate"] == tokens.frame_rate
        assert from_record(arrays) == tokens


@pytest.fixture
def modelled(swc, files, modelled_weights):
    """A folder of entropy-coded streams, and their bytes."""
    for name, channels in (("a", 1), ("sub/b", 2)):
        files.write(f"audio/{name}.wav", 1.4, channels)
    swc("encode", "audio", "-o", "streams", "--effort", "0", "--weights", modelled_weights)
    streams = {name: Path("streams", name).read_bytes() for name in tree("streams")}
    assert all(StreamReader(io.BytesIO(data)).header.entropy_coded for data in streams.values())
    return streams


@pytest.mark.parametrize("output", ["all.parquet", "all.tar", "npz/"])
def test_entropy_coded_streams_come_back(swc, modelled, modelled_weights, output):
    words = ("--weights", modelled_weights, "--jobs", "1")
    swc("tokens", "streams", "-o", output, *words)
    swc("tokens", "--to-swc", output.rstrip("/"), "-o", "back/", *words)
    assert {name: Path("back", name).read_bytes() for name in tree("back")} == modelled
    again = swc("tokens", "--to-swc", output.rstrip("/"), "-o", "back/", *words).err
    assert "back/a.swc: up to date" in again and "back/sub/b.swc: up to date" in again


def test_entropy_coded_tokens_of_audio_in_processes(swc, modelled, modelled_weights):
    words = ("--weights", modelled_weights, "--jobs", "1")
    swc("tokens", "audio", "-o", "npz/", "--effort", "0", *words[:2], "--jobs", "2")
    swc("tokens", "--to-swc", "npz", "-o", "same/", *words)
    assert {name: Path("same", name).read_bytes() for name in tree("same")} == modelled
    assert "2 up to date" in swc("tokens", "audio", "-o", "npz/", "--effort", "0", *words).err


def test_missing_index_models_are_errors(swc, modelled, weights, modelled_weights):
    error = swc("tokens", "streams/a.swc", "-o", "a.npz", code=4).err
    assert error.count("\n") == 1 and "index model" in error and str(weights) in error
    error = swc("tokens", "streams/a.swc", "-o", "a.npz", own_weights=False, code=4).err
    assert "index model" in error and "give others by name or path" in error
    assert not Path("a.npz").exists()
    swc("tokens", "streams/a.swc", "-o", "a.npz", "--weights", modelled_weights)
    assert "index model" in swc("tokens", "--to-swc", "a.npz", "-o", "a.swc", code=4).err
    assert not Path("a.swc").exists()


def test_packaged_index_models_need_no_torch(modelled, modelled_weights):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from switchcodec_cli import Tokens\n"
        "from switchcodec_cli.model import weights_registry\n"
        f"weights_registry.weights_folder = lambda: Path({str(modelled_weights.parent)!r})\n"
        "tokens = Tokens.from_stream('streams/sub/b.swc')\n"
        "assert tokens.to_stream() == Path('streams/sub/b.swc').read_bytes()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_processes_share_the_recordings(swc, archive):
    for number in range(3):
        words = ("archive", "-o", "part-{shard}.tar", "--shard", f"{number}/3")
        swc("tokens", *words)
    parts = [open_dataset(path).paths for path in sorted(Path().glob("part-*.tar"))]
    assert sorted(path for part in parts for path in part) == sorted(archive) and len(parts) > 1
    swc("tokens", "archive", "-o", "all.parquet")
    for number in range(3):
        swc("tokens", "--to-swc", "all.parquet", "-o", f"back{number}/", "--shard", f"{number}/3")
    back = [tree(f"back{number}") if Path(f"back{number}").exists() else [] for number in range(3)]
    assert sorted(path for part in back for path in part) == sorted(archive) and max(map(len, back)) < 3
    words = ("archive", "-o", "all.tar", "--shard", "0/3")
    assert "data set must contain {shard}" in swc("tokens", *words, code=2).err


def test_manifests(swc, archive):
    words = ("tokens", "archive", "-o", "npz/", "--manifest", "m.jsonl")
    swc(*words)
    rows = {row["output"]: row for row in map(json.loads, Path("m.jsonl").read_text().splitlines())}
    assert {row["status"] for row in rows.values()} == {"tokens"} and len(rows) == 3
    row = rows["npz/a.b.npz"]
    assert row["samples"] == Tokens.from_stream(archive["a.b.swc"]).samples
    assert row["output_bytes"] == Path("npz/a.b.npz").stat().st_size
    assert "3 up to date" in swc(*words).err
    assert swc("verify", "--manifest", "m.jsonl", "--full").out == "3 recordings, 0 findings\n"
    swc("tokens", "--to-swc", "npz", "-o", "back/", "--manifest", "back.jsonl")
    assert swc("verify", "back", "--manifest", "back.jsonl").out == "3 recordings, 0 findings\n"
    Path("npz/a.b.npz").write_bytes(Path("npz/sub/c.npz").read_bytes())
    assert "1 findings" in swc("verify", "--manifest", "m.jsonl", code=1).out
    assert "not for data sets" in swc("tokens", "archive", "-o", "a.tar", *words[-2:], code=2).err
    swc("tokens", "archive", "-o", "all.tar")
    words = ("--to-swc", "all.tar", "-o", "x/", "--manifest", "x.jsonl")
    assert "a file for each recording" in swc("tokens", *words, code=2).err


def expected_rows(archive):
    """Path and tokens of each row."""
    return [(name, Tokens.from_stream(data)) for name, data in archive.items()]


def test_parquet_in_pandas(swc, archive):
    import pandas

    swc("tokens", "archive", "-o", "all.parquet")
    frame = pandas.read_parquet("all.parquet")
    assert [(row["path"], from_record(row)) for row in frame.to_dict("records")] == expected_rows(archive)
    first = frame.iloc[0]
    shaped = np.array(first.indices).reshape(first.indices_shape)
    assert (shaped == Tokens.from_stream(archive["a.b.swc"]).indices).all()


def test_parquet_in_datasets(swc, archive, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    swc("tokens", "archive", "-o", "all.parquet", "--shard-size", "2")
    rows = datasets.load_dataset("parquet", data_files="all-*.parquet", split="train", cache_dir="cache")
    assert [(row["path"], from_record(row)) for row in rows] == expected_rows(archive)


def test_parquet_in_duckdb(swc, archive):
    import duckdb

    swc("tokens", "archive", "-o", "all.parquet")
    query = "select path, len(indices), tags[1].value from 'all.parquet' where channels = 2 order by path"
    found = duckdb.sql(query).fetchall()
    tokens = dict(expected_rows(archive))
    assert found == [
        (name, each.indices.size, each.tags[0][1] if each.tags else None)
        for name, each in tokens.items()
        if each.channels == 2
    ]


def test_tar_in_webdataset(swc, archive):
    import webdataset

    swc("tokens", "archive", "-o", "all.tar", "--shard-size", "2")
    urls = ["all-000000.tar", "all-000001.tar"]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == ["a%2Eb", "sub/a%2Eb", "sub/c"]
    found = [(sample["json"]["path"], from_record(sample["npz"])) for sample in samples]
    assert found == expected_rows(archive)
    assert samples[0]["json"]["tags"] == [{"key": "title", "value": "A test"}]


def test_errors_are_reported_and_other_recordings_converted(swc, archive):
    Path("archive/sub/bad.swc").write_bytes(archive["a.b.swc"][:-3])
    result = swc("tokens", "archive", "-o", "all.parquet", "--json", code=1)
    assert "archive/sub/bad.swc: " in result.err and "truncated" in result.err
    assert [record["status"] for record in result.records].count("failed") == 1
    assert open_dataset("all.parquet").paths == sorted(archive)
    assert swc("tokens", "archive/sub/bad.swc", "-o", "bad.npz", code=3).err.count("\n") == 1
    swc("tokens", "archive/sub/bad.swc", "-o", "bad.parquet", code=3)
    assert not Path("bad.npz").exists() and not Path("bad.parquet").exists()


def test_existing_outputs_are_overwritten_only_with_force(swc, archive):
    swc("tokens", "archive", "-o", "npz/")
    assert "3 up to date" in swc("tokens", "archive", "-o", "npz/").err
    Path("npz/sub/c.npz").write_bytes(b"something")
    os.utime("npz/sub/c.npz")
    assert "not a sound file" in swc("tokens", "archive", "-o", "npz/", code=1).err
    assert Path("npz/sub/c.npz").read_bytes() == b"something"
    assert "1 converted, 2 up to date" in swc("tokens", "archive", "-o", "npz/", "--update").err
    for output in ("all.parquet", "all.tar"):
        Path(output).write_bytes(b"something")
        assert "exists already" in swc("tokens", "archive", "-o", output, code=2).err
        assert Path(output).read_bytes() == b"something"
        swc("tokens", "archive", "-o", output, "--force")
        assert len(open_dataset(output).paths) == 3
    swc("tokens", "--to-swc", "npz", "-o", "back/")
    Path("back/a.b.swc").write_bytes(archive["sub/c.swc"])
    assert "another stream" in swc("tokens", "--to-swc", "npz", "-o", "back/", code=1).err


def test_names_that_collide(swc, archive):
    words = ("archive/a.b.swc", "archive/sub/a.b.swc")
    assert "is also that of archive/a.b.swc" in swc("tokens", *words, "-o", "all.tar", code=1).err
    assert open_dataset("all.tar").paths == ["a.b.swc"]
    swc("tokens", *words, "-o", "kept.tar", "--relative-to", "archive")
    assert open_dataset("kept.tar").paths == ["a.b.swc", "sub/a.b.swc"]
    swc("tokens", "archive/a.b.swc", "archive/a.b.swc", "-o", "twice.parquet")
    assert open_dataset("twice.parquet").paths == ["a.b.swc"]


def test_dry_run_writes_nothing(swc, archive):
    before = tree()
    assert swc("tokens", "archive", "-o", "all.parquet", "-n").out.count("would be converted") == 3
    assert tree() == before


def test_paths_that_lead_outside_are_refused(swc, archive):
    tokens = Tokens.from_stream(archive["a.b.swc"])
    for number, path in enumerate(("../evil.wav", "/tmp/evil.wav", "a/../../evil.wav")):
        for suffix in ("parquet", "tar"):
            with DatasetWriter(f"{number}.{suffix}") as writer:
                writer.write(tokens, path)
            assert "relative" in swc("tokens", "--to-swc", f"{number}.{suffix}", "-o", "out/", code=3).err
    assert not Path("out").exists() and not Path("evil.swc").exists()


def test_files_that_are_not_tokens(swc):
    for name in ("a.npz", "a.parquet", "a.tar"):
        Path(name).write_bytes(b"PK\x03\x04 something else")
        assert swc("tokens", "--to-swc", name, "-o", "out/", code=3).err.startswith(f"swc: error: {name}: ")
    np.savez("b.npz", x=np.array([{}], dtype=object))
    assert "swc: error: b.npz" in swc("tokens", "--to-swc", "b.npz", "-o", "out/", code=3).err
    with tarfile.open("c.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("c.txt"), io.BytesIO())
    assert "no tokens" in swc("tokens", "--to-swc", "c.tar", "-o", "out/", code=3).err


def test_usage_errors(swc, archive):
    assert "--shard-size needs" in swc("tokens", "archive", "-o", "x/", "--shard-size", "2", code=2).err
    assert "--update is not" in swc("tokens", "archive", "-o", "x.tar", "--update", code=2).err
    assert "output folder" in swc("tokens", "archive", "-o", "x.npz", code=2).err
    assert "--output" in swc("tokens", "archive", code=2).err
    assert "such as .npz" in swc("tokens", "archive/a.b.swc", "-o", "x", code=2).err
    assert "no folder" in swc("tokens", "archive", "-o", "none/x.tar", code=1).err
    assert "--kbps has no effect" in swc("tokens", "archive", "-o", "x.tar", "--kbps", "8", code=2).err
    swc("tokens", "archive", "-o", "all.tar")
    assert "--effort has no" in swc("tokens", "--to-swc", "all.tar", "-o", "x/", "--effort", "2", code=2).err
    assert "output folder" in swc("tokens", "--to-swc", "all.tar", "-o", "x.swc", code=2).err


def test_streams_need_neither_weights_nor_torch(archive):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from switchcodec_cli.cli import cli\n"
        "arguments = ['tokens', 'archive', '-o', 'all.tar']\n"
        "assert cli.main(arguments, standalone_mode=False) == 0\n"
        "arguments = ['tokens', '--to-swc', 'all.tar', '-o', 'back/']\n"
        "assert cli.main(arguments, standalone_mode=False) == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert tree("back") == sorted(archive)


def test_parquet_without_pyarrow(swc, archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "switchcodec-cli[tokens]" in swc("tokens", "archive", "-o", "all.parquet", code=2).err
    assert not Path("all.parquet").exists()
    swc("tokens", "archive", "-o", "all.tar")


def test_pipes(process, stream):
    tokens = process("tokens", "-", "-o", "-", stdin=subprocess.PIPE)
    data, errors = tokens.communicate(stream)
    assert tokens.returncode == 0, errors
    assert from_record(np.load(io.BytesIO(data), allow_pickle=False)).to_stream() == stream


def test_records_are_json(swc, archive):
    records = swc("tokens", "archive", "-o", "all.tar", "--json").records
    assert [record["path"] for record in records] == list(archive)
    assert json.dumps(records[0]["seconds"]) == "4.2" and records[0]["signals"] == 2
