"""The golden weights as codecs, and signals to code with them."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from switchcodec_cli import Codec
from switchcodec_cli.bitstream import StreamReader
from switchcodec_cli.encoder.extrapolation import extrapolate

torch.set_num_threads(1)  # such small work is slower on several

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("spectral", "dac")


@lru_cache
def codec(name: str) -> Codec:
    """The tiny codec with this backbone: `spectral` at 16 kHz or `dac` at 8 kHz."""
    return Codec.load(GOLDEN / f"{name}.safetensors", device="cpu")


def audio(frames: int, channels: int, rate: int, seed: int = 0) -> np.ndarray:
    """Tones that come and go, over a little noise; (frames, channels) float32."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / rate
    total = random.normal(0, 0.01, (frames, channels))
    for frequency in (210.0, 440.0, 1230.0, 2900.0):
        phase = random.uniform(0, 6, (1, channels))
        swell = np.square(np.sin(2 * np.pi * time * frequency / 400 + phase))
        total += 0.1 * swell * np.sin(2 * np.pi * frequency * time + phase)
    return total.astype(np.float32)


def latents_of(this: Codec, samples: np.ndarray) -> torch.Tensor:
    """Latents (T, D) of a signal (n,) at the codec's rate, by one run of the encoder network.

    The signal is continued by extrapolation to a whole number of frames and by one more frame, as the
    encoder does it.
    """
    hop = this.model.hop
    filled = np.concatenate([samples, extrapolate(samples, -len(samples) % hop)])
    continued = np.concatenate([filled, extrapolate(filled, hop)])
    with torch.inference_mode():
        return this.model.backbone.encode(torch.from_numpy(continued)[None])[0, :-1]


def windows_of(data: bytes) -> list:
    """All windows of a stream."""
    return list(StreamReader(io.BytesIO(data)).windows())
