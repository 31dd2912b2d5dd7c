"""Latents in which distance means what the decoder makes of it.

Codewords are found, and their averages kept, by plain distance of latents, but some directions of a latent
change the decoded spectrum more than others. The encoder's last and the decoder's first layer are linear, so
latents can be exchanged for others, Z A, without changing what an unquantized model computes; A is chosen so
that plain distance becomes, in part, the mean distance of what is decoded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..model.codec_model import CodecModel
from ..model.quantizer.codebook import Codebook
from ..perceptual.distance import PerceptualDistance

PROBES = 12  # random directions of the decoded spectrum per batch


def sensitivity(model: CodecModel, z: Tensor) -> Tensor:
    """How much the decoded spectrum changes with latents z (B, T, D), by direction: (D, D), float64.

    The mean over frames of J^T W J, where J is the Jacobian of all that `PerceptualDistance` compares by one frame's
    latent, and W its weights; J^T W^(1/2) times random signs has this for its covariance (Hutchinson 1990).
    Raises UsageError for models other than spectral ones with codewords of the latent's dimension, for which
    there is no way to exchange the latents.
    """
    if model.config.backbone != "spectral" or not isinstance(model.quantizer.shared.codebooks[0], Codebook):
        raise UsageError("codebook.sensitivity is for the spectral backbone and codebooks of the full form")
    z = z.detach().requires_grad_(True)
    likeness = PerceptualDistance(model)
    total = z.new_zeros(z.shape[-1], z.shape[-1], dtype=torch.float64)
    with torch.enable_grad():
        aspects = likeness.aspects(likeness.decoded(z))
        for values, weight in aspects:
            scale = (torch.as_tensor(weight) / values[0, 0].numel()) ** 0.5
            for _ in range(PROBES):
                signs = torch.randint_like(values, 2) * 2 - 1
                (gradient,) = torch.autograd.grad((values * signs * scale).sum(), z, retain_graph=True)
                gradient = gradient.flatten(0, 1).double()
                total += gradient.mT @ gradient
    return total / (PROBES * z.shape[0] * z.shape[1])


@torch.no_grad()
def latent_basis(model: CodecModel, matrix: Tensor, share: float) -> Tensor:
    """A (D, D), float64: distance of Z A is so much, 0..1, of what `matrix`, the sensitivity to Z, says.

    The size of Z A is such that the encoder's and the decoder's weights on it are alike, and learn alike.
    """
    metric = share * matrix * (len(matrix) / matrix.trace())
    metric += (1 - share) * torch.eye(len(matrix)).to(matrix)
    values, vectors = torch.linalg.eigh(metric)
    root = (vectors * values.sqrt()) @ vectors.mT  # of all roots the one nearest to no change
    given = (model.encoder.head.weight.double().mT @ root).square().mean()
    taken = (torch.linalg.inv(root) @ model.decoder.stem.weight.double()).square().mean()
    return root * (taken / given) ** 0.25


@torch.no_grad()
def change_basis(model: CodecModel, basis: Tensor) -> None:
    """Make the model's latents Z into Z A, A = `basis` (D, D); what it decodes stays."""
    encoder, decoder, quantizer = model.encoder, model.decoder, model.quantizer
    inverse = torch.linalg.inv(basis)
    encoder.head.weight.copy_(basis.mT @ encoder.head.weight.double())
    encoder.head.bias.copy_(encoder.head.bias.double() @ basis)
    decoder.stem.weight.copy_(inverse @ decoder.stem.weight.double())
    quantizer.router.weight.copy_(quantizer.router.weight.double() @ inverse.mT)
    for book in (book for part in quantizer.quantizers for book in part.codebooks):
        book.codewords.copy_(book.codewords.double() @ basis)
