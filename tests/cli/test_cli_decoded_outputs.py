"""What `swc decode` writes: clipped samples, sample rates, tags and file times."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.audio import AudioWriter, read_tags, resample
from switchcodec_cli.bitstream import StreamReader
from switchcodec_cli.model.weights import load_weights, save_weights


def header_of(path):
    with open(path, "rb") as file:
        return StreamReader(file).header


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


TAGS = (("TITLE", "Löwe"), ("ARTIST", "Ann"), ("ARTIST", "Bob"), ("SHELFMARK", "A/17"))


def tagged(files, name: str) -> Path:
    """An audio file with tags."""
    with AudioWriter(name, 44100, 1, tags=TAGS) as writer:
        writer.write(files.sound(0.3))
    return Path(name)


@pytest.mark.parametrize("source", ["in.flac", "in.mp3"])
def test_tags_are_carried_into_the_stream_and_back(swc, files, source):
    tagged(files, source)
    swc("encode", source, "a.swc", "--effort", "0")
    assert sorted(header_of("a.swc").tags) == sorted(TAGS)
    for name in ("b.flac", "b.mp3", "b.wav", "b.ogg"):
        record = swc("decode", "a.swc", name, "--json").records[0]
        whole = name in ("b.flac", "b.mp3")
        assert record["omitted_tags"] == ([] if whole else ["SHELFMARK"])
        found = read_tags(name)
        if whole:
            assert sorted(found) == sorted(TAGS)
        else:
            assert dict(found) == {"TITLE": "Löwe", "ARTIST": "Ann; Bob"}
    swc("decode", "a.swc", "c.flac", "--no-tags")
    assert read_tags("c.flac") == []


def test_tags_of_the_input_are_replaced_or_left_out(swc, files):
    tagged(files, "in.flac")
    swc("encode", "in.flac", "a.swc", "--effort", "0", "--tag", "artist=Eve", "--tag", "note=x")
    assert sorted(header_of("a.swc").tags) == sorted((TAGS[0], TAGS[3], ("artist", "Eve"), ("note", "x")))
    swc("encode", "in.flac", "b.swc", "--effort", "0", "--no-tags", "--tag", "note=x")
    assert header_of("b.swc").tags == (("note", "x"),)


def test_streams_with_other_tags_are_not_up_to_date(swc, files):
    Path("in").mkdir()
    tagged(files, "in/a.flac")
    options = ("-o", "out", "--effort", "0")
    swc("encode", "in", *options)
    assert "1 up to date" in swc("encode", "in", *options).err
    assert "other settings" in swc("encode", "in", *options, "--no-tags", code=1).err


def test_modification_times_are_kept_on_request(swc, files):
    path = files.write("a.wav", 0.3)
    os.utime(path, ns=(10**18, 10**18 + 123_456_789))
    swc("encode", "a.wav", "--effort", "0", "--preserve-time")
    swc("decode", "a.swc", "b.flac", "--preserve-time")
    swc("decode", "a.swc", "c.flac")
    assert Path("a.swc").stat().st_mtime_ns == path.stat().st_mtime_ns == 10**18 + 123_456_789
    assert Path("b.flac").stat().st_mtime_ns == path.stat().st_mtime_ns
    assert Path("c.flac").stat().st_mtime_ns > path.stat().st_mtime_ns
