"""EMA codebooks, dead codes and k-means."""

import tiny_training  # noqa: F401 (sets the number of threads)
import torch

from switchcodec_cli.model.quantizer.codebook import FullCodebook
from switchcodec_cli.training.codebook_ema import CodebookEMA


def test_unused_codeword_keeps_its_place():
    codebook = FullCodebook(2, 3)
    codebook.codewords.copy_(torch.tensor([[0.0, 0, 0], [4, 4, 4]]))
    average = CodebookEMA(codebook, 0.5, 2)
    for _ in range(200):
        average.update(torch.ones(1, 5, 3), torch.zeros(1, 5, dtype=torch.long))
    torch.testing.assert_close(codebook.codewords, torch.tensor([[1.0, 1, 1], [4, 4, 4]]))


def test_dead_codes_are_replaced_by_latents():
    torch.manual_seed(0)
    codebook = FullCodebook(16, 4)
    codebook.codewords.normal_()
    codebook.codewords[5:] += 100  # far from every latent
    average = CodebookEMA(codebook, 0.9, 64)
    latents = torch.randn(4, 16, 4)
    for _ in range(10):
        average.update(latents, codebook.nearest(latents))
    assert codebook.nearest(latents).unique().max() < 5
    # codewords in use are near the means of the latents that use them
    for index in codebook.nearest(latents).unique():
        mean = latents[codebook.nearest(latents) == index].mean(0)
        assert (codebook.codewords[index] - mean).norm() < 1.0
    assert average.replace_dead_codes(below=2) >= 11
    assert codebook.nearest(latents).unique().numel() > 10
    recent = latents.flatten(0, 1)
    assert (torch.cdist(codebook.codewords[5:], recent).amin(1) < 5e-3).all()
    # replaced codewords stay as long as they are used
    for _ in range(3):
        average.update(latents, codebook.nearest(latents))
    assert codebook.nearest(latents).unique().numel() > 10
    assert average.replace_dead_codes(below=0) == 0


def test_kmeans_init_finds_clusters():
    torch.manual_seed(0)
    centres = 10 * torch.randn(16, 4)
    latents = (centres[:, None] + 0.1 * torch.randn(16, 40, 4)).flatten(0, 1)
    codebook = FullCodebook(64, 4)
    coded = CodebookEMA(codebook, 0.99, 64).kmeans_init(latents)
    assert (latents - coded).norm(dim=1).mean() < 0.25
    assert codebook.codewords.isfinite().all()


def test_perplexity_is_the_number_of_codewords_in_equal_use():
    average = CodebookEMA(FullCodebook(8, 2), 0.5, 8)
    assert abs(average.perplexity() - 8) < 1e-4
    for _ in range(60):
        average.update(torch.ones(1, 4, 2), torch.tensor([[0, 1, 0, 1]]))
    assert abs(average.perplexity() - 2) < 1e-4
