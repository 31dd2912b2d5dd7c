"""Decoding to audio: layers that cannot be decoded are damage of their windows."""

from __future__ import annotations

import copy
import io
from dataclasses import replace

import numpy as np
import pytest
from layered_codecs import layered, layered_codec
from streams import write_stream
from tiny_codecs import audio

from switchcodec_cli import Codec
from switchcodec_cli.bitstream import StreamReader, verify
from switchcodec_cli.errors import BadInputError, WeightsError


def stream_of(channels: int) -> bytes:
    """About seven seconds."""
    codec = layered_codec("spectral")
    return layered(codec, codec.encode(audio(7 * 16000 + 123, channels, 16000), 16000, effort=0, quality=4.0))


@pytest.mark.parametrize("channels", [1, 2])
def test_streams_with_layers_decode(channels: int) -> None:
    data = stream_of(channels)
    assert verify(io.BytesIO(data)).ok
    decoded, rate = layered_codec("spectral").decode(data)
    assert rate == 16000
    assert len(decoded) == 7 * 16000 + 123
    assert np.isfinite(decoded).all()


def test_damaged_layer_is_a_damaged_window() -> None:
    data, codec = stream_of(1), layered_codec("spectral")
    reader = StreamReader(io.BytesIO(data))
    windows = list(reader)
    first = next(number for number, window in enumerate(windows) if number and window.blocks[0].waveform)
    block = replace(windows[first].blocks[0], waveform=b"\0" + windows[first].blocks[0].waveform[1:])
    windows[first] = replace(windows[first], blocks=(block,))
    damaged = write_stream(reader.header, windows, reader.total_samples)
    assert verify(io.BytesIO(damaged)).ok  # only a decoder can know
    with pytest.raises(BadInputError, match=rf"window {first} at .* \(waveform layer: its step is 0"):
        codec.decode(damaged)
    decoder = codec.decoder(io.BytesIO(damaged), conceal=True)
    assert sum(len(samples) for samples in decoder.blocks()) == reader.total_samples
    assert [window.index for window in decoder.damage] == [first]


def test_weights_without_a_waveform_model() -> None:
    codec = layered_codec("spectral")
    model = copy.deepcopy(codec.model)
    model.waveform_tensors = None
    model.__dict__.pop("waveform_model", None)
    with pytest.raises(WeightsError, match="these weights have no waveform model"):
        Codec(model, codec.fingerprint).decode(stream_of(1))
