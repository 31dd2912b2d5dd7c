"""Small models with random weights, for the tests of the networks."""

from __future__ import annotations

import torch

from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.config import DacConfig, ModelConfig, QuantizerConfig, SpectralConfig

torch.set_num_threads(1)  # such small work is slower on several

SPECTRAL = ModelConfig(
    sample_rate=16000,
    frames_per_window=10,
    latent_dimension=8,
    quantizer=QuantizerConfig(experts=6, codebook_size=16, codebooks=2),
    spectral=SpectralConfig(
        window_length=256,
        hop_length=64,
        spectra_per_frame=2,
        width=12,
        encoder_blocks=2,
        decoder_blocks=1,
        expansion=2,
        kernel=5,
        phase_iterations=4,
    ),
)
DAC = ModelConfig(
    backbone="dac",
    sample_rate=8000,
    frames_per_window=10,
    latent_dimension=8,
    quantizer=QuantizerConfig(experts=5, codebook_size=16, codebooks=1, form="factorised", code_dimension=3),
    dac=DacConfig(encoder_width=2, decoder_width=8, strides=(2, 4)),
)
BOTH = {"spectral": SPECTRAL, "dac": DAC}


def build(config: ModelConfig, seed: int = 0) -> CodecModel:
    """A model whose codewords are about as large as its latents."""
    torch.manual_seed(seed)
    model = CodecModel(config).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("codewords"):
            buffer.normal_(0, 0.5)
    if config.backbone == "spectral":
        model.backbone.analysis.mean.fill_(-2)
    return model


def decoded(model: CodecModel, z: torch.Tensor) -> torch.Tensor:
    """The decoder network's output for latents (B, T, D): log-magnitudes, or samples (B, T, hop)."""
    if model.config.backbone == "spectral":
        return model.backbone.log_magnitude(z)
    return model.backbone.decoder(z)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    """Normal noise of deviation 0.3."""
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
