"""Rates of whole files with the default weights and their index model."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli import Codec, EncoderSettings, SourceFormat
from switchcodec_cli.bitstream import StreamReader

EXCERPT = Path(__file__).parents[2] / "examples" / "speech.flac"


@pytest.fixture(scope="module")
def codec():
    return Codec.load(device="cpu")


@pytest.fixture(scope="module")
def speech():
    """Twenty seconds of speech at various levels, and the sample rate."""
    audio, rate = soundfile.read(EXCERPT, dtype="float32")
    pieces = [audio * gain for gain in (1, 0.1, 0.5, 0.02, 1, 0.3, 0.7, 0.2)]
    return np.concatenate(pieces)[: 21 * rate], rate


def rate_of(data, seconds):
    return 8e-3 * len(data) / seconds


@pytest.mark.parametrize("kbps", [0.89, 1.3, 2.67, 4.0, 5.33, 8.0])
def test_twenty_seconds(codec, speech, kbps):
    audio, rate = speech
    real = rate_of(codec.encode(audio, rate, kbps=kbps, effort=0), len(audio) / rate)
    assert 0.95 * kbps <= real <= kbps


@pytest.mark.parametrize("kbps", [0.93, 1.78, 4.0])
def test_five_seconds(codec, speech, kbps):
    audio, rate = speech[0][: 5 * speech[1]], speech[1]
    real = rate_of(codec.encode(audio, rate, kbps=kbps, effort=0), len(audio) / rate)
    assert 0.9 * kbps <= real <= kbps


@pytest.mark.parametrize("kbps", [2.4, 5.0])
def test_stereo(codec, speech, kbps):
    audio, rate = speech
    stereo = np.stack([audio, np.roll(audio, rate)], 1)[: 10 * rate]
    real = rate_of(codec.encode(stereo, rate, kbps=kbps, effort=0), len(stereo) / rate)
    assert 0.93 * kbps <= real <= kbps


def test_pipe_without_a_known_length(codec, speech):
    audio, rate = speech
    file = io.BytesIO()
    with codec.encoder(file, SourceFormat(rate), EncoderSettings(kbps=2.67, effort=0)) as encoder:
        for start in range(0, len(audio), 30_000):
            encoder.write(audio[start : start + 30_000])
    assert 0.95 * 2.67 <= rate_of(file.getvalue(), len(audio) / rate) <= 2.67


def test_first_pass(codec, speech):
    audio, rate = speech[0][: 12 * speech[1]], speech[1]
    real = rate_of(codec.encode(audio, rate, kbps=2.67, effort=2), len(audio) / rate)
    assert 0.92 * 2.67 <= real <= 2.67


def test_silence_takes_less(codec):
    data = codec.encode(np.zeros(10 * 44100, np.float32), 44100, kbps=2.67, effort=0)
    assert len(data) < 250


def test_maximum_of_each_window(codec, speech):
    audio, rate = speech
    data = codec.encode(audio, rate, kbps=2.2, max_kbps=2.7, effort=0)
    reader = StreamReader(io.BytesIO(data))
    limit = 2.7 * 125 * reader.header.parameters.window_seconds
    assert max(len(packet.data) for packet in reader.packets()) <= limit
    assert rate_of(data, len(audio) / rate) <= 2.2


def test_modelled_indices_are_a_fifth_smaller(codec, speech):
    audio, rate = speech
    modelled, plain = (codec.encode(audio, rate, experts=2, effort=0, cbr=cbr) for cbr in (False, True))
    assert len(modelled) < 0.86 * len(plain)
    assert np.array_equal(codec.decode(modelled)[0], codec.decode(plain)[0])
