"""Tokens of audio and audio of tokens; several recordings at once."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_codecs
import torch
from layered_codecs import layered, layered_codec
from random_models import Sizes, random_tensors

from switchcodec_cli import Codec, Tokens, UsageError, WeightsError
from switchcodec_cli.training.refiner import with_refiner

SPEECH = Path(__file__).parents[2] / "examples" / "speech.flac"
LENGTHS = (0.02, 0.7, 2.3, 0.5, 0.0, 1.4, 0.7)  # in seconds


def recordings(rate: int, lengths: tuple[float, ...] = LENGTHS) -> list[np.ndarray]:
    """Recordings of one and two channels; two channels may be equal."""
    items = [
        tiny_codecs.audio(round(seconds * rate), 1 + number % 2, rate, seed=number)
        for number, seconds in enumerate(lengths)
    ]
    items[3][:, 1] = items[3][:, 0]
    return items


@pytest.mark.parametrize("name", tiny_codecs.NAMES)
def test_tokens_are_those_of_the_stream(name: str) -> None:
    codec = tiny_codecs.codec(name)
    audio = recordings(22050)[2]
    tokens = codec.tokenize(audio, 22050, effort=0, quality=4, tags={"title": "x"})
    assert tokens.to_stream() == codec.encode(audio, 22050, effort=0, quality=4, tags={"title": "x"})
    decoded, rate = codec.detokenize(tokens)
    expected, _ = codec.decode(tokens.to_stream())
    assert rate == 22050 and (decoded == expected).all()


def test_tokens_of_other_weights_are_not_decoded() -> None:
    tokens = tiny_codecs.codec("dac").tokenize(recordings(8000)[1], 8000, effort=0)
    with pytest.raises(WeightsError, match="encoded with weights"):
        tiny_codecs.codec("spectral").detokenize(tokens)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("spectral", {"experts": 2}),
        ("spectral", {"average_kbps": 6.0}),
        ("dac", {"experts": 2}),
        ("dac", {"quality": 5.0}),
    ],
)
def test_batches_of_any_lengths(name: str, rate: dict) -> None:
    codec = tiny_codecs.codec(name)
    items = recordings(22050)
    together = codec.tokenize_batch(items, 22050, effort=0, **rate)
    for item, tokens in zip(items, together, strict=True):
        alone = codec.tokenize(item, 22050, effort=0, **rate)
        assert (tokens.kinds == alone.kinds).all() and (tokens.masks == alone.masks).all()
        assert (tokens.indices != alone.indices).sum() <= 1e-3 * tokens.indices.size
        assert (tokens.source, tokens.samples, tokens.header) == (alone.source, alone.samples, alone.header)


def test_higher_efforts_give_the_same_bytes() -> None:
    codec = tiny_codecs.codec("spectral")
    items, rates = recordings(16000, (0.3, 0.5, 1.1, 0.2)), [16000, 16000, 22050, 8000]
    together = codec.tokenize_batch(items, rates, effort=2)
    for item, rate, tokens in zip(items, rates, together, strict=True):
        assert tokens.to_stream() == codec.encode(item, rate, effort=2)
    assert codec.tokenize_batch([], 16000) == []
    with pytest.raises(UsageError, match="as many sample rates"):
        codec.tokenize_batch(items, [16000])


def quantization_errors(codec: Codec, tokens: Tokens, z: torch.Tensor) -> np.ndarray:
    """Squared distance of the latents (T, D) of each frame from what the tokens stand for. # (T,)"""
    parameters = codec.parameters
    indices = torch.from_numpy(np.maximum(tokens.indices[:, 0], 0)).long()
    with torch.no_grad():
        decoded = codec.model.dequantize(torch.from_numpy(tokens.masks[:, 0]), indices).flatten(0, 1)
        errors = (decoded[: tokens.frames] - z[: tokens.frames]).square().sum(-1)
    assert len(errors) == parameters.frames_in(tokens.samples, tokens.sample_rate)
    return errors.double().numpy()


def test_batches_with_the_default_weights() -> None:
    codec = Codec.load(device="cpu")
    speech, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == codec.sample_rate
    cuts = (0.35, 2.1, 1.7, 2.9, 0.8)
    items = [speech[number * 7000 : number * 7000 + round(cut * rate)] for number, cut in enumerate(cuts)]
    items.append(np.tile(speech, 3)[: 10 * rate])  # more than one chunk
    together = codec.tokenize_batch(items, rate, effort=0, kbps=5.33)
    alone = [codec.tokenize(item, rate, effort=0, kbps=5.33) for item in items]
    sent = sum((each.indices >= 0).sum() for each in alone)
    different = sum((one.indices != other.indices).sum() for one, other in zip(together, alone, strict=True))
    assert different <= 1e-4 * sent
    for item, one, other in zip(items, together, alone, strict=True):
        z = tiny_codecs.latents_of(codec, item)
        np.testing.assert_allclose(
            quantization_errors(codec, one, z), quantization_errors(codec, other, z), rtol=1e-5
        )


@pytest.fixture(scope="module")
def modelled() -> Codec:
    """The codec with the spectral backbone and an index model of random integers."""
    codec = tiny_codecs.codec("spectral")
    model = copy.deepcopy(codec.model)
    quantizer = model.config.quantizer
    sizes = Sizes(quantizer.experts, quantizer.codebooks, quantizer.codebook_size, 4)
    model.index_tensors = random_tensors(sizes, 0)
    return Codec(model, bytes(range(16)))


@pytest.mark.parametrize("rate", [{}, {"experts": 2}, {"quality": 4.0}, {"kbps": 6.0, "cbr": True}])
def test_tokens_of_entropy_coded_streams(modelled: Codec, rate: dict) -> None:
    audio = recordings(22050)[2]
    data = modelled.encode(audio, 22050, effort=0, **rate)
    tokens = modelled.tokenize(audio, 22050, effort=0, **rate)
    assert tokens.header.entropy_coded != rate.get("cbr", False)
    assert tokens.to_stream(modelled.model.index_model) == data
    decoded, _ = modelled.detokenize(tokens)
    assert (decoded == modelled.decode(data)[0]).all()
    (together,) = modelled.tokenize_batch([audio], 22050, effort=0, **rate)
    assert together.header == tokens.header
    assert (together.indices != tokens.indices).sum() <= 1e-3 * tokens.indices.size


@pytest.mark.parametrize("channels", [1, 2])
def test_tokens_of_streams_with_waveform_layers(channels: int) -> None:
    codec = layered_codec("spectral")
    audio = tiny_codecs.audio(3 * 16000, channels, 16000)
    data = layered(codec, codec.encode(audio, 16000, effort=0, quality=4.0))
    tokens = Tokens.from_stream(data, codec.model.index_model)
    assert any(tokens.layers.flat)
    assert tokens.to_stream(codec.model.index_model) == data
    decoded, _ = codec.detokenize(tokens)
    assert (decoded == codec.decode(data)[0]).all()
    none = replace(tokens, layers=np.full(tokens.layers.shape, b"", object))
    assert (codec.detokenize(none)[0] != decoded).any()  # the layers are used


def test_batches_with_a_refiner() -> None:
    torch.manual_seed(0)
    model = with_refiner(tiny_codecs.codec("spectral").model, 2)
    torch.nn.init.normal_(model.backbone.refiner.head.weight, std=0.1)
    codec = Codec(model, bytes(16))
    items = recordings(22050, (0.02, 2.3, 0.5, 0.5, 0.0, 9.0))
    with torch.inference_mode():
        together = codec.tokenize_batch(items, 22050, effort=0, experts=2)
    for item, tokens in zip(items, together, strict=True):
        alone = codec.tokenize(item, 22050, effort=0, experts=2)
        assert (tokens.masks == alone.masks).all()
        assert (tokens.indices != alone.indices).sum() <= 1e-3 * tokens.indices.size
    unrefined = tiny_codecs.codec("spectral").tokenize(items[1], 22050, effort=0, experts=2)
    assert (unrefined.indices != together[1].indices).mean() > 0.01  # the refiner has an effect
