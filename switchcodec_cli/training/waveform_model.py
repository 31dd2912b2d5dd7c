"""Training of the waveform model with simulated quantization, and its export to integer tensors.

    python -m switchcodec_cli.training.waveform_model WEIGHTS AUDIO_FOLDER OUTPUT --minutes 15

The network below mirrors `bitstream.waveform_model` operation by operation, in real numbers of the same
units. It is trained to code quantized coefficients, of which it predicts the scale of a Laplace
distribution, in few bits. Afterwards the distributions and the magnitudes of the values are measured.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..bitstream.rans import TOTAL
from ..bitstream.waveform_layer import LARGEST_STEP, quantize
from ..bitstream.waveform_model import (
    STEPS_PER_OCTAVE,
    UNITY_SIZE,
    WaveformModel,
    WaveformModelTensors,
)
from ..encoder.waveform_coder import LEVEL_EXPONENT, REFERENCE, ROUNDING
from ..model.codec_model import CodecModel
from ..model.dsp.mdct import mdct, mdct_basis
from ..model.index_model import exact_arithmetic
from ..model.weights import load_weights, save_weights
from ..perceptual import LatentEncoder, PerceptualDistance
from .data import PoolIndex, build_pool, default_cache
from .index_data import GAIN_RANGE, SILENCE_PEAK

SEGMENT_WINDOWS = 20  # windows that go through the encoder at once
CORNER = 700.0  # Hz; above it, steps grow with the frequency
RUMBLE_OFFSETS = (16, 8, 3)  # quarter octaves, added to the steps of bins that are hardly audible
LEAST_NOISE, MOST_NOISE = 0.016, 0.63  # relative power of the errors of quantization in training
ACTIVATION_DEVIATION = 30.0  # of the network's inputs at the beginning
LEAST_SCALE = 9  # quarter octaves below the step, at which coefficients are no longer coded
CLASSES = 20
LARGEST_VALUE = 31


@dataclass(frozen=True)
class WaveformModelConfig:
    """Sizes of the waveform model."""

    dimension: int  # of the latents
    embedding: int = 64
    hidden: int = 256
    bins: int = 96
    reach: int = 2  # latent frames to either side


class _Quantize(torch.autograd.Function):
    """Clamp and round to integers, halves up; the gradient is that of the clamp."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.inside = (x >= low) & (x <= high)
        return x.clamp(low, high).add_(0.5).floor_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.inside, None, None


def _limit(x: Tensor, low: float, high: float) -> Tensor:
    limited: Tensor = _Quantize.apply(x, low, high)  # type: ignore[no-untyped-call]  # torch's
    return limited


class WaveformNetwork(nn.Module):
    """The waveform model in real numbers, which sees the sums of codewords that the embeddings stand for."""

    def __init__(self, config: WaveformModelConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (2 * config.reach + 1) * config.embedding
        self.projection = nn.Parameter(torch.randn(config.embedding, config.dimension))
        self.hidden1_weight = nn.Parameter(14 * torch.randn(config.hidden, inputs))
        self.hidden1_bias = nn.Parameter(torch.zeros(config.hidden))
        self.hidden2_weight = nn.Parameter(14 * torch.randn(config.hidden, config.hidden))
        self.hidden2_bias = nn.Parameter(torch.zeros(config.hidden))
        self.output_weight = nn.Parameter(6 * torch.randn(config.bins, config.hidden))
        self.output_bias = nn.Parameter(torch.full((config.bins,), 44.0))

    def forward(self, z: Tensor) -> Tensor:
        """Sizes in quarter octaves from quantized latents of windows, (B, T, D) -> (B, T, bins)."""
        x = _limit(z @ self.projection.mT, -127, 127)
        reach, frames = self.config.reach, x.shape[1]
        x = F.pad(x, (0, 0, reach, reach))
        x = torch.cat([x[:, at : at + frames] for at in range(2 * reach + 1)], -1)
        for weight, bias in (
            (self.hidden1_weight, self.hidden1_bias),
            (self.hidden2_weight, self.hidden2_bias),
        ):
            # rounds down, as a shift does
            x = _limit(x @ _limit(weight, -127, 127).mT / 128 + bias - 0.5, 0, 127)
        return x @ _limit(self.output_weight, -127, 127).mT / 128 + self.output_bias


def step_offsets(bins: int, hop: int, sample_rate: int) -> npt.NDArray[np.int32]:
    """Offsets of the steps by bin, in quarter octaves: errors are less audible at high frequencies."""
    frequencies = (np.arange(bins) + 0.5) * sample_rate / (2 * hop)
    offsets = np.round(STEPS_PER_OCTAVE / 2 * np.log2(1 + (frequencies / CORNER) ** 2))
    offsets[: len(RUMBLE_OFFSETS)] += RUMBLE_OFFSETS[:bins]
    return offsets.astype(np.int32)


def steps_for(coefficients: Tensor, offsets: Tensor, noise: Tensor) -> Tensor:
    """Steps of windows for relative powers of the error, as `WaveformCoder` has them.

    Args:
        coefficients: In units of full scale. # (B, T, bins)
        offsets: Of the steps. # (bins,)
        noise: Relative powers. # (B,)

    Returns:
        Steps. # (B,)
    """
    level = (coefficients * 2 ** (-offsets / STEPS_PER_OCTAVE)).square().mean((1, 2)).clamp(min=1e-10)
    power = 12 * noise * level**LEVEL_EXPONENT * REFERENCE ** (1 - LEVEL_EXPONENT)
    steps: Tensor = (STEPS_PER_OCTAVE * power.log2() / 2).round() + UNITY_SIZE
    return steps.clamp(1, LARGEST_STEP)


def bits_of(sizes: Tensor, steps: Tensor, offsets: Tensor, coefficients: Tensor) -> Tensor:
    """Bits of quantized coefficients under Laplace distributions.

    Args:
        sizes: Scales of the distributions in quarter octaves. # (B, T, bins)
        steps: Of each window. # (B,)
        offsets: Of each bin. # (bins,)
        coefficients: In units of full scale. # (B, T, bins)

    Returns:
        Bits. # (B, T, bins)
    """
    exponents = steps[:, None, None] + offsets
    values = (coefficients.abs() / 2 ** ((exponents - UNITY_SIZE) / STEPS_PER_OCTAVE) + ROUNDING).floor()
    rate = 2 ** (-(sizes - exponents).clamp(-32, 48) / STEPS_PER_OCTAVE)  # one over the scale, in steps
    zero = torch.log(-torch.expm1(-(1 - ROUNDING) * rate))
    other = -(values - ROUNDING) * rate + torch.log(-torch.expm1(-rate)) - math.log(2)
    return -torch.where(values == 0, zero, other) / math.log(2)


@dataclass(frozen=True)
class WaveformWindows:
    """Latents of N windows and the coefficients of their audio."""

    latents: Tensor  # (N, T, D)
    coefficients: Tensor  # (N, T, bins)

    def __len__(self) -> int:
        return len(self.latents)


@torch.no_grad()
def _segments(model: CodecModel, pool: Path, bins: int) -> Iterator[WaveformWindows]:
    """Windows of random segments of a training pool, without end."""
    frames = model.config.frames_per_window
    size = frames * model.hop
    samples = np.memmap(pool / "pool.i16", dtype=np.int16, mode="r")
    encode = LatentEncoder(model, PerceptualDistance(model))
    basis, generator = mdct_basis(model.hop, bins), np.random.default_rng(0)
    long_enough = [each for each in PoolIndex.read(pool).recordings if each.length >= 2 * size]
    kinds = sorted({each.kind for each in long_enough})
    while True:
        kind = kinds[generator.integers(len(kinds))]
        recordings = [each for each in long_enough if each.kind == kind]
        recording = recordings[generator.integers(len(recordings))]
        windows = min(SEGMENT_WINDOWS, recording.length // size)
        start = recording.start + int(generator.integers(recording.length - windows * size + 1))
        gain = 10 ** (-GAIN_RANGE / 20 * generator.random())
        audio = torch.from_numpy(samples[start : start + windows * size].astype(np.float32) * gain / 32768)
        loud = audio.view(windows, size).abs().amax(1) >= SILENCE_PEAK
        latents = encode(audio[None])[0].view(windows, frames, -1)
        coefficients = mdct(audio[None], basis)[0].view(windows, frames, -1)
        yield WaveformWindows(latents[loud], coefficients[loud])


def collect(
    model: CodecModel, pool: Path, bins: int, minutes: float, report: Callable[[str], None] = print
) -> WaveformWindows:
    """Latents and coefficients of a training pool, for as many minutes."""
    begun, parts, found = time.monotonic(), [], 0
    for part in _segments(model, pool, bins):
        parts.append(WaveformWindows(part.latents.half(), part.coefficients))
        found += len(part)
        if time.monotonic() - begun > minutes * 60 and found:
            break
    report(f"{found} windows of audio")
    return WaveformWindows(
        torch.cat([part.latents for part in parts]).float(), torch.cat([part.coefficients for part in parts])
    )


@dataclass(frozen=True)
class CodedLatents:
    """Masks and indices of N windows, and the latents that they stand for."""

    masks: Tensor  # (N, Nr)
    indices: Tensor  # (N, 1 + Nr, S, T)
    latents: Tensor  # (N, T, D)


@torch.no_grad()
def code(model: CodecModel, latents: Tensor, generator: torch.Generator, batch: int = 256) -> CodedLatents:
    """Greedy quantization with random numbers of experts, (N, T, D)."""
    masks, indices, quantized = [], [], []
    for part in latents.split(batch):
        counts = torch.randint(0, model.config.quantizer.experts + 1, (len(part),), generator=generator)
        masks.append(model.quantizer.route(part, counts))
        found, values = model.quantizer.encode(part, masks[-1])
        indices.append(found.to(torch.int16))
        quantized.append(values)
    return CodedLatents(torch.cat(masks), torch.cat(indices), torch.cat(quantized))


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained."""

    minutes: float = 8.0
    steps: int | None = None  # instead of a time, for results that do not depend on the machine
    batch: int = 48
    seed: int = 0


def train(
    network: WaveformNetwork,
    coded: list[CodedLatents],
    coefficients: Tensor,
    offsets: Tensor,
    options: TrainingOptions,
    report: Callable[[str], None] = print,
) -> None:
    """Train a network.

    Args:
        network: The network, which is changed.
        coded: Several codings of the same windows.
        coefficients: Of the windows. # (N, T, bins)
        offsets: Of the steps. # (bins,)
        options: How long.
        report: Called with lines of progress.
    """
    generator = torch.Generator().manual_seed(options.seed)
    with torch.no_grad():
        inputs = coded[0].latents[:2000].flatten(0, 1) @ network.projection.mT
        network.projection.mul_((ACTIVATION_DEVIATION / inputs.std(0).clamp(min=1e-6))[:, None])
    # Adam moves every parameter by about its rate, so that rates are in the units of the integers
    rates = {name: 0.05 for name, _ in network.named_parameters()}
    rates["projection"] = 0.03 * float(network.projection.detach().std())
    groups = [{"params": [value], "rate": rates[name]} for name, value in network.named_parameters()]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    begun, step, total = time.monotonic(), 0, 0.0

    def share_done() -> float:
        if options.steps is not None:
            return step / options.steps
        return (time.monotonic() - begun) / 60 / options.minutes

    while (done := share_done()) < 1:
        factor = min(1, (step + 1) / 100) * max(0.02, min(1, (1 - done) / 0.5))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        rows = torch.randint(0, len(coefficients), (options.batch,), generator=generator)
        spread = torch.rand(options.batch, generator=generator)
        noise = LEAST_NOISE * (MOST_NOISE / LEAST_NOISE) ** spread
        wanted = coefficients[rows]
        sizes = network(coded[step % len(coded)].latents[rows])
        bits = bits_of(sizes, steps_for(wanted, offsets, noise), offsets, wanted)
        optimizer.zero_grad()
        (10 * bits.mean()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        total, step = total + float(bits.detach().sum((1, 2)).mean()), step + 1
        if step % 500 == 0:
            report(f"{done:.0%}, step {step}: {total / 500:.0f} bits per window")
            total = 0.0


@torch.no_grad()
def export(
    network: WaveformNetwork,
    model: CodecModel,
    coded: CodedLatents,
    coefficients: Tensor,
    offsets: npt.NDArray[np.int32],
) -> WaveformModelTensors:
    """The integers of a trained network, with distributions and magnitudes measured on windows.

    Args:
        network: The network.
        model: The codec.
        coded: Windows.
        coefficients: Of the windows. # (N, T, bins)
        offsets: Of the steps. # (bins,)

    Raises:
        WeightsError: A sum of products could reach 2^24.
    """
    stages = [codebook for quantizer in model.quantizer.quantizers for codebook in quantizer.stages]
    embedding = torch.stack([16 * codebook.all_codewords() @ network.projection.mT for codebook in stages])
    arrays: dict[str, npt.NDArray[Any]] = {"embedding": _rounded(embedding, np.int16), "offset": offsets}
    for name in ("hidden1", "hidden2", "output"):
        weight, bias = getattr(network, f"{name}_weight"), 128 * getattr(network, f"{name}_bias")
        if name == "output":  # sizes are rounded to the nearest, and coefficients coded from class 0 on
            bias = bias + 64 + 128 * LEAST_SCALE
        arrays[f"{name}_weight"] = _rounded(weight.clamp(-127, 127), np.int8)
        arrays[f"{name}_bias"] = _rounded(bias, np.int32)
    # any distributions will do to find the classes
    width = 2 * LARGEST_VALUE + 1
    arrays["frequencies"] = np.full((CLASSES, width), TOTAL // width, np.int32)
    arrays["frequencies"][:, 0] += TOTAL - arrays["frequencies"].sum(1)
    arrays["levels"] = np.tile(np.arange(LARGEST_VALUE + 1, dtype=np.float32), (CLASSES, 1))
    tensors = WaveformModelTensors.from_arrays(arrays)
    counts, sums = _measure(tensors, coded, coefficients)
    return WaveformModelTensors.from_arrays(
        arrays | {"frequencies": _frequencies(counts), "levels": _levels(counts, sums)}
    )


def _rounded(values: Tensor, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return (values + 0.5).floor().numpy().astype(dtype)


Reals = npt.NDArray[np.float64]


def _measure(tensors: WaveformModelTensors, coded: CodedLatents, coefficients: Tensor) -> tuple[Reals, Reals]:
    """How often each magnitude occurs in each class, and the sums of what it stands for. # (G, Q + 1) both"""
    arithmetic = exact_arithmetic(tensors.matrices, 64)
    model, generator = WaveformModel(tensors, arithmetic), np.random.default_rng(0)
    counts, sums = np.zeros((2, tensors.classes, tensors.largest + 1))
    offsets = torch.from_numpy(tensors.offset)
    last = tensors.classes - 1
    for begin in range(0, len(coefficients), 64):
        rows = slice(begin, begin + 64)
        masks, part = coded.masks[rows].numpy(), coefficients[rows]
        used = np.concatenate([np.ones((len(masks), 1), bool), masks], 1)
        indices = [
            block[mask].reshape(-1, block.shape[-1]).astype(np.int64)
            for block, mask in zip(coded.indices[rows].numpy(), used, strict=True)
        ]
        noise = LEAST_NOISE * (MOST_NOISE / LEAST_NOISE) ** generator.random(len(masks))
        steps = steps_for(part, offsets, torch.from_numpy(noise).float()).int().tolist()
        for sizes, step, values in zip(model.sizes(masks, indices), steps, part.numpy(), strict=True):
            c = sizes - step - tensors.offset
            coded_here, classes = c >= 0, np.clip(c, 0, last)
            exponents = step + tensors.offset + np.maximum(c - last, 0) - UNITY_SIZE
            q = np.abs(quantize(tensors, sizes, step, values, ROUNDING))[coded_here]
            magnitudes = (np.abs(values) / np.exp2(exponents / STEPS_PER_OCTAVE))[coded_here]
            np.add.at(counts, (classes[coded_here], q), 1)
            np.add.at(sums, (classes[coded_here], q), np.minimum(magnitudes, 2 * tensors.largest))
    return counts, sums


def _frequencies(counts: Reals) -> npt.NDArray[np.int32]:
    """Frequencies of -Q ... Q from counts of magnitudes, with a sum of 2^16. # (G, 2 Q + 1)"""
    smooth = counts + 0.02 * 0.7 ** np.arange(counts.shape[1])  # every value stays possible
    both = np.concatenate([smooth[:, :0:-1] / 2, smooth[:, :1], smooth[:, 1:] / 2], 1)
    spare = TOTAL - both.shape[1]
    shares = both / both.sum(1, keepdims=True)
    frequencies: npt.NDArray[np.int32] = 1 + np.floor(shares * spare).astype(np.int32)
    middle = counts.shape[1] - 1
    frequencies[:, middle] += TOTAL - frequencies.sum(1, dtype=np.int32)
    return frequencies


def _levels(counts: Reals, sums: Reals) -> npt.NDArray[np.float32]:
    """Mean of what each magnitude stands for, drawn to the magnitude where there are few. # (G, Q + 1)"""
    values = np.arange(counts.shape[1])
    levels = (sums + 20.0 * values) / (counts + 20.0)
    levels[:, 0] = 0
    return np.maximum.accumulate(levels, 1).astype(np.float32)


def train_waveform_model(
    weights: Path, audio: Path, output: Path, minutes: float, report: Callable[[str], None] = print
) -> None:
    """Train a waveform model for a codec's weights on a folder of audio, and write both.

    Args:
        weights: Of the codec.
        audio: Folder of audio files, which are kept in the user's cache folder once they are decoded.
        output: The weights file to write.
        minutes: Time for all of it, decoding of audio files excluded.
        report: Called with lines of progress.
    """
    codec, _, provenance = load_weights(weights)
    config = codec.config
    pool = default_cache(audio, config.sample_rate)
    if not (pool / "pool.json").exists():
        build_pool(audio, pool, config.sample_rate, report=report)
    begun = time.monotonic()
    network = WaveformNetwork(WaveformModelConfig(config.latent_dimension))
    windows = collect(codec, pool, network.config.bins, minutes * 0.4, report)
    generator = torch.Generator().manual_seed(0)
    coded = [code(codec, windows.latents, generator) for _ in range(2)]
    offsets = step_offsets(network.config.bins, codec.hop, config.sample_rate)
    left = max(minutes * 0.2, minutes * 0.9 - (time.monotonic() - begun) / 60)
    train(
        network,
        coded,
        windows.coefficients,
        torch.from_numpy(offsets),
        TrainingOptions(minutes=left),
        report,
    )
    codec.waveform_tensors = export(network, codec, coded[0], windows.coefficients, offsets)
    save_weights(output, codec, provenance)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a waveform model.")
    parser.add_argument("weights", type=Path, help="weights of the codec")
    parser.add_argument("audio", type=Path, help="folder of audio files")
    parser.add_argument("output", type=Path, help="weights file to write")
    parser.add_argument("--minutes", type=float, default=15.0)
    options = parser.parse_args()
    train_waveform_model(options.weights, options.audio, options.output, options.minutes)


if __name__ == "__main__":
    main()
