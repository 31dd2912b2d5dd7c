"""`swc decode` and `swc weights` with several packaged weights."""

import shutil
from pathlib import Path

import pytest
import soundfile

from switchcodec_cli.model import weights_registry


@pytest.fixture
def packaged(tmp_path, weights, other_weights, monkeypatch):
    """The packaged weights `default` and `first`."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    shutil.copy(weights, folder / "default.safetensors")
    shutil.copy(other_weights, folder / "first.safetensors")
    monkeypatch.setattr(weights_registry, "weights_folder", lambda: folder)
    return folder


def test_a_batch_with_streams_of_several_weights(swc, files, packaged, weights, other_weights):
    files.write("in/a.wav")
    Path("streams").mkdir()
    Path("alone").mkdir()
    for name, path in (("a", weights), ("b", other_weights), ("c", weights)):
        swc("encode", "in/a.wav", f"streams/{name}.swc", "--weights", path, "--effort", "0", "-q")
        swc("decode", f"streams/{name}.swc", f"alone/{name}.wav", "--weights", path, "-q")
    swc("decode", "streams", "-o", "out", "-q", own_weights=False)
    for name in "abc":
        assert Path(f"out/{name}.wav").read_bytes() == Path(f"alone/{name}.wav").read_bytes()
    # files that are up to date are recognised whatever their weights
    assert "3 up to date" in swc("decode", "streams", "-o", "out", "--update", own_weights=False).err
    # weights that are given are used for all
    refused = swc("decode", "streams", "-o", "given", "--weights", "default", code=1)
    assert "b.swc" in refused.err and "encoded with weights" in refused.err
    assert sorted(path.name for path in Path("given").iterdir()) == ["a.wav", "c.wav"]


def test_streams_of_unknown_weights(swc, files, packaged, other_weights):
    files.write("a.wav")
    swc("encode", "a.wav", "--weights", other_weights, "--effort", "0", "-q")
    (packaged / "first.safetensors").unlink()
    error = swc("decode", "a.swc", "b.wav", code=4, own_weights=False).err
    assert "encoded with weights" in error and "packaged weights: default (" in error
    assert not Path("b.wav").exists()
    swc("decode", "a.swc", "b.wav", "--weights", other_weights)
    assert soundfile.info("b.wav").frames == soundfile.info("a.wav").frames


def test_list_names_all_with_their_fingerprints(swc, packaged):
    records = swc("weights", "list", "--json").records
    assert [record["name"] for record in records] == ["default", "first"]
    lines = swc("weights", "list").out.splitlines()
    assert all(record["fingerprint"][:12] in line for record, line in zip(records, lines, strict=True))
