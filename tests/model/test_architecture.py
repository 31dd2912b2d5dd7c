"""The waveform backbone is the published one, at the published size; both backbones keep the time grid."""

import pytest
import torch
from tiny_models import BOTH, build, decoded, noise
from torch import nn

from switchcodec_cli.model.backbones.dac import ResidualUnit, Snake
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.config import ModelConfig, QuantizerConfig

PAPER = ModelConfig(
    backbone="dac",
    frames_per_window=86,
    latent_dimension=1024,
    quantizer=QuantizerConfig(experts=8, codebook_size=1024, codebooks=1, form="factorised"),
)


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return CodecModel(PAPER)


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_the_papers_size(paper):
    assert 76 <= millions(paper) < 77
    # DAC at 44.1 kHz: 22 M before and 54 M behind its quantizers
    assert millions(paper.backbone.encoder) == pytest.approx(22.3, abs=0.1)
    assert millions(paper.backbone.decoder) == pytest.approx(54.1, abs=0.1)


def convolutions(module: nn.Module) -> list[tuple]:
    return [
        (type(m).__name__, m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.dilation[0])
        for m in module.modules()
        if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)
    ]


def units(channels: int) -> list[tuple]:
    pairs = []
    for dilation in (1, 3, 9):
        pairs.append(("Conv1d", channels, channels, 7, 1, dilation))
        pairs.append(("Conv1d", channels, channels, 1, 1, 1))
    return pairs


def test_the_papers_layers(paper):
    encoder = [("Conv1d", 1, 64, 7, 1, 1)]
    for channels, stride in ((64, 2), (128, 4), (256, 8), (512, 8)):
        encoder += [*units(channels), ("Conv1d", channels, 2 * channels, 2 * stride, stride, 1)]
    assert convolutions(paper.backbone.encoder) == [*encoder, ("Conv1d", 1024, 1024, 3, 1, 1)]
    decoder = [("Conv1d", 1024, 1536, 7, 1, 1)]
    for channels, stride in ((1536, 8), (768, 8), (384, 4), (192, 2)):
        decoder += [("ConvTranspose1d", channels, channels // 2, 2 * stride, stride, 1)]
        decoder += units(channels // 2)
    assert convolutions(paper.backbone.decoder) == [*decoder, ("Conv1d", 96, 1, 7, 1, 1)]
    assert isinstance(paper.backbone.decoder.layers[-1], nn.Tanh)
    # one before each of two convolutions of three units in four blocks, one per resampling, one at the end
    for network in (paper.backbone.encoder, paper.backbone.decoder):
        assert sum(isinstance(m, Snake) for m in network.modules()) == 4 * (3 * 2 + 1) + 1


def test_snake_and_residual_unit():
    snake = Snake(2)
    snake.alpha.data = torch.tensor([0.5, 2.0]).view(1, 2, 1)
    x = noise(1, 2, 9)
    by_hand = torch.stack(
        [x[0, 0] + (0.5 * x[0, 0]).sin() ** 2 / 0.5, x[0, 1] + (2 * x[0, 1]).sin() ** 2 / 2]
    )
    torch.testing.assert_close(snake(x)[0], by_hand)
    unit = ResidualUnit(2, 3)
    for parameter in unit.layers[3].parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(unit(x), x)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("frames", [1, 2, 7, 40])
def test_one_latent_per_hop_and_back(name, frames):
    model = build(BOTH[name])
    with torch.inference_mode():
        z = model.backbone.encode(noise(3, frames * model.hop))
        assert z.shape == (3, frames, 8)
        output = decoded(model, z)
    if name == "dac":
        assert output.shape == (3, frames, model.hop)
        assert output.abs().max() <= 1
    else:
        assert output.shape == (3, frames, 2, 129)
        assert output.isfinite().all()


@pytest.mark.parametrize("name", BOTH)
def test_gains_multiply_what_is_decoded(name):
    model = build(BOTH[name])
    z = noise(1, 60, 8)
    with torch.inference_mode():
        full, half, none = (
            torch.cat(model.backbone.decoder_stream(100).push(z, torch.full((1, 60, 1), gain), last=True), 1)
            for gain in (1.0, 0.5, 0.0)
        )
    assert full.abs().max() > 0
    torch.testing.assert_close(half, full / 2, atol=1e-6, rtol=1e-4)
    assert not none.any()


def test_gains_of_bands_multiply_magnitudes():
    """One band alone is decoded to what a filter would leave of it."""
    model = build(BOTH["spectral"])
    z = noise(1, 80, 8)
    audio = []
    with torch.inference_mode():
        for gains in ([1.0, 0.0], [0.0, 1.0]):
            stream = model.backbone.decoder_stream(100, band_edges=[2000.0])
            band = torch.tensor(gains).expand(1, 80, 2)
            audio.append(torch.cat(stream.push(z, band, last=True), 1))
        low, high = (model.backbone.stft.magnitude(each).square().mean((0, 1)) for each in audio)
    split = 32  # 2000 Hz
    assert low[: split - 3].sum() > 20 * low[split + 3 :].sum()
    assert high[split + 3 :].sum() > 20 * high[: split - 3].sum()


def test_silence_is_what_silence_is_coded_to():
    for config in BOTH.values():
        model = build(config)
        with torch.inference_mode():
            z = model.backbone.encode(torch.zeros(1, 100 * model.hop))
        torch.testing.assert_close(model.silence_latent(), z[0, 50], atol=1e-5, rtol=1e-5)


def test_analysis_standardises_and_restores():
    model = build(BOTH["spectral"])
    analysis = model.backbone.analysis
    analysis.deviation.uniform_(0.5, 2)
    magnitude = analysis.magnitude(noise(2, 40 * 64))
    assert magnitude.shape == (2, 40, 129)
    log = magnitude.clamp(min=model.config.spectral.floor).log()
    torch.testing.assert_close(analysis.restore(analysis.standardise(magnitude)), log)
    tone = 0.5 * torch.sin(2 * torch.pi * 1000 * torch.arange(40 * 64) / 16000)[None]
    inside = analysis.magnitude(tone)[:, 10:-10]
    assert (inside.argmax(-1) == 16).all()  # 1000 Hz of 16000 in 256 bins
    # a full Hann window passes half of an amplitude's half
    torch.testing.assert_close(
        inside[..., 16], torch.full_like(inside[..., 16], 0.5 * 256 / 4), rtol=1e-3, atol=0
    )
