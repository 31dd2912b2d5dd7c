"""Decoding through ffmpeg: with a script in its place, and with ffmpeg itself where it is installed."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from signals import tones

from switchcodec_cli.audio import AudioReader
from switchcodec_cli.audio.formats import FFMPEG_SUFFIXES, needs_ffmpeg
from switchcodec_cli.errors import BadInputError

REAL_FFMPEG = shutil.which("ffmpeg")
M4A = b"\0\0\0\x20ftypM4A \0\0\0\0 and so on, as it is in files of phones"


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Put a shell script in place of ffmpeg; it may use the WAV file $WAV."""

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "ffmpeg"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n{script}\n')
        program.chmod(0o755)
        wav = io.BytesIO()
        soundfile.write(wav, tones(50000, 2), 32000, format="WAV", subtype="FLOAT")
        data = wav.getvalue()
        at = data.index(b"data") + 4
        (tmp_path / "piped.wav").write_bytes(data[:at] + b"\xff" * 4 + data[at + 4 :])
        monkeypatch.setenv("WAV", str(tmp_path / "piped.wav"))
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    return install


@pytest.fixture
def phone_recording(tmp_path):
    path = tmp_path / "-my voice.m4a"
    path.write_bytes(M4A)
    return path


def test_file_is_decoded(fake_ffmpeg, phone_recording, tmp_path):
    fake_ffmpeg('cat "$WAV"')
    with AudioReader(phone_recording) as reader:
        assert (reader.sample_rate, reader.channels, reader.frames) == (32000, 2, None)
        assert not reader.is_lossless
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(7000))), tones(50000, 2))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert f"file:{phone_recording}" in arguments and "-nostdin" in arguments


def test_stream_is_recognised_by_its_content_and_copied_to_a_file(fake_ffmpeg, tmp_path):
    fake_ffmpeg('case "$*" in *file:/*) cat "$WAV";; esac')
    with AudioReader(io.BytesIO(M4A)) as reader:
        assert len(reader.read()) == 50000
        copy = [word[5:] for word in (tmp_path / "arguments").read_text().split() if word.startswith("file:")]
        assert Path(copy[0]).read_bytes() == M4A
    assert not Path(copy[0]).exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo '[mov @ 0x5] [in] moov atom not found' >&2; echo more >&2; exit 1",
            r"\(moov atom not found\)",
        ),
        ("exit 7", r"\(exit code 7\)"),
        ('head -c 100000 "$WAV"; echo "[aac @ 1] damaged" >&2; exit 1', r"\(damaged\)"),
        ('cat "$WAV"; echo "[aac @ 1] partial file" >&2', r"\(partial file\)"),
        ("true", "delivers no audio"),
    ],
)
def test_errors_are_one_line(fake_ffmpeg, phone_recording, script, message):
    fake_ffmpeg(script)
    with pytest.raises(BadInputError, match=message) as caught, AudioReader(phone_recording) as reader:
        reader.read()
    assert str(phone_recording) in str(caught.value) and "\n" not in str(caught.value)


def test_abandoned_program_is_ended(fake_ffmpeg, phone_recording, tmp_path):
    fake_ffmpeg(f'echo $$ > {tmp_path}/pid; cat "$WAV"; exec sleep 60')
    with AudioReader(phone_recording) as reader:
        next(reader.blocks(100))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_missing_program_is_named(phone_recording, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInputError, match=r"decoded by ffmpeg, which is not installed.*swc encode -"):
        AudioReader(phone_recording)


def test_recognition_of_formats():
    assert needs_ffmpeg(M4A) and needs_ffmpeg(b"", "A.WMA") and needs_ffmpeg(b"\xff\xf1\x50")
    assert not needs_ffmpeg(b"fLaC", "a.flac") and not needs_ffmpeg(b"\xff\xfb\x90")  # MPEG layer III
    assert {".m4a", ".mp4", ".wma", ".aac", ".wv", ".ape"} <= FFMPEG_SUFFIXES


def test_memory_is_constant(fake_ffmpeg, phone_recording):
    fake_ffmpeg('head -c 1000 "$WAV"; head -c 200000000 /dev/zero')
    program = (
        "import sys, resource\n"
        "from switchcodec_cli.audio import AudioReader\n"
        f"reader = AudioReader({str(phone_recording)!r})\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "frames = sum(len(block) for block in reader.blocks())\n"
        "print(frames, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    frames, grown_mb = map(int, output.split())
    assert frames > 24_000_000 and grown_mb < 30


@pytest.mark.skipif(REAL_FFMPEG is None, reason="needs ffmpeg")
@pytest.mark.parametrize("suffix", ["m4a", "aac", "wma", "wv", "mka"])
def test_real_ffmpeg(tmp_path, suffix):
    source, path = tmp_path / "a.wav", tmp_path / f"a.{suffix}"
    soundfile.write(source, tones(88200), 44100)
    subprocess.run(
        [REAL_FFMPEG, "-loglevel", "error", "-i", source, path], check=True, stdin=subprocess.DEVNULL
    )
    with AudioReader(path) as reader:
        assert (reader.sample_rate, reader.channels) == (44100, 1)
        assert len(reader.read()) == pytest.approx(88200, abs=5000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if suffix == "m4a" else M4A)
    with pytest.raises(BadInputError, match="ffmpeg cannot decode it"), AudioReader(path) as reader:
        reader.read()
