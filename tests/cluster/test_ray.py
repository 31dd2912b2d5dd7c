"""Real Ray: a cluster of two nodes on this machine, one of which is lost."""

import collections
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from switchcodec_cli.cli import cli

ray = pytest.importorskip("ray", reason="needs Ray, of the extra ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

WEIGHTS = Path(__file__).parents[1] / "golden" / "spectral.safetensors"
RATE = 16000
FILES = 200


@pytest.fixture(scope="module")
def s3_server():
    """The URL of an S3 server; None if there is none."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        yield None
        return
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def cluster(s3_server):
    """A cluster of two nodes with one core each, where the environment leads to the S3 server."""
    root = str(Path(__file__).parents[2])
    paths = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, paths])))
        patch.setenv("AWS_ENDPOINT_URL", s3_server or "")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patch.setenv(name, "us-east-1")
        nodes = {"num_cpus": 1, "object_store_memory": 100 << 20}
        cluster = cluster_utils.Cluster(
            initialize_head=True, head_node_args={**nodes, "include_dashboard": False}
        )
        second = cluster.add_node(**nodes)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        try:
            yield SimpleNamespace(cluster=cluster, second=second)
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder."""
    monkeypatch.chdir(tmp_path)


def swc(*arguments: str, code: int = 0) -> list[dict]:
    """Call a command in this process; returns its JSON objects."""
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == code, (result.output, result.exception)
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def record(folder: str, count: int) -> None:
    """Write short recordings that are all different."""
    Path(folder).mkdir()
    for seed in range(count):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(RATE // 8)
        soundfile.write(f"{folder}/{seed:03}.wav", noise, RATE)


def contents(folder: str) -> dict[str, bytes]:
    """Complete files by name; a node that is lost leaves the hidden part of one behind."""
    return {path.name: path.read_bytes() for path in Path(folder).glob("[!.]*.*")}


def encode(output: str, *options: str) -> list[dict]:
    return swc("encode", "in", "-o", output, "--weights", str(WEIGHTS), "--effort", "0", *options)


def test_a_batch_of_a_data_set_is_encoded(cluster):
    from switchcodec_cli import Codec
    from switchcodec_cli.ray import EncodeBatch

    samples = [np.full(RATE // 10 + row, 0.1 * row, np.float32) for row in range(5)]
    record("in", 3)
    rows = [{"bytes": path.read_bytes(), "name": path.name} for path in sorted(Path("in").iterdir())]
    rows.append({"bytes": b"not audio", "name": "bad"})
    streams = (
        ray.data.from_items(rows)
        .map_batches(
            EncodeBatch,
            fn_constructor_kwargs={"error": "error", "weights": str(WEIGHTS), "device": "cpu", "effort": 0},
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=0.5,
            batch_size=2,
        )
        .take_all()
    )
    codec = Codec.load(WEIGHTS, "cpu")
    for row in streams:
        if row["name"] == "bad":
            assert (row["stream"], row["error"]) == (
                b"",
                "the input: not a supported audio file (format not recognised)",
            )
        else:
            audio, rate = soundfile.read(f"in/{row['name']}", dtype="float32")
            assert (row["stream"], row["error"]) == (codec.encode(audio, rate, effort=0), "")
    encoder = EncodeBatch("samples", RATE, weights=str(WEIGHTS), device="cpu", effort=0)
    batch = encoder({"samples": samples})
    assert list(batch["stream"]) == [codec.encode(item, RATE, effort=0) for item in samples]


def test_terminated_in_the_middle(cluster):
    Path("in").mkdir()
    for name in "ab":
        soundfile.write(f"in/{name}.wav", 0.1 * np.random.default_rng(0).standard_normal(300 * RATE), RATE)
    command = [sys.executable, "-m", "switchcodec_cli", "encode", "in", "-o", "out", "--effort", "3"]
    command += ["--weights", str(WEIGHTS), "--ray", cluster.cluster.address]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        for _ in range(600):
            if Path("out").exists() and list(Path("out").iterdir()):
                break
            time.sleep(0.1)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, errors
    assert errors.decode().startswith("swc: terminated: ")
    assert not list(Path("out").glob(".*"))


def living_nodes(expected: int) -> bool:
    """Whether the cluster comes to know that it has so many nodes."""
    for _ in range(300):
        if sum(node["Alive"] for node in ray.nodes()) == expected:
            return True
        time.sleep(0.1)
    return False


def test_a_node_is_lost_in_the_middle(cluster):
    record("in", FILES)
    encode("expected")
    present = []

    def lose_the_second_node() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = len(list(Path("out").glob("*.swc"))) if Path("out").exists() else 0
            if done >= FILES // 4:
                cluster.cluster.remove_node(cluster.second, allow_graceful=False)
                present.append(done)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=lose_the_second_node)
    thread.start()
    records = encode("out", "--ray", "auto")
    thread.join()
    assert FILES // 4 <= present[0] < FILES, "the node was lost before the end"
    assert living_nodes(1)
    times = collections.Counter(record["input"] for record in records)
    assert sorted(times) == [f"in/{number:03}.wav" for number in range(FILES)]
    assert set(times.values()) == {1}
    assert {record["status"] for record in records} <= {"encoded", "skipped"}
    assert contents("out") == contents("expected")

    reports = swc("verify", "out", "--ray", "auto")
    assert len(reports) == FILES and all(report["ok"] for report in reports)


def test_a_bucket_is_encoded_and_verified(cluster, s3_server):
    pytest.importorskip("s3fs", reason="needs s3fs, of the extra remote")
    boto3 = pytest.importorskip("boto3")
    if s3_server is None:
        pytest.skip("needs moto[server]")
    record("in", 3)
    encode("expected")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    for path in Path("in").iterdir():
        client.put_object(Bucket="bucket", Key=f"raw/{path.name}", Body=path.read_bytes())
    options = ("--weights", str(WEIGHTS), "--effort", "0", "--ray", "auto")
    records = swc("encode", "s3://bucket/raw", "-o", "s3://bucket/swc", *options)
    assert [record["status"] for record in records] == ["encoded"] * 3
    for name, data in contents("expected").items():
        assert client.get_object(Bucket="bucket", Key=f"swc/{name}")["Body"].read() == data
    assert all(report["ok"] for report in swc("verify", "s3://bucket/swc", "--ray", "auto"))


def test_manifests_and_data_sets(cluster):
    record("in", 3)
    encode("expected", "--manifest", "expected.jsonl")
    encode("out", "--manifest", "rows.jsonl", "--ray", "auto", "--jobs", "1")
    assert contents("out") == contents("expected")
    digests = [
        [json.loads(line)["output_digest"] for line in Path(name).read_text().splitlines()]
        for name in ("expected.jsonl", "rows.jsonl")
    ]
    assert digests[0] == digests[1] and len(digests[0]) == 3
    swc("tokens", "out", "-o", "expected.tar")
    swc("tokens", "out", "-o", "set.tar", "--ray", "auto")
    assert Path("set.tar").read_bytes() == Path("expected.tar").read_bytes()


def test_decoding_and_errors(cluster):
    record("in", 4)
    encode("streams")
    Path("streams/bad.swc").write_bytes(b"garbage")
    decode = ("decode", "streams", "--weights", str(WEIGHTS))
    swc(*decode, "-o", "expected", code=1)
    records = swc(*decode, "-o", "out", "--ray", "auto", code=1)
    assert [record["status"] for record in records] == ["decoded"] * 4 + ["failed"]
    assert contents("out") == contents("expected")
    shutil.rmtree("out")
    missing = CliRunner().invoke(
        cli, ["decode", "streams", "-o", "out", "--weights", "none.safetensors", "--ray", "auto"]
    )
    assert missing.exit_code == 4
    assert not Path("out").exists()
