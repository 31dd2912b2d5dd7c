"""`swc transcode` and what `swc info` says of entropy-coded streams."""

import io
import json
from pathlib import Path

import numpy as np

from switchcodec_cli import Codec
from switchcodec_cli.bitstream import StreamReader


def stream(weights: str, **settings: object) -> bytes:
    codec = Codec.load(weights, "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * codec.sample_rate).astype(np.float32)
    return codec.encode(noise, codec.sample_rate, effort=0, **settings)  # type: ignore[arg-type]


def test_plain_and_back(swc, modelled: str) -> None:
    data = stream(modelled, experts=2)
    Path("a.swc").write_bytes(data)
    record = json.loads(swc("info", "a.swc", "--json").out)
    assert record["entropy_coded"] and record["bits_per_index"] > 0
    swc("transcode", "a.swc", "plain.swc", "--plain", "--weights", modelled)
    assert not StreamReader(io.BytesIO(Path("plain.swc").read_bytes())).header.entropy_coded
    swc("transcode", "plain.swc", "b.swc", "--modelled", "--weights", modelled, "--quiet")
    assert Path("b.swc").read_bytes() == data
    codec = Codec.load(modelled, "cpu")
    first, second = (codec.decode(Path(name).read_bytes())[0] for name in ("a.swc", "plain.swc"))
    assert np.array_equal(first, second)


def test_errors(swc, modelled: str) -> None:
    Path("a.swc").write_bytes(stream(modelled, experts=1))
    Path("there.swc").write_bytes(b"something")
    arguments = ("--weights", modelled)
    assert "exists" in swc("transcode", "a.swc", "there.swc", *arguments, code=2).err
    assert Path("there.swc").read_bytes() == b"something"
    assert "replace it" in swc("transcode", "a.swc", "a.swc", "--force", *arguments, code=2).err
    assert "too low" in swc("transcode", "a.swc", "b.swc", "--kbps", "0.01", *arguments, code=2).err
    assert not Path("b.swc").exists()
    assert "packaged weights" in swc("transcode", "a.swc", "b.swc", "--plain", code=4).err
