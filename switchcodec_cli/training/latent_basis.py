"""Change of the latents' basis so that Euclidean distance approximates output distortion.

Codebook search and EMA codebooks use the Euclidean distance of latents, but some directions of a latent
change the decoded spectrum more than others. The encoder's last layer and the decoder's first are linear, so
that latents Z can be replaced by Z A without changing what an unquantized model computes. A is chosen so that
the squared Euclidean distance becomes, in part, the mean squared change of the decoded features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..model.backbones import SpectralBackbone
from ..model.codec_model import CodecModel
from ..model.quantizer.codebook import FullCodebook
from ..perceptual import PerceptualDistance

PROBES = 12  # random directions in the space of features, per batch


def output_sensitivity(model: CodecModel, z: Tensor) -> Tensor:
    """How much the decoded features change with latents, by direction.

    The mean over frames of J^T W J, where J is the Jacobian of the features that `PerceptualDistance`
    compares with respect to the latent of one frame, and W holds their weights. J^T W^(1/2) times random
    signs has this covariance (Hutchinson 1990).

    Args:
        model: A model of the spectral backbone.
        z: Latents, (B, T, D).

    Returns:
        Symmetric matrix, float64, (D, D).

    Raises:
        UsageError: The model has another backbone, a refiner, or codebooks of the factorised form.
    """
    _spectral_backbone(model)
    z = z.detach().requires_grad_(True)
    distance = PerceptualDistance(model)
    total = z.new_zeros(z.shape[-1], z.shape[-1], dtype=torch.float64)
    with torch.enable_grad():
        for values, weight in zip(distance.decoded_features(z).parts, distance.weights, strict=True):
            scale = (torch.as_tensor(weight) / values[0, 0].numel()) ** 0.5
            for _ in range(PROBES):
                signs = torch.randint_like(values, 2) * 2 - 1
                (gradient,) = torch.autograd.grad((values * signs * scale).sum(), z, retain_graph=True)
                gradient = gradient.flatten(0, 1).double()
                total += gradient.mT @ gradient
    return total / (PROBES * z.shape[0] * z.shape[1])


def _spectral_backbone(model: CodecModel) -> SpectralBackbone:
    """The backbone of a model whose basis can be changed."""
    if model.backbone.refiner is not None:  # is not linear in the latents
        raise UsageError("codebook.output_distortion_share cannot be raised for a model with a refiner")
    full = isinstance(model.quantizer.shared.stages[0], FullCodebook)
    if not (full and isinstance(model.backbone, SpectralBackbone)):
        raise UsageError(
            "codebook.output_distortion_share is for the spectral backbone and codebooks of the full form"
        )
    return model.backbone


def remaining_share(applied: float, wanted: float) -> float:
    """Share of output distortion to use in a further change of basis.

    After a change with the share s1, the metric of the latents is s1 M + (1 - s1) I in terms of the original
    ones, where M is the normalised sensitivity. A further change with the share r makes it
    r M + (1 - r) (s1 M + (1 - s1) I), which has the share s2 for r = (s2 - s1) / (1 - s1). This is
    approximate: training changes M meanwhile, and M is normalised again in the new basis.

    Args:
        applied: s1, of all changes so far.
        wanted: s2; if it is not more than `applied`, the result is 0, because changes are not undone.
    """
    return (wanted - applied) / (1 - applied) if wanted > applied else 0.0


@torch.no_grad()
def latent_basis(model: CodecModel, sensitivity: Tensor, share: float) -> Tensor:
    """The matrix A by which latents are to be multiplied.

    Args:
        model: The model whose latents are to be changed.
        sensitivity: `output_sensitivity` of its latents, (D, D).
        share: Of the sensitivity in the new metric, 0 ... 1; the rest is the present metric.

    Returns:
        A, float64, (D, D), of such a norm that the weights of the encoder and of the decoder on Z A have
        equal variance, and so are trained at like rates.
    """
    metric = share * sensitivity * (len(sensitivity) / sensitivity.trace())
    metric += (1 - share) * torch.eye(len(sensitivity)).to(sensitivity)
    values, vectors = torch.linalg.eigh(metric)
    root = (vectors * values.sqrt()) @ vectors.mT  # the symmetric root is the one nearest to the identity
    backbone = _spectral_backbone(model)
    encoder = (backbone.encoder.head.weight.double().mT @ root).square().mean()
    decoder = (torch.linalg.inv(root) @ backbone.decoder.stem.weight.double()).square().mean()
    basis: Tensor = root * (decoder / encoder) ** 0.25
    return basis


@torch.no_grad()
def change_basis(model: CodecModel, basis: Tensor) -> None:
    """Replace a model's latents Z by Z A, A = `basis` (D, D); what it decodes without quantization stays."""
    backbone, quantizer = _spectral_backbone(model), model.quantizer
    encoder, decoder = backbone.encoder, backbone.decoder
    inverse = torch.linalg.inv(basis)
    encoder.head.weight.copy_(basis.mT @ encoder.head.weight.double())
    encoder.head.bias.copy_(encoder.head.bias.double() @ basis)
    decoder.stem.weight.copy_(inverse @ decoder.stem.weight.double())
    quantizer.router.weight.copy_(quantizer.router.weight.double() @ inverse.mT)
    for cascade in quantizer.quantizers:
        for codebook in cascade.stages:
            if isinstance(codebook, FullCodebook):
                codebook.codewords.copy_(codebook.codewords.double() @ basis)
