"""Encoding and decoding of single files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.bitstream import ChannelCoding, StreamReader


def header_of(path):
    with open(path, "rb") as file:
        return StreamReader(file).header


@pytest.mark.parametrize(
    ("name", "rate", "channels", "options"),
    [
        ("a.wav", 8000, 1, {"subtype": "PCM_U8"}),
        ("a.wav", 192000, 1, {"subtype": "PCM_24"}),
        ("a.wav", 16000, 1, {"subtype": "PCM_16"}),
        ("a.wav", 96000, 2, {"subtype": "PCM_32"}),
        ("a.wav", 11025, 2, {"subtype": "FLOAT"}),
        ("a.flac", 44100, 2, {"subtype": "PCM_24"}),
        ("a.ogg", 48000, 2, {}),
        ("a.mp3", 22050, 1, {}),
        ("a.aiff", 44099, 1, {}),
    ],
)
def test_sample_rate_channels_and_length_are_restored(swc, files, name, rate, channels, options):
    path = files.write(name, 0.7, channels, rate, **options)
    frames = len(soundfile.read(path)[0])
    swc("encode", path)
    swc("decode", "a.swc", "back.wav")
    info = soundfile.info("back.wav")
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, frames)
    assert info.subtype == "PCM_16"


@pytest.mark.parametrize("frames", [0, 1, 1023])
def test_shortest_inputs(swc, frames):
    soundfile.write("a.wav", np.full(frames, 0.5), 16000)
    swc("encode", "a.wav")
    swc("verify", "a.swc")
    swc("decode", "a.swc", "b.wav")
    assert soundfile.info("b.wav").frames == frames


def test_silence_is_small_and_exact(swc):
    soundfile.write("a.wav", np.zeros((88200, 2)), 44100)
    swc("encode", "a.wav")
    assert Path("a.swc").stat().st_size < 150
    swc("decode", "a.swc", "b.wav", "--subtype", "FLOAT")
    assert not soundfile.read("b.wav")[0].any()


def test_samples_beyond_full_scale(swc, files):
    soundfile.write("a.wav", 20 * files.sound(1), 44100, subtype="FLOAT")
    swc("encode", "a.wav")
    swc("decode", "a.swc", "b.wav")
    decoded, _ = soundfile.read("b.wav")
    assert len(decoded) == 44100 and np.isfinite(decoded).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(swc, files, value):
    samples = files.sound(1.0)
    samples[22050] = value
    soundfile.write("a.wav", samples, 44100, subtype="FLOAT")
    result = swc("encode", "a.wav", code=3)
    assert "a.wav: the sample at 0.500 s is" in result.err and result.err.count("\n") == 1
    assert sorted(path.name for path in Path(".").iterdir()) == ["a.wav"]


def test_six_channels_need_the_option_channels(swc, files):
    files.write("a.wav", 0.5, 6)
    assert "--channels" in swc("encode", "a.wav", code=2).err
    swc("encode", "a.wav", "--channels", "stereo")
    assert header_of("a.swc").channels == 2
    swc("encode", "a.wav", "--channels", "mono", "--force")
    assert header_of("a.swc").channels == 1


def test_equal_channels_are_coded_once(swc, files):
    one = files.sound(1.0)
    soundfile.write("equal.wav", np.repeat(one, 2, 1), 44100)
    soundfile.write("mono.wav", one, 44100)
    different = np.repeat(one, 2, 1)
    different[-1, 1] += 0.01
    soundfile.write("different.wav", different, 44100)
    swc("encode", "equal.wav", "different.wav")
    swc("encode", "mono.wav", "up.swc", "--channels", "stereo")
    assert header_of("equal.swc").channel_coding == ChannelCoding.DUAL_MONO
    assert header_of("up.swc").channel_coding == ChannelCoding.DUAL_MONO
    assert header_of("different.swc").channel_coding == ChannelCoding.LEFT_RIGHT
    swc("decode", "equal.swc", "back.wav")
    back, _ = soundfile.read("back.wav")
    assert back.shape == (44100, 2) and (back[:, 0] == back[:, 1]).all() and back.any()


def test_rate_is_a_maximum(swc, files):
    files.write("a.wav", 20.0)
    for asked in (0.9, 2.67, 8):
        record = swc("encode", "a.wav", "--kbps", asked, "--force", "--json").records[0]
        assert 8e-3 * (record["bytes"] - 160) / 20 <= asked  # without header and trailer
        assert record["bytes"] == Path("a.swc").stat().st_size
        assert record["kbps"] == pytest.approx(8e-3 * record["bytes"] / 20)
    assert record["experts"] == 8


def test_default_rate_in_the_help(swc):
    from switchcodec_cli.encoder import DEFAULT_KBPS

    assert f"[default: {DEFAULT_KBPS}]" in " ".join(swc("encode", "--help").out.split())


def test_impossible_rates(swc, files):
    files.write("a.wav", 0.2)
    assert "attainable are" in swc("encode", "a.wav", "--kbps", "0.2", code=2).err
    assert "0 to 8" in swc("encode", "a.wav", "--experts", "9", code=2).err
    assert "one of them" in swc("encode", "a.wav", "--experts", "2", "--kbps", "3", code=2).err
    assert "positive" in swc("encode", "a.wav", "--kbps", "nan", code=2).err
    assert not Path("a.swc").exists()


def test_experts_are_per_channel(swc, files):
    files.write("a.wav", 0.5, 2)
    swc("encode", "a.wav", "--experts", "3")
    assert header_of("a.swc").experts_total == 6


def test_tags(swc, files):
    files.write("a.wav", 0.2)
    swc("encode", "a.wav", "--tag", "title=So = long", "--tag", "artist=Ä")
    assert header_of("a.swc").tags == (("title", "So = long"), ("artist", "Ä"))
    assert "title = So = long" in swc("info", "a.swc").out
    assert "KEY=VALUE" in swc("encode", "a.wav", "--tag", "title", "--force", code=2).err
    swc("encode", "a.wav", "b.swc", "--tag", "artist=1", "--tag", "artist=2")
    assert header_of("b.swc").tags == (("artist", "1"), ("artist", "2"))
    assert "ASCII" in swc("encode", "a.wav", "--tag", "ä=1", "--force", code=2).err


def test_standard_input_and_output(swc, files):
    path = files.write("a.wav", 1.0)
    swc("encode", path)
    for words in (("-", "-"), ("-",), ("-", "-o", "-")):
        piped = swc("encode", *words, input=path.read_bytes())
        assert piped.data == Path("a.swc").read_bytes()
        assert "standard input" in piped.err
    swc("encode", "-", "b.swc", input=path.read_bytes())
    assert Path("b.swc").read_bytes() == piped.data
    swc("decode", "a.swc", "back.wav")
    wave = swc("decode", "-", "-", input=piped.data).data
    assert (soundfile.read(io.BytesIO(wave))[0] == soundfile.read("back.wav")[0]).all()
    raw = swc("decode", "a.swc", "-", "--raw").data
    assert raw == wave[-len(raw) :] and len(raw) == 2 * 44100
    assert "cannot both" in swc("encode", "a.wav", "-", "--json", code=2).err


def test_decoded_formats(swc, stream):
    Path("a.swc").write_bytes(stream)
    for name, options, subtype in (
        ("b.flac", ("--subtype", "PCM_24"), "PCM_24"),
        ("b.ogg", (), "VORBIS"),
        ("b.wav", ("--subtype", "float"), "FLOAT"),
    ):
        swc("decode", "a.swc", name, *options, "--phase-iterations", "0")
        info = soundfile.info(name)
        assert (info.subtype, info.frames, info.channels) == (subtype, round(4.2 * 44100), 2)
    swc("decode", "a.swc", "--format", "flac", "--start", "4", "--phase-iterations", "0")
    assert soundfile.info("a.flac").format == "FLAC"
    assert "does not support" in swc("decode", "a.swc", "c.flac", "--subtype", "FLOAT", code=2).err
    assert "unknown audio format" in swc("decode", "a.swc", "--format", "doc", code=2).err
    assert "pipe" in swc("decode", "a.swc", "-", "--format", "flac", code=2).err
    assert "--raw" in swc("decode", "a.swc", "--format", "flac", "--raw", code=2).err


def test_start_and_duration(swc, stream):
    Path("a.swc").write_bytes(stream)
    swc("decode", "a.swc", "whole.wav")
    record = swc("decode", "a.swc", "part.wav", "--start", "0:01.5", "--duration", "1.25", "--json").records[
        0
    ]
    whole, part = soundfile.read("whole.wav")[0], soundfile.read("part.wav")[0]
    assert len(part) == record["samples"] == round(1.25 * 44100)
    begin = round(1.5 * 44100)
    assert np.abs(part - whole[begin : begin + len(part)]).max() < 2e-4
    assert "ends at" in swc("decode", "a.swc", "late.wav", "--start", "9", code=2).err
    assert "not a time" in swc("decode", "a.swc", "late.wav", "--start", "1:75", code=2).err
    assert not Path("late.wav").exists()


def test_damage_is_an_error_or_concealed(swc, stream):
    damaged = bytearray(stream)
    damaged[len(stream) // 2] ^= 1
    Path("a.swc").write_bytes(damaged)
    result = swc("decode", "a.swc", code=3)
    assert result.err.startswith("swc: error: a.swc: window 2 at 1.997 s is damaged")
    assert not Path("a.wav").exists()
    result = swc("decode", "a.swc", "--conceal", "--json", "--quiet")
    assert result.err.startswith("swc: a.swc: window 2 at 1.997 s is damaged") and result.err.count("\n") == 1
    assert [entry["window"] for entry in result.records[0]["concealed"]] == [2]
    assert soundfile.info("a.wav").frames == round(4.2 * 44100)


def test_truncated_stream_is_an_error_or_decoded_to_its_end(swc, stream):
    Path("a.swc").write_bytes(stream[: 3 * len(stream) // 4])
    assert "truncated" in swc("decode", "a.swc", code=3).err
    assert not Path("a.wav").exists()
    result = swc("decode", "a.swc", "--conceal", "--json")
    assert "truncated" in result.err and result.records[0]["truncated"]
    assert soundfile.info("a.wav").frames == pytest.approx(3 * 44032, abs=1)
    piped = swc("decode", "-", "-", "--conceal", input=Path("a.swc").read_bytes())
    assert len(piped.data) > 3 * 44032 * 4


def test_invalid_streams_are_refused(swc, files):
    files.write("a.wav", 0.2)
    assert "a.wav: not a .swc stream" in swc("decode", "a.wav", "-o", "b.wav", code=3).err
    Path("empty.swc").touch()
    assert "empty.swc: the file is empty" in swc("decode", "empty.swc", code=3).err


def test_other_weights_are_refused(swc, stream, weights, other_weights):
    Path("a.swc").write_bytes(stream)
    own = json.loads(swc("weights", "show", weights, "--json").out)["fingerprint"]
    other = json.loads(swc("weights", "show", other_weights, "--json").out)["fingerprint"]
    message = swc("decode", "a.swc", "--weights", other_weights, code=4).err
    assert own[:12] in message and other[:12] in message
    assert "no such weights" in swc("decode", "a.swc", "--weights", "nothing", code=4).err
    Path("bad.safetensors").write_bytes(b"not weights")
    assert "bad.safetensors" in swc("decode", "a.swc", "--weights", "bad.safetensors", code=4).err
    assert not Path("a.wav").exists()


def test_devices(swc, files):
    import torch

    files.write("a.wav", 0.2)
    missing = f"cuda:{torch.cuda.device_count()}"
    assert missing in swc("encode", "a.wav", "--device", missing, code=5).err
    assert "unknown device" in swc("encode", "a.wav", "--device", "gpu", code=2).err
    swc("encode", "a.wav", "--device", "cpu")


def test_result_line_of_encode(swc, files):
    files.write("a.wav", 2.0)
    line = swc("encode", "a.wav").err
    for part in ("a.wav -> a.swc: 2.00 s mono", " kB", "kbps", "of 16-bit PCM", "× real time"):
        assert part in line
    assert line.count("\n") == 1
    assert swc("encode", "a.wav", "--force", "--quiet").err == ""
