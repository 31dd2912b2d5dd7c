"""Training of the waveform model, and its export to integers."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from switchcodec_cli.bitstream.rans import TOTAL
from switchcodec_cli.bitstream.waveform_model import WaveformModel
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.dsp.mdct import mdct, mdct_basis
from switchcodec_cli.model.index_model import exact_arithmetic
from switchcodec_cli.model.weights import load_weights, save_weights
from switchcodec_cli.perceptual import LatentEncoder, PerceptualDistance
from switchcodec_cli.training.waveform_model import (
    LEAST_SCALE,
    CodedLatents,
    TrainingOptions,
    WaveformModelConfig,
    WaveformNetwork,
    bits_of,
    code,
    export,
    step_offsets,
    steps_for,
    train,
)

torch.set_num_threads(1)
WEIGHTS = Path(__file__).parent.parent / "golden" / "spectral.safetensors"
BINS = 12


@lru_cache
def codec() -> CodecModel:
    """The tiny golden model."""
    return load_weights(WEIGHTS)[0]


@lru_cache
def windows() -> tuple[CodedLatents, Tensor, np.ndarray]:
    """Windows of noise whose level changes, their coefficients, and the offsets of the steps."""
    model = codec()
    size, rate = model.config.frames_per_window * model.hop, model.config.sample_rate
    count = 60 * rate // size
    time = torch.arange(count * size) / rate
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    audio = (0.2 * noise * torch.sin(2 * torch.pi * time).square())[None]
    with torch.no_grad():
        z = LatentEncoder(model, PerceptualDistance(model))(audio)
    frames = model.config.frames_per_window
    coefficients = mdct(audio, mdct_basis(model.hop, BINS)).view(count, frames, BINS)
    coded = code(model, z.view(count, frames, -1), torch.Generator().manual_seed(1))
    return coded, coefficients, step_offsets(BINS, model.hop, rate)


@lru_cache
def trained() -> WaveformNetwork:
    torch.manual_seed(0)
    network = WaveformNetwork(WaveformModelConfig(codec().config.latent_dimension, 16, 32, BINS))
    coded, coefficients, offsets = windows()
    train(
        network,
        [coded],
        coefficients,
        torch.from_numpy(offsets),
        TrainingOptions(steps=150, batch=16),
        lambda _: None,
    )
    return network


def test_bits_are_those_of_a_distribution():
    """The probabilities of all values add up to one."""
    steps, offsets = torch.tensor([64.0]), torch.zeros(1)
    values = torch.cat([torch.arange(1, 400).float(), torch.zeros(1)])
    bits = bits_of(torch.full((1, 400, 1), 70.0), steps, offsets, values[None, :, None])
    probabilities = torch.exp2(-bits.flatten())
    assert float(probabilities[:-1].sum() * 2 + probabilities[-1]) == pytest.approx(1, abs=1e-4)


def test_training_learns_sizes():
    """Levels that change within a window cost fewer bits than with the best constant size."""
    coded, coefficients, offsets = windows()
    steps = steps_for(coefficients, torch.from_numpy(offsets), torch.full((len(coefficients),), 0.1))

    def total(sizes: Tensor) -> float:
        return float(bits_of(sizes, steps, torch.from_numpy(offsets), coefficients).sum())

    network = trained()
    with torch.no_grad():
        learned = total(network(coded.latents))
        constant = min(total(torch.full_like(coefficients, size)) for size in range(30, 80, 2))
    assert learned < 0.95 * constant


def test_export_is_the_network():
    coded, coefficients, offsets = windows()
    tensors = export(trained(), codec(), coded, coefficients, offsets)
    model = WaveformModel(tensors, exact_arithmetic(tensors.matrices))
    masks = coded.masks.numpy()
    used = np.concatenate([np.ones((len(masks), 1), bool), masks], 1)
    indices = [
        block[mask].reshape(-1, block.shape[-1]).astype(np.int64)
        for block, mask in zip(coded.indices.numpy(), used, strict=True)
    ]
    with torch.no_grad():
        expected = trained()(coded.latents).numpy() + LEAST_SCALE
    found = np.stack(model.sizes(masks, indices))
    assert np.mean(np.abs(found - expected) <= 1.5) > 0.98
    assert (tensors.frequencies.sum(1) == TOTAL).all()
    # values are the likelier to be zero the smaller they are expected to be
    middle = tensors.frequencies[:, tensors.largest]
    assert middle[0] > middle[6] > middle[12]


def test_the_model_is_part_of_the_weights(tmp_path):
    model = load_weights(WEIGHTS)[0]
    coded, coefficients, offsets = windows()
    model.waveform_tensors = export(trained(), model, coded, coefficients, offsets)
    fingerprint = save_weights(tmp_path / "layered.safetensors", model, {})
    loaded = load_weights(tmp_path / "layered.safetensors")
    assert loaded.fingerprint == fingerprint != load_weights(WEIGHTS).fingerprint
    assert loaded.model.waveform_tensors is not None
    for name, array in model.waveform_tensors.arrays.items():
        np.testing.assert_array_equal(array, loaded.model.waveform_tensors.arrays[name])


def test_offsets_rise_with_the_frequency():
    offsets = step_offsets(96, 1024, 44100)
    assert (np.diff(offsets[3:]) >= 0).all()
    assert offsets[3] == 0
    assert offsets[0] > offsets[3]
    at_2_khz = 4 * math.log2(math.sqrt(1 + (2056 / 700) ** 2))
    assert offsets[95] == round(at_2_khz)
