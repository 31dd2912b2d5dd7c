"""AudioReader: formats, pipes, unusual lengths, and invalid input."""

import io
import os
import struct
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from signals import ENVIRONMENT, tones

from switchcodec_cli.audio import AudioReader
from switchcodec_cli.audio.formats import parse_raw_format
from switchcodec_cli.errors import BadInputError, UsageError


def file_bytes(audio, sample_rate=44100, **how):
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, sample_rate, **{"format": "WAV", **how})
    return buffer.getvalue()


class Pipe:
    """The reading end of a pipe to which a thread writes `data`."""

    def __init__(self, data: bytes):
        reading, writing = os.pipe()
        self.file = os.fdopen(reading, "rb")
        self._thread = threading.Thread(target=self._feed, args=(writing, data))
        self._thread.start()

    @staticmethod
    def _feed(writing, data):
        try:
            with os.fdopen(writing, "wb") as file:
                file.write(data)
        except BrokenPipeError:
            pass

    def __enter__(self):
        return self.file

    def __exit__(self, *_):
        self.file.close()
        self._thread.join()


def read_pipe(data: bytes, block: int = 4096):
    with Pipe(data) as pipe, AudioReader(pipe) as reader:
        blocks = list(reader.blocks(block))
        return reader, np.concatenate(blocks) if blocks else np.zeros((0, reader.channels), np.float32)


def with_sizes(wav: bytes, riff: int, data: int) -> bytes:
    at = wav.index(b"data") + 4
    return wav[:4] + struct.pack("<I", riff) + wav[8:at] + struct.pack("<I", data) + wav[at + 4 :]


@pytest.mark.parametrize("sample_rate", [8000, 11025, 12345, 22050, 44056, 48000, 96000, 192000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_equals_soundfile(tmp_path, sample_rate, subtype):
    path = tmp_path / "in.wav"
    soundfile.write(path, tones(3001, 2, sample_rate), sample_rate, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    with AudioReader(path) as reader:
        assert (reader.sample_rate, reader.channels, reader.frames) == (sample_rate, 2, 3001)
        assert reader.format == f"WAV/{subtype}"
        blocks = list(reader.blocks(1000))
    assert [len(block) for block in blocks] == [1000, 1000, 1000, 1]
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


@pytest.mark.parametrize(
    "how",
    [
        {"format": "FLAC", "subtype": "PCM_16"},
        {"format": "FLAC", "subtype": "PCM_24"},
        {"format": "OGG", "subtype": "VORBIS"},
        {"format": "OGG", "subtype": "OPUS"},
        {"format": "MP3"},
        {"format": "AIFF", "subtype": "PCM_24"},
        {"format": "AU", "subtype": "ULAW"},
        {"format": "CAF", "subtype": "FLOAT"},
        {"format": "W64", "subtype": "PCM_16"},
        {"format": "RF64", "subtype": "PCM_16"},
        {"format": "WAVEX", "subtype": "PCM_24"},
        {"format": "WAV", "subtype": "MS_ADPCM"},
        {"format": "WAV", "subtype": "ALAW"},
    ],
    ids=lambda how: "-".join(how.values()),
)
def test_formats_from_file_object_and_pipe(tmp_path, how):
    data = file_bytes(tones(48000, 2, 48000), 48000, **how)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    path = tmp_path / "a file without a suffix"
    path.write_bytes(data)
    for source in (path, str(path), io.BytesIO(data)):
        with AudioReader(source) as reader:
            assert (reader.sample_rate, reader.channels, reader.frames) == (48000, 2, len(expected))
            np.testing.assert_array_equal(np.concatenate(list(reader.blocks(5000))), expected)
    np.testing.assert_array_equal(read_pipe(data)[1], expected)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "AIFF", "RF64"])
def test_files_of_one_frame_and_of_none(format):
    with AudioReader(io.BytesIO(file_bytes(tones(1), format=format))) as reader:
        assert reader.frames == 1 and reader.read().shape == (1, 1)
    if format != "FLAC":  # libsndfile writes no FLAC without a frame
        with AudioReader(io.BytesIO(file_bytes(tones(0, 2), format=format))) as reader:
            assert reader.frames == 0 and list(reader.blocks()) == [] and reader.read().shape == (0, 2)


def test_six_channels():
    audio = tones(5000, 6)
    for format in ("WAV", "WAVEX", "FLAC"):
        with AudioReader(io.BytesIO(file_bytes(audio, format=format, subtype="PCM_24"))) as reader:
            assert reader.channels == 6
            np.testing.assert_allclose(reader.read(), audio, atol=2e-7)


@pytest.mark.parametrize("sizes", [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFF0, 0x7FFFF000), (36, 0)])
def test_wav_with_placeholder_sizes(tmp_path, sizes):
    data = file_bytes(tones(20000, 2))
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    unsized = with_sizes(data, *sizes)
    reader, audio = read_pipe(unsized)
    assert reader.frames is None
    np.testing.assert_array_equal(audio, expected)
    path = tmp_path / "crashed recorder.wav"
    path.write_bytes(unsized)
    with AudioReader(path) as reader:
        assert reader.frames == 20000
        np.testing.assert_array_equal(reader.read(), expected)


def test_chunks_around_the_audio_are_skipped():
    data = file_bytes(tones(3001, 1), subtype="PCM_24")  # an odd number of bytes, hence a padding byte
    start, end = data.index(b"data"), data.index(b"data") + 8 + 3 * 3001
    odd = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    after = b"\0LIST" + struct.pack("<I", 4) + b"\x7f" * 4
    changed = data[:start] + odd + data[start:end] + after
    changed = changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:]
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(AudioReader(io.BytesIO(changed)).read(), expected)
    np.testing.assert_array_equal(read_pipe(changed)[1], expected)


def test_wav_of_size_zero_followed_by_a_chunk_is_empty():
    data = file_bytes(tones(0))
    data = data[: data.index(b"data") + 8] + b"LIST" + struct.pack("<I", 4) + b"INFO"
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    reader, audio = read_pipe(data)
    assert reader.frames == 0 and len(audio) == 0


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_wav_of_size_zero_with_a_riff_size_that_covers_audio_is_read(tmp_path, subtype):
    audio = tones(70001, 1)
    data = file_bytes(audio, subtype=subtype)
    at = data.index(b"data") + 4
    data = data[:at] + bytes(4) + data[at + 4 :]
    expected = soundfile.read(io.BytesIO(file_bytes(audio, subtype=subtype)), dtype="float32")[0]
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    for how in (path, io.BytesIO(data), Pipe(data).file):
        with AudioReader(how) as reader:
            assert reader.frames == len(audio)
            np.testing.assert_array_equal(reader.read()[:, 0], expected)
    path.write_bytes(data[:-1000])
    with pytest.raises(BadInputError, match="truncated"), AudioReader(path) as reader:
        reader.read()


def test_standard_input_streams_in_constant_memory():
    """Memory does not grow while 400 MB are read from a pipe."""
    program = (
        "import sys, resource\n"
        "from switchcodec_cli.audio import AudioReader\n"
        "assert 'torch' not in sys.modules\n"
        "reader = AudioReader('-')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "frames = sum(len(block) for block in reader.blocks())\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(reader.frames, frames, grown // 1024)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    header = with_sizes(file_bytes(tones(0, 2)), 0xFFFFFFFF, 0xFFFFFFFF)
    process.stdin.write(header)
    piece = bytes(4 << 20)
    for _ in range(100):
        process.stdin.write(piece)
    output, _ = process.communicate()
    stated, frames, grown_mb = output.split()
    assert (stated, int(frames)) == (b"None", 100 * (1 << 20))
    assert int(grown_mb) < 30


def test_file_as_standard_input(tmp_path):
    path = tmp_path / "in.flac"
    soundfile.write(path, tones(1000), 16000)
    program = "from switchcodec_cli.audio import AudioReader; r = AudioReader('-'); print(r.frames, r.name)"
    with open(path, "rb") as file:
        result = subprocess.run(
            [sys.executable, "-c", program], stdin=file, capture_output=True, check=True, env=ENVIRONMENT
        )
    assert result.stdout.decode().strip() == "1000 standard input"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe(tmp_path):
    path, data = tmp_path / "fifo", file_bytes(tones(9000, 2), format="FLAC")
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=(data,))
    thread.start()
    with AudioReader(path) as reader:
        assert len(reader.read()) == 9000
    thread.join()


def test_mp3_of_variable_rate_without_length_is_read_to_its_end(tmp_path):
    quiet, loud = (
        tones(44100 * 4, 2, level=1e-4),
        np.random.default_rng(0).standard_normal((44100 * 8, 2)) * 0.2,
    )
    path = tmp_path / "whole.mp3"
    with soundfile.SoundFile(
        path, "w", 44100, 2, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    ) as file:
        file.write(np.concatenate([quiet, loud.astype(np.float32)]))
    data = path.read_bytes()
    assert b"Xing" in data[:200]
    bare = data[data.index(data[:2], 200) :]  # without the first frame, which states the length
    with soundfile.SoundFile(io.BytesIO(bare)) as file:
        assert file.frames < 44100 * 10  # the estimate of libsndfile for twelve seconds
    for source in (io.BytesIO(bare), io.BytesIO(b"ID3\4\0\0\0\0\1\0" + bytes(128) + bare)):
        with AudioReader(source) as reader:
            assert reader.frames is None
            assert 44100 * 12 <= len(reader.read()) < 44100 * 12 + 4 * 1152
    with AudioReader(io.BytesIO(data)) as reader:
        assert reader.frames == len(reader.read()) == 44100 * 12


@pytest.mark.parametrize("format", ["WAV", "FLAC", "AIFF", "AU", "W64", "RF64", "MP3"])
def test_truncated_file_is_an_error(tmp_path, format, capfd):
    path = tmp_path / f"truncated.{format.lower()}"
    data = file_bytes(tones(100000, 2), format=format)
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(BadInputError, match="truncated") as caught, AudioReader(path) as reader:
        for _ in reader.blocks():
            pass
    assert "\n" not in str(caught.value)


def test_truncated_wav_on_a_pipe_is_an_error():
    data = file_bytes(tones(100000, 2))
    with pytest.raises(BadInputError, match=r"states 2.27 s, the audio ends after 1.13 s"):
        read_pipe(data[: len(data) // 2])


def test_time_of_damage_is_reported():
    data = bytearray(file_bytes(tones(441000), format="FLAC"))
    data[len(data) // 2 : len(data) // 2 + 200] = b"\x55" * 200
    with (
        pytest.raises(BadInputError, match=r"damaged or truncated after [345]\.\d\d s"),
        AudioReader(io.BytesIO(data)) as reader,
    ):
        list(reader.blocks(1024))


@pytest.mark.parametrize(
    "value, word", [(np.nan, "not a number"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
def test_values_that_are_not_finite_are_refused(tmp_path, value, word):
    audio = tones(44100, 2)
    audio[33075, 1] = value
    for how in ({"subtype": "FLOAT"}, {"format": "CAF", "subtype": "DOUBLE"}):
        data = file_bytes(audio, **how)
        with pytest.raises(BadInputError, match=f"the sample at 0.750 s is {word}"):
            read_pipe(data, 1000)


def test_double_beyond_the_range_of_float_is_refused():
    with pytest.raises(BadInputError, match="infinite"):
        AudioReader(io.BytesIO(file_bytes(np.array([0.0, 1e300]), subtype="DOUBLE"))).read()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"hello, this is a text file without any audio" * 9, "not a supported audio file"),
        (bytes(100), "not a supported audio file"),
        (b"RIFF\0\0\0\0WAVE", "truncated WAV header"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", "truncated WAV header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "no 'fmt ' chunk"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\1\0", "too short"),
        (b"RIFF\0\0\0\0WAVE" + b"junk\xff\xff\xff\xff" + bytes(50), "truncated WAV header"),
        (file_bytes(tones(9)).replace(struct.pack("<I", 44100), bytes(4), 1), "0 Hz"),
        (file_bytes(tones(9), 500), "500 Hz is outside"),
        (file_bytes(tones(9), format="FLAC")[:30], "not a supported audio file"),
        (file_bytes(tones(9), format="OGG")[:60], "not a supported audio file"),
    ],
    ids=[
        "empty",
        "text",
        "zeros",
        "WAV without chunks",
        "WAV without content of fmt",
        "WAV without fmt",
        "WAV with short fmt",
        "WAV with a chunk beyond the end",
        "WAV of 0 Hz",
        "WAV of 500 Hz",
        "truncated FLAC",
        "truncated OGG",
    ],
)
def test_invalid_files_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=message) as caught:
        AudioReader(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    if content:
        with pytest.raises(BadInputError, match=message):
            read_pipe(content)


def test_invalid_paths_are_refused(tmp_path):
    for path, message in [
        ("", "empty"),
        (tmp_path, "is a folder"),
        (tmp_path / "missing.wav", "no such file"),
        (tmp_path / "missing.wav" / "deeper", "no such file|not a directory"),
        ("bad\0name", "not a file name"),
        ("x" * 5000, "too long"),
    ]:
        with pytest.raises(BadInputError, match=message):
            AudioReader(path)
    raw = tmp_path / "headerless.raw"
    raw.write_bytes(bytes(1000))
    with pytest.raises(BadInputError, match="raw audio"):
        AudioReader(raw)
    with pytest.raises(BadInputError, match="the input is empty"):
        read_pipe(b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(file_bytes(tones(9)))
    path.chmod(0)
    with pytest.raises(BadInputError, match="permission denied"):
        AudioReader(path)


def test_corrupt_wav_headers_raise_only_bad_input_error():
    data = file_bytes(tones(4, 2), format="WAVEX")
    for cut in range(len(data)):
        with pytest.raises(BadInputError):
            AudioReader(io.BytesIO(data[:cut])).read()
    for at in range(len(data) - 16):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            try:
                audio = AudioReader(io.BytesIO(flipped)).read()
            except BadInputError:
                continue
            assert audio.size <= len(data)


@pytest.mark.parametrize("text", ["16000,2,PCM_16", "16000,2,s16le", "16000, 2", "16000,2,float"])
def test_raw_samples(tmp_path, text):
    raw = parse_raw_format(text)
    audio = tones(5000, 2)
    path = tmp_path / "samples.dat"
    soundfile.write(path, audio, 16000, format="RAW", subtype=raw.subtype, endian="LITTLE")
    for source in (path, io.BytesIO(path.read_bytes())):
        with AudioReader(source, raw) as reader:
            assert (reader.sample_rate, reader.channels, reader.frames) == (16000, 2, 5000)
            assert reader.is_lossless
            np.testing.assert_allclose(reader.read(), audio, atol=4e-5)
    with Pipe(path.read_bytes()) as pipe, AudioReader(pipe, raw) as reader:
        assert reader.frames is None and len(reader.read()) == 5000
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInputError, match="not a multiple of"):
        AudioReader(path, raw)
    with (
        pytest.raises(BadInputError, match="not a multiple of"),
        Pipe(path.read_bytes()) as pipe,
        AudioReader(pipe, raw) as reader,
    ):
        reader.read()


@pytest.mark.parametrize("text", ["", "x", "0", "16000,0", "16000,1,PCM_16,1", "16000,1,s16be", "-8000"])
def test_invalid_raw_formats_are_refused(text):
    with pytest.raises(UsageError, match="raw audio"):
        parse_raw_format(text)


def test_notes_of_libmpg123_are_kept_off_the_terminal(tmp_path, capfd):
    data = bytearray(file_bytes(tones(441000, 2), format="MP3"))
    for at in range(3000, len(data) - 3000, 3000):
        data[at : at + 700] = bytes(range(7)) * 100
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data)
    with suppress(BadInputError), AudioReader(path) as reader:
        reader.read()
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"
