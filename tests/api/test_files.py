"""`Codec.encode_file` and `Codec.decode_file`."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_codecs import audio, codec

from switchcodec_cli import BadInputError, EncoderSettings, UsageError, WeightsError

SETTINGS = EncoderSettings(experts=2, effort=0)
RATE = 16000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a recording in it."""
    monkeypatch.chdir(tmp_path)
    with soundfile.SoundFile("in.flac", "w", RATE, 2) as file:
        file.title = "A test"
        file.write(audio(24000, 2, RATE))
    os.utime("in.flac", (10**9, 10**9))
    return tmp_path


def test_files_equal_arrays():
    this = codec("spectral")
    encoded = this.encode_file("in.flac", Path("a.swc"), SETTINGS)
    assert (encoded.samples, encoded.seconds, encoded.header.tags) == (24000, 1.5, (("TITLE", "A test"),))
    data = Path("a.swc").read_bytes()
    assert encoded.output_bytes == len(data) and encoded.kbps == pytest.approx(8e-3 * len(data) / 1.5)
    samples, _ = soundfile.read("in.flac", dtype="float32")
    assert data == this.encode(samples, RATE, experts=2, effort=0, tags=[("TITLE", "A test")])

    decoded = this.decode_file("a.swc", "b.wav", subtype="FLOAT", preserve_time=True)
    assert (decoded.samples, decoded.sample_rate, decoded.clipped) == (24000, RATE, 0)
    np.testing.assert_array_equal(soundfile.read("b.wav", dtype="float32")[0], this.decode(data)[0])
    assert os.stat("b.wav").st_mtime_ns == os.stat("a.swc").st_mtime_ns


def test_options():
    this = codec("spectral")
    this.encode_file(
        "in.flac", "a.swc", SETTINGS, channels="mono", tags={"x": "y"}, copy_tags=False, preserve_time=True
    )
    assert os.stat("a.swc").st_mtime == 10**9
    result = this.decode_file("a.swc", "b", format="flac", start=0.5, duration=0.5, sample_rate=8000)
    assert (result.samples, result.header.tags, result.header.channels) == (4000, (("x", "y"),), 1)
    info = soundfile.info("b")
    assert (info.format, info.samplerate, info.frames, info.channels) == ("FLAC", 8000, 4000, 1)


def test_files_are_complete_or_absent():
    this = codec("spectral")
    this.encode_file("in.flac", "a.swc", SETTINGS)
    before = Path("a.swc").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        this.encode_file("in.flac", "a.swc", EncoderSettings(experts=0, effort=0))
    assert Path("a.swc").read_bytes() == before
    this.encode_file("in.flac", "a.swc", EncoderSettings(experts=0, effort=0), force=True)
    assert Path("a.swc").read_bytes() != before
    Path("bad.swc").write_bytes(before[:-20])
    with pytest.raises(BadInputError):
        this.decode_file("bad.swc", "bad.wav")
    with pytest.raises(BadInputError):
        this.encode_file("missing.wav", "missing.swc")
    with pytest.raises(UsageError, match="replace"):
        this.encode_file("in.flac", "in.flac", force=True)
    with pytest.raises(UsageError, match="unknown audio format"):
        this.decode_file("a.swc", "a.doc")
    with pytest.raises(WeightsError, match="encoded with weights"):
        codec("dac").decode_file("a.swc", "a.wav")
    assert sorted(os.listdir()) == ["a.swc", "bad.swc", "in.flac"]


def test_weights_that_decode_to_values_that_are_not_finite():
    this = codec("spectral")
    this.encode_file("in.flac", "a.swc", SETTINGS)
    broken = copy.deepcopy(this)
    with torch.no_grad():
        broken.model.backbone.decoder.head.bias.fill_(float("nan"))
    with pytest.raises(WeightsError, match="not finite"):
        broken.decode_file("a.swc", "a.wav")
    assert sorted(os.listdir()) == ["a.swc", "in.flac"]
