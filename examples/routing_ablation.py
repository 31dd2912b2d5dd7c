#!/usr/bin/env python3
"""Compare ways to choose the experts of each window, with the same weights.

    python examples/routing_ablation.py AUDIO... [--weights NAME|PATH]

For 1, 2 and 4 experts per window, the masks are those of the router, of the search for the least quantization
error among all masks, random ones, and the first experts. Quantization is greedy throughout. The table shows
the squared error of the latents relative to their variance, the mel distance of the decoded audio and, if the
package pesq is installed (pip install 'switchcodec-cli[eval]'), PESQ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from switchcodec_cli import Codec, SwcError, UsageError
from switchcodec_cli.audio import AudioReader, StreamResampler
from switchcodec_cli.encoder.search.mask_search import MaskSearch
from switchcodec_cli.evaluation.metrics import available_metrics, measure
from switchcodec_cli.perceptual import LatentEncoder, PerceptualDistance

COUNTS = (1, 2, 4)  # experts per window
METRICS = ("mel", "pesq")

MaskChoice = Callable[[Tensor, Tensor], Tensor]
"""Chooses masks (W, Nr) for windows (W, F, D) with a number of experts each (W,)."""


@dataclass
class Scores:
    """Sums over the files that were coded with one kind of masks and one number of experts."""

    squared_error: float = 0.0
    squared_deviation: float = 0.0  # of the latents from their mean
    metrics: dict[str, list[float]] = field(default_factory=dict)

    @property
    def relative_error(self) -> float:
        """Squared error of the latents, relative to their variance."""
        return self.squared_error / self.squared_deviation


def mask_choices(codec: Codec) -> dict[str, MaskChoice]:
    """The ways to choose masks, by name."""
    quantizer = codec.model.quantizer
    experts, search = len(quantizer.experts), MaskSearch(quantizer)
    generator = torch.Generator().manual_seed(0)

    def random_masks(windows: Tensor, counts: Tensor) -> Tensor:
        ranks = torch.rand(len(windows), experts, generator=generator).argsort(1).argsort(1)
        return ranks < counts[:, None]

    def first_experts(windows: Tensor, counts: Tensor) -> Tensor:
        return torch.arange(experts).expand(len(windows), -1) < counts[:, None]

    return {
        "router": quantizer.route,
        "search": lambda windows, counts: search.best(windows, counts, 1)[0][:, 0],
        "random": random_masks,
        "first": first_experts,
    }


def read_signal(path: str, rate: int, frames: int) -> np.ndarray:
    """The mean of a file's channels at a sample rate, cut to a multiple of `frames` samples. # (n,)"""
    with AudioReader(path) as reader:
        blocks = [np.zeros((0, reader.channels), np.float32), *reader.blocks()]
        resampler = StreamResampler(reader.sample_rate, rate, 1)
        signal = resampler.process(np.concatenate(blocks).mean(1, keepdims=True), last=True)[:, 0]
    length = len(signal) // frames * frames
    if not length:
        raise UsageError(f"{path}: shorter than a window of {frames / rate:.2f} s")
    return np.asarray(signal[:length], np.float32)


def decode(codec: Codec, z: Tensor) -> np.ndarray:
    """The audio of latents (T, D). # (n,)"""
    stream = codec.model.backbone.decoder_stream(8 * codec.model.config.frames_per_window)
    pieces = stream.push(z[None], torch.ones(1, len(z), 1), last=True)
    return torch.cat(pieces, 1)[0].numpy()


@torch.no_grad()
def code_file(
    codec: Codec,
    path: str,
    choices: dict[str, MaskChoice],
    metrics: tuple[str, ...],
    table: dict[tuple[str, int], Scores],
) -> None:
    """Code a file with every kind of masks, and add its scores to a table."""
    config, quantizer = codec.model.config, codec.model.quantizer
    signal = read_signal(path, codec.sample_rate, config.frames_per_window * config.hop)
    z = LatentEncoder(codec.model, PerceptualDistance(codec.model))(torch.from_numpy(signal)[None])[0]
    windows = z.unflatten(0, (-1, config.frames_per_window))  # (W, F, D)
    for name, choose in choices.items():
        for experts in (count for count in COUNTS if count <= len(quantizer.experts)):
            masks = choose(windows, torch.full((len(windows),), experts))
            _, quantized = quantizer.encode(windows, masks)
            scores = table.setdefault((name, experts), Scores())
            scores.squared_error += float((quantized - windows).square().sum())
            scores.squared_deviation += float((z - z.mean(0)).square().sum())
            decoded = decode(codec, quantized.flatten(0, 1))
            for metric, value in measure(signal, decoded, codec.sample_rate, metrics).items():
                scores.metrics.setdefault(metric, []).append(value)


def main(arguments: list[str] | None = None) -> int:
    """Run the example and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("audio", nargs="+", help="audio files")
    parser.add_argument("--weights", help="name of packaged weights, or path of a weights file")
    options = parser.parse_args(arguments)
    metrics = tuple(name for name in METRICS if name in available_metrics())
    table: dict[tuple[str, int], Scores] = {}
    try:
        codec = Codec.load(options.weights, device="cpu")
        choices = mask_choices(codec)
        for path in options.audio:
            code_file(codec, path, choices, metrics, table)
    except SwcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("| masks | experts | latent error |", " | ".join(metrics), "|")
    print("|---|--:|--:|" + "--:|" * len(metrics))
    for (name, experts), scores in sorted(table.items(), key=lambda entry: entry[0][1]):
        means = [f"{np.nanmean(scores.metrics[metric]):.3f}" for metric in metrics]
        print(f"| {name} | {experts} | {scores.relative_error:.4f} |", " | ".join(means), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
