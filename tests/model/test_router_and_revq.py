"""Which experts are chosen, in which order they code, and that decoding undoes encoding."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tiny_models import BOTH, DAC, SPECTRAL, build, noise

from switchcodec_cli.model.quantizer.codebook import FactorisedCodebook, FullCodebook
from switchcodec_cli.model.quantizer.revq import ResidualExpertVQ
from switchcodec_cli.model.quantizer.router import Router


def quantizer(name: str, seed: int = 0) -> ResidualExpertVQ:
    return build(BOTH[name], seed).quantizer


def test_affinity_is_the_mean_over_frames():
    router = Router(5, 8)
    z = noise(3, 7, 8)
    by_hand = torch.stack([torch.sigmoid(window @ router.weight.T).mean(0) for window in z])
    torch.testing.assert_close(router.affinity(z), by_hand)
    assert ((router.affinity(100 * z) >= 0) & (router.affinity(100 * z) <= 1)).all()
    # the order of the frames is of no matter
    torch.testing.assert_close(router.affinity(z.flip(1)), router.affinity(z))


def test_masks_hold_the_highest_affinities():
    router = Router(6, 8)
    affinity = router.affinity(noise(50, 7, 8))
    active = torch.arange(50) % 7
    mask = router.select(affinity, active)
    assert torch.equal(mask.sum(1), active)
    for row, chosen in zip(affinity, mask, strict=True):
        if 0 < chosen.sum() < 6:
            assert row[chosen].min() >= row[~chosen].max()
    # masks of growing numbers are nested
    masks = [router.select(affinity, torch.full((50,), k)) for k in range(7)]
    assert all((smaller <= larger).all() for smaller, larger in pairwise(masks))


def test_the_bias_enters_the_selection_only_and_ties_go_to_the_lower_index():
    router = Router(4, 8)
    z = noise(3, 7, 8)
    before = router.affinity(z)
    router.bias[3] = 2
    assert torch.equal(router.affinity(z), before)
    assert router.select(before, torch.ones(3, dtype=torch.long))[:, 3].all()
    router.bias.zero_()
    tied = torch.full((1, 4), 0.5)
    assert router.select(tied, torch.tensor([2])).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("name", BOTH)
def test_encoding_is_greedy_on_the_residual_in_ascending_order(name):
    """By hand, one window and one expert at a time."""
    module = quantizer(name)
    z = noise(6, 9, 8)
    experts = len(module.experts)
    mask = module.route(z, torch.arange(6) % (experts + 1))
    indices, quantized = module.encode(z, mask)
    assert indices.shape == (6, 1 + experts, len(module.shared.codebooks), 9)
    decoded = module.dequantize(mask, indices)
    torch.testing.assert_close(quantized, decoded)
    for number, (window, chosen, found) in enumerate(zip(z, mask, indices, strict=True)):
        residual, total = window, torch.zeros_like(window)
        for place in [0, *(chosen.nonzero()[:, 0] + 1).tolist()]:
            for stage, codebook in enumerate(module.quantizers[place].codebooks):
                if isinstance(codebook, FullCodebook):
                    index = torch.cdist(residual, codebook.codewords).argmin(1)
                else:
                    index = torch.cosine_similarity(
                        codebook.project_in(residual)[:, None], codebook.codewords, dim=-1
                    ).argmax(1)
                assert torch.equal(found[place, stage], index)
                part = codebook.lookup(index)
                residual, total = residual - part, total + part
        torch.testing.assert_close(decoded[number], total)


@pytest.mark.parametrize("name", BOTH)
def test_training_and_inference_quantize_alike(name):
    module = quantizer(name)
    z = noise(6, 9, 8)
    active = torch.tensor([0, 1, 2, 3, 4, 5])
    with torch.no_grad():
        quantized, commitment, hard = module(z, active)
        mask = module.route(z, active)
        indices, _ = module.encode(z, mask)
        decoded = module.dequantize(mask, indices)
    assert torch.equal(hard, mask)
    assert commitment > 0
    torch.testing.assert_close(quantized, decoded, atol=1e-5, rtol=1e-5)


def test_a_codeword_is_its_own_nearest():
    for codebook in (FullCodebook(16, 8), FactorisedCodebook(16, 8, 8)):
        if isinstance(codebook, FullCodebook):
            codebook.codewords.normal_(generator=torch.Generator().manual_seed(0))
            z = codebook.codewords
        else:
            with torch.no_grad():  # undo the projection
                z = (codebook.codewords - codebook.project_in.bias) @ torch.linalg.pinv(
                    codebook.project_in.weight
                ).T
        assert torch.equal(codebook.nearest(z), torch.arange(16))


def test_more_experts_never_code_worse_when_codebooks_hold_a_zero():
    """Greedy search with a codeword of zero at hand can always leave the residual as it is."""
    module = quantizer("spectral")
    for part in module.quantizers:
        for codebook in part.codebooks:
            codebook.codewords[0] = 0
    z = noise(20, 9, 8)
    errors = []
    for active in range(7):
        with torch.no_grad():
            quantized, _, _ = module(z, torch.full((20,), active))
        errors.append((z - quantized).square().sum((1, 2)))
    for fewer, more in pairwise(errors):
        # masks are nested, but another set in ascending order may pass another residual on: on the whole
        assert more.mean() < fewer.mean()


@pytest.mark.parametrize("config", [SPECTRAL, DAC])
def test_masks_and_codebooks_get_gradients(config):
    module = build(replace(config)).quantizer.train()
    z = noise(12, 9, 8).requires_grad_()
    quantized, commitment, _ = module(z, torch.arange(12) % 4 + 1)
    (quantized.square().sum() + commitment).backward()
    assert z.grad.abs().sum() > 0
    assert (module.router.weight.grad.abs().sum(1) > 0).all()  # every expert's row
    for part in module.quantizers:
        for codebook in part.codebooks:
            for name, parameter in codebook.named_parameters():
                assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_gradient_of_a_mask_is_straight_through():
    """d quantized / d S of a chosen expert is what that expert adds (paper, equation 3)."""
    module = quantizer("spectral")
    z = noise(1, 9, 8)
    quantized, _, hard = module(z, torch.tensor([1]))
    expert = int(hard[0].nonzero())
    quantized.sum().backward()
    indices = module.encode(z, hard)[0][0]
    part = module.experts[expert].decode(indices[expert + 1].mT)
    gate = torch.sigmoid(z @ module.router.weight.T)[..., expert]  # (1, T)
    by_hand = part.sum() * (gate * (1 - gate))[..., None].mul(z).mean(1)[0]
    torch.testing.assert_close(module.router.weight.grad[expert], by_hand.detach(), rtol=1e-3, atol=1e-5)
