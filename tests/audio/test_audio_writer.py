"""AudioWriter: formats, exactness, pipes, and clean-up after failures."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from signals import ENVIRONMENT, tones

from switchcodec_cli.audio import AudioReader, AudioWriter
from switchcodec_cli.audio.wav import SampleFormat, build_header, decode_samples
from switchcodec_cli.errors import SwcError, UsageError


def write(output, audio, sample_rate=44100, **how):
    with AudioWriter(output, sample_rate, audio.shape[1], **how) as writer:
        for start in range(0, len(audio), 3000):
            writer.write(audio[start : start + 3000])


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "caf", "w64"])
@pytest.mark.parametrize("subtype, step", [("PCM_16", 2**-15), ("PCM_24", 2**-23), ("FLOAT", 0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats(tmp_path, suffix, subtype, step, channels):
    if suffix == "flac" and subtype == "FLOAT":
        with pytest.raises(UsageError, match=r"FLAC does not support FLOAT, only .*PCM_24"):
            AudioWriter(tmp_path / "x.flac", 44100, 1, "FLOAT")
        return
    path, audio = tmp_path / f"out.{suffix}", tones(10001, channels)
    write(path, audio, subtype=subtype.lower())
    info = soundfile.info(path)
    assert (info.frames, info.channels, info.samplerate, info.subtype) == (10001, channels, 44100, subtype)
    back, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.abs(back - audio).max() <= step / 2 + 1e-9
    assert os.listdir(tmp_path) == [path.name]


def test_samples_of_16_bits_are_unchanged(tmp_path):
    """All 65536 values, in every format."""
    every = np.arange(-32768, 32768).astype(np.int16)
    soundfile.write(tmp_path / "in.wav", every, 44100)
    audio = AudioReader(tmp_path / "in.wav").read()
    for name in ("a.wav", "a.flac", "a.aiff", "a.caf"):
        write(tmp_path / name, audio)
        np.testing.assert_array_equal(soundfile.read(tmp_path / name, dtype="int16")[0], every)
    write(tmp_path / "a.raw", audio)
    assert (tmp_path / "a.raw").read_bytes() == every.astype("<i2").tobytes()


def test_clipping_and_rounding():
    audio = np.array([[2.0], [1.0], [-1.0], [-5.0], [0.6 / 32768], [-0.6 / 32768], [0.4 / 32768]], np.float32)
    for subtype, low, high in (
        ("PCM_U8", -128, 127), ("PCM_16", -32768, 32767),
        ("PCM_24", -(2**23), 2**23 - 1), ("PCM_32", -(2**31), 2**31 - 1),
    ):  # fmt: skip
        buffer = io.BytesIO()
        write(buffer, audio, subtype=subtype)
        buffer.seek(0)
        values = soundfile.read(buffer, dtype="float64")[0] * -low
        np.testing.assert_array_equal(values[:4], [high, high, low, low])
    buffer = io.BytesIO()
    write(buffer, audio, format="raw")
    assert np.frombuffer(buffer.getvalue(), "<i2")[4:].tolist() == [1, -1, 0]
    buffer = io.BytesIO()
    write(buffer, audio, format="raw", subtype="FLOAT")
    np.testing.assert_array_equal(np.frombuffer(buffer.getvalue(), "<f4"), audio[:, 0])


@pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3"])
def test_lossy_formats(tmp_path, suffix):
    path, audio = tmp_path / f"out.{suffix}", tones(96000, 2, 48000)
    write(path, 4 * audio, 48000)  # far over full scale
    back, rate = soundfile.read(path)
    assert rate == 48000 and abs(len(back) - 96000) <= 1
    assert np.corrcoef(back[:90000, 0], audio[:90000, 0].clip(-0.25, 0.25))[0, 1] > 0.95


def test_files_of_one_frame_and_of_none(tmp_path):
    for suffix in ("wav", "flac", "ogg", "aiff", "raw"):
        for frames in (0, 1):
            write(tmp_path / f"{frames}.{suffix}", tones(frames))
            assert (tmp_path / f"{frames}.{suffix}").exists()
    assert soundfile.info(tmp_path / "0.wav").frames == 0 and soundfile.info(tmp_path / "1.wav").frames == 1
    assert (tmp_path / "0.wav").stat().st_size == 80 and (tmp_path / "0.raw").stat().st_size == 0


@pytest.mark.parametrize("announced", [None, 5001])
def test_wav_of_odd_size_is_padded(announced):
    buffer = io.BytesIO()
    write(buffer, tones(5001), subtype="PCM_24", frames=announced)
    data = buffer.getvalue()
    assert len(data) % 2 == 0 and int.from_bytes(data[4:8], "little") == len(data) - 8
    buffer.seek(0)
    assert soundfile.info(buffer).frames == 5001
    assert (data[36:40] == b"data") == (
        announced is not None
    )  # with a known length the plain header of 44 bytes


def test_wav_beyond_4_gib_is_rf64(tmp_path):
    path, frames = tmp_path / "large.wav", 1_200_000_000
    with open(path, "wb") as file:  # a sparse file
        header = build_header(SampleFormat(44100, 2, "PCM_16"), frames)
        file.write(header)
        file.truncate(len(header) + frames * 4)
    info = soundfile.info(path)
    assert (info.format, info.frames) == ("RF64", frames)
    with AudioReader(path) as reader:
        assert reader.frames == frames and len(next(reader.blocks(1000))) == 1000
    samples = SampleFormat(8000, 1, "FLOAT")
    assert len(build_header(samples, None, True)) == len(build_header(samples, 1 << 33, True))


def run_piped(program: str, **how) -> subprocess.CompletedProcess:
    start = (
        "import numpy as np, sys\n"
        "from switchcodec_cli.audio import AudioWriter\n"
        "audio = (np.arange(30000)[:, None] % 200 / 400).astype(np.float32)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start + program], stderr=subprocess.PIPE, env=ENVIRONMENT, **how
    )


@pytest.mark.parametrize("frames, size", [("30000", 60000), ("None", 0xFFFFFFFF)])
def test_wav_on_standard_output(frames, size):
    program = f"with AudioWriter('-', 16000, 1, frames={frames}) as writer: writer.write(audio)"
    result = run_piped(program, stdout=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    assert int.from_bytes(result.stdout[40:44], "little") == size and len(result.stdout) == 44 + 60000
    with AudioReader(io.BytesIO(result.stdout)) as reader:
        assert reader.sample_rate == 16000 and reader.frames == 30000
        np.testing.assert_allclose(reader.read()[:, 0], np.arange(30000) % 200 / 400, atol=2e-5)


def test_raw_on_standard_output():
    program = "with AudioWriter('-', 16000, 1, 'FLOAT', format='raw') as writer: writer.write(audio)"
    result = run_piped(program, stdout=subprocess.PIPE)
    np.testing.assert_array_equal(
        decode_samples(result.stdout, "FLOAT"), (np.arange(30000) % 200 / 400).astype(np.float32)
    )


def test_full_disk_and_closed_pipe():
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    program = "with AudioWriter('-', 16000, 1) as writer:\n  for _ in range(9): writer.write(audio)\n"
    with open("/dev/full", "wb") as full:
        result = run_piped(program, stdout=full)
    assert b"SwcError: standard output: cannot write: no space left on device" in result.stderr
    reading, writing = os.pipe()
    os.close(reading)
    result = run_piped(program, stdout=writing)
    os.close(writing)
    assert b"BrokenPipeError" in result.stderr and b"SwcError" not in result.stderr


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "raw"])
def test_full_disk_leaves_no_file(tmp_path, suffix):
    """A limit on the file size makes the same calls fail as a full disk."""
    pytest.importorskip("resource")
    program = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "noise = np.random.default_rng(0).uniform(-1, 1, (200000, 1))\n"
        f"with AudioWriter('out.{suffix}', 16000, 1) as writer: writer.write(noise)"
    )
    result = run_piped(program, cwd=tmp_path)
    assert b"SwcError" in result.stderr and b"cannot write" in result.stderr
    assert result.returncode == 1 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "raw"])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_existing_file_is_unchanged_after_a_failure(tmp_path, suffix, failure):
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(UsageError, match="exists already"):
        write(path, tones(10))
    with pytest.raises(failure), AudioWriter(path, 44100, 1, force=True) as writer:
        writer.write(tones(100))
        raise failure
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == [path.name]
    write(path, tones(100), force=True)
    assert path.read_bytes() != b"old" and os.listdir(tmp_path) == [path.name]


def test_unsupported_outputs_are_refused(tmp_path):
    for name, how, kind, message in [
        ("a.xyz", {}, UsageError, r"unknown audio format '\.xyz'; supported are .*\.flac"),
        ("a", {}, UsageError, "no suffix"),
        ("a.wav", {"subtype": "VORBIS"}, UsageError, "WAV does not support VORBIS"),
        ("a.mp3", {"sample_rate": 96000}, UsageError, "does not support 96000 Hz"),
        ("a.opus", {"sample_rate": 44100}, UsageError, "OPUS does not support 44100 Hz, only 8000"),
        ("missing/a.wav", {}, SwcError, "no such file"),
        ("missing/a.flac", {}, SwcError, "no such file"),
    ]:
        with pytest.raises(kind, match=message) as caught:
            write(tmp_path / name, tones(10), **how)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path / "folder.wav", tones(10), force=True)
    with (
        pytest.raises(ValueError, match=r"\(frames, 2\)"),
        AudioWriter(tmp_path / "a.wav", 8000, 2) as writer,
    ):
        writer.write(tones(10, 1))
    assert os.listdir(tmp_path) == ["folder.wav"]
