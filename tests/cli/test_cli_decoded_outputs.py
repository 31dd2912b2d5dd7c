"""What `swc decode` writes: clipped samples, sample rates, tags and file times."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.audio import resample
from switchcodec_cli.model.weights import load_weights, save_weights


@pytest.fixture
def loud(files, swc, weights):
    """Arguments that decode a stream to samples beyond full scale."""
    model = load_weights(weights).model
    model.backbone.analysis.mean.fill_(4)
    save_weights(Path("loud.safetensors"), model, {})
    files.write("loud.wav", 0.5)
    swc("encode", "loud.wav", "--effort", "0", "--quiet", "--weights", "loud.safetensors")
    return ("--weights", "loud.safetensors", "loud.swc")


def test_clipped_samples_are_counted_and_reported_in_one_line(swc, loud):
    swc("decode", *loud, "float.wav", "--subtype", "FLOAT")
    beyond = int((np.abs(soundfile.read("float.wav")[0]) > 1).sum())
    assert beyond > 100
    for name, advice in (("a.wav", "; --subtype FLOAT"), ("a.flac", "; WAV with --subtype FLOAT")):
        result = swc("decode", *loud, name, "--json", "--quiet")
        assert result.records[0]["clipped_samples"] == beyond
        assert result.err.count("\n") == 1 and f"{beyond} samples were beyond full scale" in result.err
        assert advice in result.err


def test_float_outputs_are_not_clipped(swc, loud):
    result = swc("decode", *loud, "float.wav", "--subtype", "FLOAT", "--json", "--quiet")
    assert result.err == "" and result.records[0]["clipped_samples"] == 0


def test_output_is_resampled_on_request(swc, files):
    files.write("a.wav", 1.0, 2, 44100)
    swc("encode", "a.wav", "--effort", "0")
    result = swc("decode", "a.swc", "b.wav", "--rate", "16000", "--json")
    assert "at 16000 Hz (converted from 44100 Hz)" in result.err
    record = result.records[0]
    assert (record["sample_rate"], record["original_sample_rate"], record["samples"]) == (16000, 44100, 16000)
    assert record["seconds"] == 1.0
    low, rate = soundfile.read("b.wav")
    assert rate == 16000 and low.shape == (16000, 2)
    swc("decode", "a.swc", "c.wav", "--subtype", "FLOAT")
    expected = resample(soundfile.read("c.wav", dtype="float32")[0], 44100, 16000)
    np.testing.assert_allclose(low, expected, atol=2**-15)
    # run again as a batch, the resampled file is up to date, and one at another rate is not
    Path("in").mkdir()
    Path("a.swc").rename("in/a.swc")
    swc("decode", "in", "-o", "out", "--rate", "16000")
    assert "1 up to date" in swc("decode", "in", "-o", "out", "--rate", "16000").err
    assert "contains other audio" in swc("decode", "in", "-o", "out", code=1).err


@pytest.mark.parametrize(
    ("name", "rate", "written"), [("a.opus", 44100, 48000), ("a.opus", 16000, 16000), ("a.mp3", 96000, 48000)]
)
def test_formats_of_few_sample_rates_get_the_next_one(swc, files, name, rate, written):
    files.write("in.wav", 0.5, 1, rate)
    swc("encode", "in.wav", "a.swc", "--effort", "0")
    result = swc("decode", "a.swc", name, "--json")
    assert result.records[0]["sample_rate"] == written
    assert (f"at {written} Hz (converted from {rate} Hz)" in result.err) == (written != rate)
    assert soundfile.info(name).duration == pytest.approx(0.5, abs=0.07)


def test_unsupported_rates_are_refused_before_weights_are_loaded(swc, stream):
    Path("a.swc").write_bytes(stream)
    missing = ("--weights", "missing.safetensors")
    assert (
        "OPUS does not support 44100 Hz"
        in swc("decode", "a.swc", "a.opus", "--rate", 44100, *missing, code=2).err
    )
    for rate in (0, -1, 10**9):
        assert "sample rate" in swc("decode", "a.swc", "a.wav", "--rate", rate, *missing, code=2).err
    assert sorted(path.name for path in Path(".").iterdir()) == ["a.swc"]
