"""Arguments of the Python API: arrays of any usual type, streams as context managers, forked processes."""

from __future__ import annotations

import io
import multiprocessing
import os

import numpy as np
import pytest
import torch
from tiny_codecs import audio, codec

from switchcodec_cli.audio.samples import as_samples
from switchcodec_cli.encoder import EFFORTS, EncoderSettings, SourceFormat
from switchcodec_cli.errors import DeviceError, UsageError
from switchcodec_cli.model.device import adapt_to_fork

RATE = 16000
SOUND = audio(2 * RATE, 2, RATE) * 0.5


def encode(samples, **options):
    return codec("spectral").encode(samples, RATE, **({"experts": 1, "effort": 0} | options))


@pytest.mark.parametrize(
    ("kind", "scale", "offset"),
    [("int8", 128, 0), ("uint8", 128, 128), ("int16", 32768, 0), (">i2", 32768, 0), ("int32", 2**31, 0)],
)
def test_integers_are_scaled_by_their_type(kind, scale, offset):
    integers = np.round(SOUND.astype(np.float64) * scale + offset).astype(kind)
    floats = ((integers.astype(np.float64) - offset) / scale).astype(np.float32)
    np.testing.assert_array_equal(as_samples(integers), floats)
    assert encode(integers) == encode(floats)


@pytest.mark.parametrize("kind", ["int16", "float16", "float32", "float64"])
def test_tensors_are_accepted(kind):
    samples = (SOUND * 32768).astype(kind) if kind == "int16" else SOUND.astype(kind)
    tensor = torch.from_numpy(samples)
    assert encode(tensor) == encode(samples)
    if tensor.is_floating_point():
        assert encode(tensor.requires_grad_()) == encode(samples)
    assert encode(torch.ones(50, dtype=torch.bfloat16)) == encode(np.ones(50))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(9, bool), "type bool"),
        (np.zeros(9, complex), "type complex128"),
        (np.ones(9, np.int64), "type int64"),
        (np.array(["a"]), "type"),
        (None, "shape"),
        ([[1.0, 2.0], [3.0]], "not an array"),
        (np.array([0.0, np.nan]), "finite"),
        (np.array([1e300]), "finite"),
    ],
)
def test_other_arrays_are_refused(samples, message):
    with pytest.raises(UsageError, match=message):
        encode(samples)
    encoder = codec("spectral").encoder(io.BytesIO(), SourceFormat(RATE, 1), EncoderSettings(experts=0))
    with pytest.raises(UsageError, match=message):
        encoder.write(samples)


def test_an_encoder_is_a_context_manager_that_closes_once():
    file = io.BytesIO()
    source, settings = SourceFormat(RATE, 2), EncoderSettings(experts=1, effort=0)
    with codec("spectral").encoder(file, source, settings) as encoder:
        encoder.write(SOUND)
    written = file.getvalue()
    assert encoder.close() == encoder.close()
    assert file.getvalue() == written
    with pytest.raises(UsageError, match="closed"):
        encoder.write(SOUND)
    with codec("spectral").decoder(io.BytesIO(written)) as decoder:
        assert sum(map(len, decoder.blocks())) == len(SOUND)


def test_an_error_leaves_a_stream_without_trailer():
    file = io.BytesIO()
    with pytest.raises(KeyError), codec("spectral").encoder(file, SourceFormat(RATE, 2)) as encoder:
        encoder.write(SOUND)
        raise KeyError
    assert b"CWS\x89" not in file.getvalue()


def test_the_announced_number_of_samples_is_checked():
    encoder = codec("spectral").encoder(io.BytesIO(), SourceFormat(RATE, 2, total_samples=5))
    encoder.write(SOUND)
    with pytest.raises(UsageError, match="5 were announced"):
        encoder.close()
    encoder = codec("spectral").encoder(io.BytesIO(), SourceFormat(RATE, 2))
    with pytest.raises(UsageError, match=r"must be \(n, 2\)"):
        encoder.write(SOUND[:, 0])


@pytest.mark.parametrize("effort", EFFORTS)
def test_encoding_works_in_inference_mode(effort):
    expected = encode(SOUND[:RATE], effort=effort)
    with torch.inference_mode():
        assert encode(SOUND[:RATE], effort=effort) == expected
        codec("spectral").decode(expected)
    with torch.no_grad():
        assert encode(SOUND[:RATE], effort=effort) == expected


def _encode_again(expected: bytes) -> bool:
    decoded, _ = codec("spectral").decode(expected)
    return encode(SOUND) == expected and len(decoded) == len(SOUND)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_codec_works_in_forked_processes():
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # so that OpenMP has threads that a fork loses
    try:
        torch.ones(1000, 1000) @ torch.ones(1000, 1000)
        expected = encode(SOUND)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(_encode_again, [expected] * 2).get(timeout=60) == [True, True]
    finally:
        torch.set_num_threads(before)


def test_a_codec_on_a_gpu_refuses_forked_processes():
    with pytest.raises(DeviceError, match="spawn"):
        adapt_to_fork(torch.device("cuda"), os.getpid() + 1)
    adapt_to_fork(torch.device("cuda"), os.getpid())
