"""Several packaged weights: streams are decoded with the weights that they were made with."""

import io
import shutil

import numpy as np
import pytest
from tiny_codecs import GOLDEN, audio, codec

from switchcodec_cli import Codec, api
from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model import weights_registry


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """The packaged weights `default`, of the spectral backbone, and `first`, of the other one."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    shutil.copy(GOLDEN / "spectral.safetensors", folder / "default.safetensors")
    shutil.copy(GOLDEN / "dac.safetensors", folder / "first.safetensors")
    monkeypatch.setattr(weights_registry, "weights_folder", lambda: folder)
    return folder


def stream(name: str) -> bytes:
    rate = codec(name).sample_rate
    return codec(name).encode(audio(2 * rate, 1, rate), rate, experts=1, effort=0)


def test_streams_of_all_packaged_weights_are_decoded_and_each_is_loaded_once(packaged, monkeypatch):
    streams = {name: stream(name) for name in ("spectral", "dac")}
    loaded, load = [], api.load_weights
    monkeypatch.setattr(api, "load_weights", lambda path: loaded.append(path.stem) or load(path))
    this = Codec.load(device="cpu")
    for name in ("spectral", "dac", "dac", "spectral", "dac"):
        decoded, rate = this.decode(streams[name])
        assert rate == codec(name).sample_rate
        np.testing.assert_array_equal(decoded, codec(name).decode(streams[name])[0])
    assert loaded == ["default", "first"]
    rate = this.sample_rate
    assert this.encode(audio(rate, 1, rate), rate, effort=0, experts=1)  # with the default weights
    assert this.fingerprint == codec("spectral").fingerprint


def test_unknown_weights_are_an_error_that_lists_those_there_are(packaged):
    (packaged / "first.safetensors").unlink()
    names = rf"default \({codec('spectral').fingerprint.hex()[:12]}\)"
    with pytest.raises(WeightsError, match=f"encoded with weights .*; packaged weights: {names}"):
        Codec.load(device="cpu").decoder(io.BytesIO(stream("dac")))


def test_weights_that_are_given_are_the_only_ones(packaged):
    with pytest.raises(WeightsError, match="but those loaded are"):
        Codec.load("default", device="cpu").decode(stream("dac"))
