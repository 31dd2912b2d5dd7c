"""The options --abr, --vbr, --max-kbps and --effort of `swc encode`."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.bitstream import RateMode, StreamReader

GOLDEN = Path(__file__).parents[1] / "golden" / "spectral.safetensors"


def varying_sound() -> np.ndarray:
    """Loud, silent and quiet sections."""
    random = np.random.default_rng(0)
    levels = np.repeat([0.3, 0.0, 0.01, 0.2], 44100 * 3 // 2)
    return (levels * random.standard_normal(len(levels)).cumsum() / 300).clip(-1, 1).astype(np.float32)


def test_average_rate_of_a_short_pipe_equals_that_of_a_file(swc):
    buffer = io.BytesIO()
    soundfile.write(buffer, varying_sound(), 44100, format="WAV")
    with open("a.wav", "wb") as file:
        file.write(buffer.getvalue())
    swc("encode", "a.wav", "--abr", "2", "--quiet")
    piped = swc("encode", "-", "-", "--abr", "2", "--quiet", input=buffer.getvalue()).data
    with open("a.swc", "rb") as file:
        kept = file.read()
    assert 8e-3 * len(kept) / 6 <= 2
    header = StreamReader(io.BytesIO(kept)).header
    assert (header.rate_mode, header.nominal_bits_per_second) == (RateMode.AVERAGE, 2000)
    assert list(StreamReader(io.BytesIO(piped)).windows()) == list(StreamReader(io.BytesIO(kept)).windows())


def test_info_of_a_variable_rate(swc):
    soundfile.write("a.wav", varying_sound(), 44100)
    # with random weights experts do not improve the quality, with these they do
    swc("encode", "a.wav", "--vbr", "6", "--effort", "0", "--quiet", "--weights", GOLDEN)
    (record,) = swc("info", "a.swc", "--windows", "--json").records
    assert record["rate_mode"] == "quality" and record["experts_per_window"] is None
    counts = [len(window["signals"][0]["experts"]) for window in record["window_list"]]
    sizes = [window["bytes"] for window in record["window_list"]]
    assert len(set(sizes)) > 2 and np.corrcoef(counts, sizes)[0, 1] > 0.8
    assert sum(sizes) < record["bytes"]
    assert "silent" in {window["signals"][0]["coding"] for window in record["window_list"]}
    text = swc("info", "a.swc", "--windows").out
    assert "constant quality" in text and "shared" in text and "silent" in text


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--abr", "2", "--experts", "1"), "give one of them"),
        (("--abr", "2", "--vbr", "1", "--kbps", "2"), "give one of them"),
        (("--max-kbps", "2"), "--abr or --vbr"),
        (("--abr", "0.3"), "or more"),
        (("--abr", "3", "--max-kbps", "2"), "raise it, or lower the average"),
        (("--effort", "4"), "0<=x<=3"),
    ],
)
def test_invalid_rates_are_reported_with_a_hint(swc, files, options, hint):
    files.write("a.wav", 0.2)
    result = swc("encode", "a.wav", "b.swc", *options, code=2)
    assert hint in result.err and len(result.err.splitlines()) <= 4
    assert not list(Path().glob("*.swc*"))


def test_recordings_too_short_for_a_rate_are_named(swc, files):
    files.write("short.wav", 0.4)
    files.write("long.wav", 20.0)
    assert "needs it for the header" in swc("encode", "short.wav", "--abr", "1.0").err
    assert "kbps, more than" not in swc("encode", "long.wav", "--abr", "1.0").err
