"""Change of the latents' basis so that Euclidean distance approximates output distortion."""

from dataclasses import replace

import pytest
import torch
from tiny_training import DAC, SPECTRAL, make_pool, make_trainer

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.weights import load_weights
from switchcodec_cli.training.latent_basis import (
    change_basis,
    latent_basis,
    output_sensitivity,
    remaining_share,
)

FRAMES = 24


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = CodecModel(SPECTRAL.model).eval()
    for cascade in made.quantizer.quantizers:
        for codebook in cascade.codebooks:
            codebook.codewords.normal_()
    return made


@pytest.fixture
def latents(model):
    return torch.randn(3, FRAMES, model.config.latent_dimension, generator=torch.Generator().manual_seed(1))


def measured(model, latents):
    torch.manual_seed(2)
    return output_sensitivity(model, latents)


def test_directions_that_the_decoder_ignores_have_no_sensitivity(model, latents):
    with torch.no_grad():
        model.backbone.decoder.stem.weight[:, 1] = 0
        model.backbone.decoder.stem.weight[:, 0] *= 10
    matrix = measured(model, latents)
    assert matrix[1].abs().max() == 0
    assert matrix[0, 0] > 20 * matrix.diagonal()[2:].mean()


def test_distance_becomes_output_distortion(model, latents):
    basis = latent_basis(model, measured(model, latents), 1.0)
    change_basis(model, basis)
    after = measured(model, (latents.double() @ basis).float())
    after /= after.diagonal().mean()
    torch.testing.assert_close(after, torch.eye(len(after)).double(), atol=1e-3, rtol=0)
    assert model.backbone.encoder.head.weight.std().item() == pytest.approx(
        model.backbone.decoder.stem.weight.std().item(), rel=0.05
    )


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_output_of_unquantized_latents_is_unchanged(model, latents, share):
    audio = 0.1 * torch.randn(2, FRAMES * model.hop, generator=torch.Generator().manual_seed(3))
    expert_counts = torch.tensor([2, 3])
    with torch.no_grad():
        z = model.backbone.encode(audio)
        before = model.backbone.log_magnitude(z).exp(), model.quantizer.router.affinity(z)
        mask = model.quantizer.route(z, expert_counts)
        indices, _ = model.quantizer.encode(z, mask)
        change_basis(model, latent_basis(model, measured(model, latents), share))
        z = model.backbone.encode(audio)
        after = model.backbone.log_magnitude(z).exp(), model.quantizer.router.affinity(z)
        new_indices, _ = model.quantizer.encode(z, mask)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-3)
    # the same codewords are chosen only if the metric is the same
    assert torch.equal(indices, new_indices) == (share == 0)


def test_remaining_share_completes_what_was_applied():
    assert remaining_share(0.0, 0.6) == 0.6
    assert remaining_share(0.6, 0.6) == 0 == remaining_share(0.8, 0.6)
    first, wanted = 0.3, 0.6
    further = remaining_share(first, wanted)
    assert further + (1 - further) * first == pytest.approx(wanted)
    assert remaining_share(0.3, 1.0) == 1


def test_waveform_backbone_is_refused():
    model = CodecModel(DAC.model)
    with pytest.raises(UsageError, match="spectral"):
        output_sensitivity(model, torch.zeros(1, FRAMES, model.config.latent_dimension))


def with_share(share):
    return replace(SPECTRAL, codebook=replace(SPECTRAL.codebook, output_distortion_share=share))


def test_resumed_run_applies_the_remaining_share_only(tmp_path):
    pool = make_pool(tmp_path / "data")
    first = make_trainer(with_share(0.5), pool, tmp_path / "run")
    first.initialise_codebooks()
    path = tmp_path / "weights.safetensors"
    first.export(path, 0.0)
    assert load_weights(path)[2]["output_distortion_share"] == 0.5

    same = make_trainer(with_share(0.5), pool, tmp_path / "same", resume=path)
    more = make_trainer(with_share(0.8), pool, tmp_path / "more", resume=path)
    less = make_trainer(with_share(0.0), pool, tmp_path / "less", resume=path)
    shares = [each.output_distortion_share for each in (same, more, less)]
    assert shares == [0.5, 0.8, 0.5]
    audio = first.next_batch()
    with torch.no_grad():
        z, z_same, z_more, z_less = (
            each.ema.model.backbone.encode(audio) for each in (first, same, more, less)
        )
        # weights are stored in half precision
        torch.testing.assert_close(z_same, z, atol=1e-2, rtol=2e-2)
        assert torch.equal(z_same, z_less)
        assert not torch.allclose(z, z_more, rtol=0.01)
        models = (first.ema.model, z), (more.model, z_more)
        decoded = [model.backbone.log_magnitude(latents).exp() for model, latents in models]
    torch.testing.assert_close(*decoded, atol=1e-2, rtol=2e-2)
    # the moving averages are those of the new latents
    average = more.codebooks.averages[more.model.quantizer.shared.codebooks[0]]
    torch.testing.assert_close(average.sum / average.count[:, None], average.codebook.codewords)
