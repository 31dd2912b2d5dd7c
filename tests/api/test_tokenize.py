"""Tokens of audio and audio of tokens; several recordings at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_codecs
import torch

from switchcodec_cli import Codec, Tokens, UsageError, WeightsError

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
