"""Latents exchanged for others in which distance is what the decoder makes of it."""

from dataclasses import replace

import pytest
import torch
from material import DAC, SPECTRAL, make_pool, trainer

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.training.latent_basis import change_basis, latent_basis, sensitivity

FRAMES = 24


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = CodecModel(SPECTRAL.model).eval()
    for part in made.quantizer.quantizers:
        for book in part.codebooks:
            book.codewords.normal_()
    return made


@pytest.fixture
def latents(model):
    return torch.randn(3, FRAMES, model.config.latent_dimension, generator=torch.Generator().manual_seed(1))


def measured(model, latents):
    torch.manual_seed(2)
    return sensitivity(model, latents)


def test_directions_that_the_decoder_ignores_do_not_count(model, latents):
    with torch.no_grad():
        model.backbone.decoder.stem.weight[:, 1] = 0
        model.backbone.decoder.stem.weight[:, 0] *= 10
    matrix = measured(model, latents)
    assert matrix[1].abs().max() == 0
    assert matrix[0, 0] > 20 * matrix.diagonal()[2:].mean()


def test_distance_becomes_what_is_decoded(model, latents):
    matrix = measured(model, latents)
    basis = latent_basis(model, matrix, 1.0)
    change_basis(model, basis)
    after = measured(model, (latents.double() @ basis).float())
    after /= after.diagonal().mean()
    torch.testing.assert_close(after, torch.eye(len(after)).double(), atol=1e-3, rtol=0)
    assert model.backbone.encoder.head.weight.std().item() == pytest.approx(
        model.backbone.decoder.stem.weight.std().item(), rel=0.05
    )


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_what_is_decoded_stays(model, latents, share):
    audio = 0.1 * torch.randn(2, FRAMES * model.hop, generator=torch.Generator().manual_seed(3))
    active = torch.tensor([2, 3])
    with torch.no_grad():
        z = model.encode(audio)
        before = model.decode(z), model.quantizer.router.affinity(z)
        mask = model.quantizer.route(z, active)
        codes = model.quantizer.encode(z, mask)
        change_basis(model, latent_basis(model, measured(model, latents), share))
        z = model.encode(audio)
        after = model.decode(z), model.quantizer.router.affinity(z)
        others = model.quantizer.encode(z, mask)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=1e-3)
    # codewords are chosen as before where distance means what it did
    assert torch.equal(codes, others) == (share == 0)


def test_other_models_are_refused():
    model = CodecModel(DAC.model)
    with pytest.raises(UsageError, match="spectral"):
        sensitivity(model, torch.zeros(1, FRAMES, model.config.latent_dimension))


def test_a_run_takes_them_up(tmp_path):
    pool = make_pool(tmp_path / "data")
    weighed = replace(SPECTRAL, codebook=replace(SPECTRAL.codebook, sensitivity=0.5))
    made = trainer(weighed, pool, tmp_path / "run")
    made.start_codebooks()
    path = tmp_path / "weights.safetensors"
    made.export(path, 0.0)
    again = trainer(weighed, pool, tmp_path / "again", resume=path)
    audio = made.items()
    with torch.no_grad():
        old, new = (each.encode(audio) for each in (made.average, again.average))
        assert not torch.allclose(old, new, rtol=0.01)
        decoded = made.average.decode(old), again.model.decode(new)
    torch.testing.assert_close(*decoded, atol=1e-2, rtol=2e-2)  # weights travel in half precision
    # the averages that keep the codebooks are of the new latents
    average = again.care.averages[again.model.quantizer.shared.codebooks[0]]
    torch.testing.assert_close(average.total / average.count[:, None], average.codebook.codewords)
