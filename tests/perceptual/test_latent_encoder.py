"""Latents of weights with a refiner: better ones, and the same ones in chunks as in one run."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_codecs import audio, codec

from switchcodec_cli import Codec, EncoderSettings, SourceFormat
from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.streaming import ContextStream
from switchcodec_cli.model.weights import load_weights, save_weights
from switchcodec_cli.perceptual import LatentEncoder, PerceptualDistance
from switchcodec_cli.training.refiner import with_refiner

BLOCKS = 2


@pytest.fixture(scope="module")
def untrained() -> CodecModel:
    """The golden model with a new refiner."""
    return with_refiner(codec("spectral").model, BLOCKS)


@pytest.fixture(scope="module")
def model() -> CodecModel:
    """The same with a refiner that uses all of its inputs."""
    torch.manual_seed(0)
    made = with_refiner(codec("spectral").model, BLOCKS)
    torch.nn.init.normal_(made.backbone.refiner.head.weight, std=0.1)
    return made


def signal(model: CodecModel, frames: int) -> torch.Tensor:
    return torch.from_numpy(audio(frames * model.hop, 1, model.config.sample_rate)).mT


@torch.no_grad()
def test_a_new_refiner_reduces_the_distance(untrained):
    samples, distance = signal(untrained, 60), PerceptualDistance(untrained)
    magnitude = untrained.backbone.stft_magnitude(samples.view(1, 60, -1))
    wanted = distance.input_features(magnitude)
    first, refined = untrained.backbone.encode(samples), LatentEncoder(untrained, distance)(samples)
    before, after = (distance.distance(distance.decoded_features(z), wanted).mean() for z in (first, refined))
    assert after < 0.99 * before


@torch.no_grad()
def test_latents_depend_on_the_context_alone(model):
    encode = LatentEncoder(model, PerceptualDistance(model))
    frames = 2 * encode.context + 21
    samples, place = signal(model, frames), frames // 2
    disturbed = samples.clone()
    disturbed[0, place * model.hop] += 0.5
    changed = (encode(disturbed) - encode(samples)).abs().amax(-1)[0].nonzero()[:, 0]
    assert place - encode.context <= changed.min() and changed.max() <= place + encode.context
    # and reach beyond what the encoder network sees
    assert changed.max() - place > model.backbone.encoder_context + model.backbone.decoder.context


@torch.no_grad()
def test_chunks_give_the_latents_of_the_whole(model):
    encode = LatentEncoder(model, PerceptualDistance(model))
    samples = signal(model, 150)
    whole = encode(samples)
    stream = ContextStream(lambda frames: encode(frames.flatten(1)), encode.context, 40)
    blocks = samples.view(1, 150, -1).split((11, 90, 49), 1)
    parts = [piece for number, block in enumerate(blocks) for piece in stream.push(block, number == 2)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-4 * whole.std().item())


@pytest.mark.parametrize("effort", [0, 2])
def test_streams_do_not_depend_on_blocks_or_inference_mode(model, effort):
    this = Codec(model, bytes(16))
    samples = audio(41_000, 1, this.sample_rate)
    with torch.inference_mode():
        whole = this.encode(samples, this.sample_rate, average_kbps=2.0, effort=effort)
    settings = EncoderSettings(average_kbps=2.0, effort=effort)
    source = SourceFormat(this.sample_rate, total_samples=len(samples))
    first_pass = this.first_pass(source, settings)
    first_pass.write(samples)
    file = io.BytesIO()
    with this.encoder(file, source, settings, first_pass.close()) as encoder:
        for block in np.split(samples, (700, 20_000)):
            encoder.write(block)
    assert file.getvalue() == whole
    unrefined = codec("spectral").encode(samples, this.sample_rate, average_kbps=2.0, effort=effort)
    assert whole != unrefined.replace(codec("spectral").fingerprint, bytes(16))


def test_weights_file_keeps_the_refiner(model, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, model, {})
    loaded = load_weights(path).model
    assert loaded.config == model.config
    samples = signal(model, 40)
    with torch.no_grad():
        ours, theirs = (LatentEncoder(each, PerceptualDistance(each))(samples) for each in (model, loaded))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05 * ours.std().item())  # half precision


def test_a_refiner_is_for_the_spectral_backbone():
    with pytest.raises(UsageError, match="spectral"):
        with_refiner(codec("dac").model, BLOCKS)


def test_the_configuration_names_the_refiner_only_where_there_is_one(model):
    assert model.config.to_dict()["spectral"]["refiner_blocks"] == BLOCKS
    none = replace(model.config, spectral=replace(model.config.spectral, refiner_blocks=0))
    assert "refiner_blocks" not in none.to_dict()["spectral"]
