"""`swc transcode` and what `swc info` says of entropy-coded streams."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

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


def test_waveform_layers(swc, layered_data: bytes, layered_weights: Path, modelled: str) -> None:
    """They stay with all experts, become coarser with fewer, and are shown by `swc info`."""
    Path("a.swc").write_bytes(layered_data)
    arguments = ("--weights", layered_weights, "--quiet")
    record = json.loads(swc("info", "a.swc", "--json", "--windows").out)
    windows = list(StreamReader(io.BytesIO(layered_data)))
    layers = [window.blocks[0].waveform for window in windows]
    sizes = [len(layer) for layer in layers]
    assert record["waveform_layers"] and record["bits"]["layers"] == 8 * sum(sizes) > 0
    assert sum(bits for part, bits in record["bits"].items() if part != "total") == 8 * len(layered_data)
    shown = [window["signals"][0]["layer_bytes"] for window in record["window_list"]]
    assert shown == sizes
    text = swc("info", "a.swc").out
    assert f"+ layers {8 * sum(sizes)} (" in text
    assert f"{sum(map(bool, sizes))} of 4 coded blocks have a waveform layer, " in text
    swc("transcode", "a.swc", "plain.swc", "--plain", *arguments)
    swc("transcode", "plain.swc", "b.swc", "--modelled", *arguments)
    assert Path("b.swc").read_bytes() == layered_data
    swc("transcode", "a.swc", "fewer.swc", "--experts", "3", *arguments)
    fewer = [window.blocks[0] for window in StreamReader(io.BytesIO(Path("fewer.swc").read_bytes()))]
    assert [block.waveform[:1] for block in fewer if block.waveform] == [
        bytes([layer[0] + 2]) for block, layer in zip(fewer, layers, strict=True) if block.waveform
    ]
    assert any(block.waveform for block in fewer)
    swc("transcode", "a.swc", "none.swc", "--experts", "1", *arguments)
    assert json.loads(swc("info", "none.swc", "--json").out)["bits"]["layers"] == 0
    assert (
        "weights" in swc("transcode", "a.swc", "c.swc", "--experts", "3", "--weights", modelled, code=4).err
    )
    for name in ("a.swc", "plain.swc", "fewer.swc", "none.swc"):
        swc("decode", name, f"{name}.wav", "--weights", layered_weights)
        assert swc("verify", name).code == 0
    assert Path("a.swc.wav").read_bytes() == Path("plain.swc.wav").read_bytes()


def test_tokens_of_waveform_layers(swc, layered_data: bytes, layered_weights: Path) -> None:
    Path("a.swc").write_bytes(layered_data)
    for output in ("a.npz", "all.tar"):
        swc("tokens", "a.swc", "-o", output, "--weights", layered_weights)
        swc("tokens", "--to-swc", output, "-o", f"{output}.swc" if output == "a.npz" else "back/",
            "--weights", layered_weights)  # fmt: skip
    assert Path("a.npz.swc").read_bytes() == Path("back/a.swc").read_bytes() == layered_data


def test_plot_of_waveform_layers(swc, layered_data: bytes) -> None:
    pytest.importorskip("matplotlib")
    Path("a.swc").write_bytes(layered_data)
    swc("info", "a.swc", "--plot", "a.svg")
    assert "waveform layers" in Path("a.svg").read_text()


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
