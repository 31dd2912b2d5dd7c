"""Training data of the index model: masks and indices of the windows of a corpus, coded greedily."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..model.codec_model import CodecModel
from ..perceptual import LatentEncoder, PerceptualDistance
from .data import PoolIndex

SEGMENT_WINDOWS = 60  # windows that go through the encoder at once
SILENCE_PEAK = 2e-4  # windows whose samples all lie below are left out
GAIN_RANGE = 15.0  # dB by which segments are attenuated at most
SHARD_SEGMENTS = 40  # segments per file of the cache


@dataclass(frozen=True)
class CodedWindows:
    """Masks and indices of N windows; unused codebooks have index 0."""

    masks: npt.NDArray[np.bool_]  # (N, Nr)
    indices: npt.NDArray[np.int16]  # codebooks in the order in which they are applied, (N, C, T)

    def __len__(self) -> int:
        return len(self.masks)


def concatenate(parts: list[CodedWindows]) -> CodedWindows:
    """All windows of several sets."""
    return CodedWindows(np.concatenate([p.masks for p in parts]), np.concatenate([p.indices for p in parts]))


@torch.no_grad()
def code_windows(model: CodecModel, audio: Tensor, counts: Tensor) -> CodedWindows:
    """Code the first windows of an audio segment by greedy quantization.

    Args:
        model: The codec.
        audio: Samples, full scale 1. # (n,)
        counts: Number of experts of each window. # (W,)

    Returns:
        The windows that are not silent.
    """
    frames = model.config.frames_per_window
    size = frames * model.hop
    windows = len(counts)
    audio = audio[: windows * size]
    loud = audio.view(windows, size).abs().amax(1) >= SILENCE_PEAK
    z = LatentEncoder(model, PerceptualDistance(model))(audio[None]).view(windows, frames, -1)[loud]
    masks = model.quantizer.route(z, counts[loud])
    indices, _ = model.quantizer.encode(z, masks)
    return CodedWindows(masks.numpy(), indices.flatten(1, 2).to(torch.int16).numpy())


def _segments(cache: Path, size: int) -> list[tuple[int, int]]:
    """Start and length, in samples, of the segments of a training pool, shuffled."""
    recordings = PoolIndex.read(cache).recordings
    step = SEGMENT_WINDOWS * size
    found = [
        (recording.start + at, min(step, recording.length - at) // size * size)
        for recording in recordings
        for at in range(0, recording.length - 2 * size, step)
    ]
    order = np.random.default_rng(1).permutation(len(found))
    return [found[i] for i in order]


def extract_indices(
    model: CodecModel,
    pool: Path,
    folder: Path,
    minutes: float = math.inf,
    draws: int = 2,
    report: Callable[[str], None] = print,
) -> None:
    """Code a training pool with random numbers of experts, into files of `folder` that are not there yet.

    Args:
        model: The codec.
        pool: Folder written by `data.build_pool`.
        folder: Where the files go; they depend on the weights, so use one folder per weights file.
        minutes: Time after which no further file is begun.
        draws: Times that each segment is coded, each with other numbers of experts, another gain and offset.
        report: Called with lines of progress.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = np.memmap(pool / "pool.i16", dtype=np.int16, mode="r")
    size = model.config.frames_per_window * model.hop
    segments = _segments(pool, size)
    experts = model.config.quantizer.experts
    begun = time.monotonic()
    for number, start in enumerate(range(0, len(segments), SHARD_SEGMENTS)):
        path = folder / f"indices_{number:04d}.npz"
        if path.exists():
            continue
        if time.monotonic() - begun > minutes * 60:
            break
        generator = torch.Generator().manual_seed(number)
        parts = []
        for position, length in segments[start : start + SHARD_SEGMENTS]:
            audio = torch.from_numpy(samples[position : position + length].astype(np.float32) / 32768)
            for _ in range(draws):
                # another gain and offset give other indices
                gain = 10 ** (-GAIN_RANGE / 20 * torch.rand(1, generator=generator))
                offset = int(torch.randint(0, size, (1,), generator=generator))
                counts = torch.randint(0, experts + 1, (length // size - 1,), generator=generator)
                parts.append(code_windows(model, gain * audio[offset:], counts))
        windows = concatenate(parts)
        temporary = folder / f"part_{number:04d}.npz"
        np.savez(temporary, masks=windows.masks, indices=windows.indices)
        temporary.replace(path)
        report(f"{path.name}: {len(windows)} windows, {start + SHARD_SEGMENTS} of {len(segments)} segments")


def index_files(folder: Path) -> Iterator[CodedWindows]:
    """The windows of each file of `extract_indices`."""
    for path in sorted(folder.glob("indices_*.npz")):
        with np.load(path) as file:
            yield CodedWindows(file["masks"], file["indices"])
