"""Waveform layers as they are encoded and decoded, with a model that expects constant sizes."""

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from random_models import Sizes, random_tensors
from random_waveform_models import WaveformSizes, random_waveform_tensors
from tiny_codecs import GOLDEN, audio

from switchcodec_cli import Codec
from switchcodec_cli.bitstream import BlockKind, StreamReader
from switchcodec_cli.bitstream.modelled_payload import restored_windows
from switchcodec_cli.encoder.waveform_coder import SHARES, WaveformCoder
from switchcodec_cli.model.dsp.mdct import mdct, mdct_basis
from switchcodec_cli.model.weights import load_weights

RATE, BINS, SIZE = 16000, 48, 66


@lru_cache
def codec() -> Codec:
    """The tiny spectral codec with an index model and a waveform model."""
    model, fingerprint, _ = load_weights(GOLDEN / "spectral.safetensors")
    quantizer = model.config.quantizer
    shape = (quantizer.experts, quantizer.codebooks, quantizer.codebook_size)
    model.index_tensors = random_tensors(Sizes(*shape, groups=4), 0)
    tensors = random_waveform_tensors(WaveformSizes(*shape, bins=BINS, classes=20, largest=31), 0)
    model.waveform_tensors = replace(
        tensors,
        output_weight=np.zeros_like(tensors.output_weight),
        output_bias=np.full(BINS, SIZE << 7, np.int32),
        offset=np.zeros(BINS, np.int32),
        levels=np.tile(np.arange(32, dtype=np.float32), (20, 1)),
    )
    return Codec(model, fingerprint)


def restored(data: bytes) -> list:
    reader = StreamReader(io.BytesIO(data))
    model = codec().model
    return list(
        restored_windows(
            reader.header, lambda: model.index_model, lambda: model.waveform_model, reader.windows(), 0, 8
        )
    )


def low_band(samples: np.ndarray) -> np.ndarray:
    """The waveform of the lowest bins. # (n,)"""
    spectrum = np.fft.rfft(samples)
    spectrum[int(len(samples) * 300 / RATE) :] = 0
    return np.fft.irfft(spectrum, len(samples))


@pytest.mark.parametrize("channels", [1, 2])
def test_layers_hold_the_coefficients_of_the_input(channels):
    samples = audio(3 * RATE, channels, RATE)
    windows = restored(codec().encode(samples, RATE, experts=6, effort=0))
    hop = codec().model.hop
    padded = np.pad(samples, ((0, -len(samples) % hop), (0, 0)))
    wanted = mdct(torch.from_numpy(padded.T.copy()), mdct_basis(hop, BINS)).numpy()
    start = 0
    for window in windows:
        for signal, block in enumerate(window.blocks):
            if block.kind is not BlockKind.CODED:
                continue
            assert block.coefficients is not None
            expected = wanted[signal, start : start + window.frames]
            step = 2.0 ** ((block.waveform[0] - 64) / 4)
            largest = max(step, 2.0 ** ((SIZE - 19 - 64) / 4))  # where the class is the last one
            error = np.abs(block.coefficients[: len(expected)] - expected)
            assert (error <= 0.601 * largest + 1e-4)[:-1].all()  # the last frame sees the continuation
        start += window.frames
    assert start == wanted.shape[1]


def test_low_band_follows_the_waveform():
    samples = audio(3 * RATE, 1, RATE)
    error = {}
    for layers in (True, False):
        this = codec() if layers else Codec(load_weights(GOLDEN / "spectral.safetensors")[0], bytes(16))
        decoded, _ = this.decode(this.encode(samples, RATE, experts=8, effort=0))
        difference = low_band(decoded.reshape(-1)) - low_band(samples[:, 0])
        error[layers] = float(np.square(difference).mean() / np.square(low_band(samples[:, 0])).mean())
    assert error[True] < 0.5 * error[False]


def test_layers_begin_at_some_share_of_the_experts():
    samples = audio(2 * RATE, 1, RATE)
    experts = codec().parameters.experts
    for count in range(experts + 1):
        blocks = [
            window.blocks[0] for window in restored(codec().encode(samples, RATE, experts=count, effort=0))
        ]
        assert any(block.waveform for block in blocks) == (count / experts >= SHARES[0])


def test_steps_are_finer_for_more_experts():
    samples = audio(2 * RATE, 1, RATE)
    steps = []
    for count in (3, 5, 8):
        first = restored(codec().encode(samples, RATE, experts=count, effort=0))[0].blocks[0]
        steps.append(first.waveform[0])
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


def test_packets_keep_a_maximum_rate():
    samples = audio(4 * RATE, 1, RATE)
    data = codec().encode(samples, RATE, quality=10.0, max_kbps=4.0, effort=0)
    reader = StreamReader(io.BytesIO(data))
    header = reader.header
    assert header.waveform_layers
    seconds = header.parameters.window_seconds
    for window in reader.windows():
        coded = [block for block in window.blocks if block.kind is BlockKind.CODED]
        size = header.layout.packet_bytes(
            window.modes,
            window.frames,
            [len(block.modelled) for block in coded],
            [len(block.waveform) for block in coded],
        )
        assert 8e-3 * size / seconds <= 4.0


def test_parts_decode_as_in_the_whole():
    samples = audio(12 * RATE, 2, RATE, seed=3)
    data = codec().encode(samples, RATE, experts=6, effort=0)
    whole, _ = codec().decode(data)
    part, _ = codec().decode(data, start=8.0, duration=2.0)
    np.testing.assert_allclose(part, whole[8 * RATE : 10 * RATE], atol=2e-4)


def test_plain_streams_have_no_layers():
    data = codec().encode(audio(RATE, 1, RATE), RATE, kbps=2.0, effort=0, cbr=True)
    assert not StreamReader(io.BytesIO(data)).header.waveform_layers


@pytest.mark.parametrize(
    ("channels", "settings", "layered"),
    [
        (1, {"kbps": 3.4}, False),
        (1, {"kbps": 3.5}, True),
        (2, {"kbps": 9.9}, False),
        (2, {"average_kbps": 10.0}, True),
        (1, {"quality": 1.9}, False),
        (1, {"quality": 2.0}, True),
        (2, {"quality": 3.9}, False),
        (2, {"quality": 4.0}, True),
        (2, {"experts": 0}, False),
        (2, {"experts": 6}, True),
    ],
)
def test_rates_from_which_streams_have_layers(channels, settings, layered):
    data = codec().encode(audio(RATE, channels, RATE), RATE, **settings, effort=0)
    assert StreamReader(io.BytesIO(data)).header.waveform_layers == layered


def test_distortion_that_layers_leave():
    model = codec().model
    remaining = WaveformCoder(model.waveform_model, 8).remaining_distortion
    assert remaining.shape == (9,)
    assert (remaining[:3] == 1).all() and (remaining[3:] < 1).all()
    assert (np.diff(remaining) <= 0).all()
