"""Stored streams of all packaged weights decode as they did when they were made."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from golden import ratio_db

from switchcodec_cli import Codec
from switchcodec_cli.bitstream import StreamReader, verify
from switchcodec_cli.bitstream.transcoding import TranscodeSettings, transcode
from switchcodec_cli.model.packaged_index_model import index_model_of, waveform_model_of
from switchcodec_cli.model.weights_info import read_weights
from switchcodec_cli.model.weights_registry import find_weights_of, packaged_weights

STREAMS = sorted((Path(__file__).parent / "packaged").glob("*.swc"))
MIN_RATIO = 40.0  # dB, relative to audio stored with 16 bits


@pytest.fixture(scope="module")
def codec():
    return Codec.load(device="cpu")


def test_each_packaged_weights_file_has_streams():
    names = {path.stem.rsplit("_", 1)[0] for path in STREAMS}
    assert names == set(packaged_weights())
    for name, path in packaged_weights().items():
        info = read_weights(path).info
        present = {"plain": True, "modelled": info.has_index_model, "layered": info.has_waveform_model}
        kinds = {kind for kind, included in present.items() if included}
        assert {path.stem.rsplit("_", 1)[1] for path in STREAMS if path.stem.startswith(name)} == kinds


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_stream_decodes_as_before(path, codec):
    data = path.read_bytes()
    assert verify(io.BytesIO(data)).ok
    name, kind = path.stem.rsplit("_", 1)
    header = StreamReader(io.BytesIO(data)).header
    assert header.entropy_coded == (kind != "plain")
    assert header.waveform_layers == (kind == "layered")
    assert find_weights_of(header.fingerprint) == packaged_weights()[name]
    audio, rate = codec.decode(data)
    stored, stored_rate = soundfile.read(path.with_suffix(".flac"), dtype="float32")
    assert rate == stored_rate
    assert ratio_db(np.clip(audio, -1, 1), stored) > MIN_RATIO


@pytest.mark.parametrize(
    "path", [path for path in STREAMS if "plain" not in path.stem], ids=lambda path: path.stem
)
def test_modelled_stream_is_coded_as_before(path):
    """Plain indices and back, which gives the same bytes only if the model and the coder are the same."""
    plain, again = io.BytesIO(), io.BytesIO()
    models = index_model_of, waveform_model_of
    transcode(io.BytesIO(path.read_bytes()), plain, TranscodeSettings(entropy_coded=False), *models)
    transcode(io.BytesIO(plain.getvalue()), again, TranscodeSettings(entropy_coded=True), *models)
    assert again.getvalue() == path.read_bytes()
