"""Random changes to training items, tensors (B, L) of audio in -1 ... 1.

Random numbers come from a generator on the CPU, so that a run is the same on every device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SPEED_STEP = 0.005
MAX_SPEED_STEPS = 20  # 0.9 to 1.1 times the speed
SPEED_MARGIN = 1024  # samples cut at both ends, where the circular resampling wraps around
EQ_KNOTS = 8
EQ_DEVIATION_DB = 2.5
MAX_TONES = 4


def random_gain(audio: Tensor, min_gain_db: float, generator: torch.Generator) -> Tensor:
    """Attenuate half of the items by up to `min_gain_db`, and invert the polarity of half of them."""
    count = len(audio)
    attenuated = _uniform(generator, count, 1) < 0.5
    gain = torch.where(attenuated, _uniform(generator, count, 1) * min_gain_db, torch.zeros(count, 1))
    sign = torch.where(_uniform(generator, count, 1) < 0.5, -1.0, 1.0)
    return audio * (sign * 10 ** (gain / 20)).to(audio.device)


def mix_items(audio: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Add the item before it, at a random level, to each item with the given probability."""
    count = len(audio)
    level = _uniform(generator, count, 1) * (_uniform(generator, count, 1) < probability)
    return audio + audio.roll(1, 0) * level.to(audio.device)


def add_tones(audio: Tensor, sample_rate: int, probability: float, generator: torch.Generator) -> Tensor:
    """Turn items, each with the given probability, into synthetic tones; see `tones_over`."""
    chosen = (_uniform(generator, len(audio)) < probability).to(audio.device)
    if chosen.any():
        audio = audio.clone()
        audio[chosen] = tones_over(audio[chosen], sample_rate, generator)
    return audio


def tones_over(audio: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
    """Items of one to four sinusoids; half of the items keep their audio, at -60 to 0 dB.

    Recordings rarely contain an isolated spectral line, least of all a high one, and a network that was never
    trained on one does not reproduce it. Frequencies are 40 Hz to 18 kHz, half of them uniform in octaves and
    half in hertz; half are constant and half glide by up to an octave per item; levels are -46 to -6 dBFS.
    """
    count, length = audio.shape
    shape = (count, MAX_TONES, 1)
    octaves, hertz = _uniform(generator, *shape), _uniform(generator, *shape)
    start = torch.where(_uniform(generator, *shape) < 0.5, 40 * 450**octaves, 40 + 17_960 * hertz)  # Hz
    glide = (2 * _uniform(generator, *shape) - 1) * (_uniform(generator, *shape) < 0.5)  # octaves per item
    level = 10 ** ((-46 + 40 * _uniform(generator, *shape)) / 20)
    tones = 1 + (_uniform(generator, count, 1, 1) * MAX_TONES).floor()
    level = level * (torch.arange(MAX_TONES)[:, None] < tones)
    phase = _uniform(generator, *shape)
    background = 10 ** (-60 * _uniform(generator, count, 1) / 20) * (_uniform(generator, count, 1) < 0.5)

    start, glide, level, phase = (values.to(audio.device) for values in (start, glide, level, phase))
    frequency = start * 2 ** (glide * torch.linspace(0, 1, length, device=audio.device))
    frequency = frequency.clamp(max=0.45 * sample_rate)
    cycles = phase.double() + (frequency.double() / sample_rate).cumsum(-1)
    tone = (level * torch.sin(2 * math.pi * (cycles % 1).float())).sum(1)
    return (tone + background.to(audio.device) * audio).clamp(-1, 1)


def random_speed_length(length: int, generator: torch.Generator) -> int:
    """Samples to read for an item of `length` samples at a random speed of 0.9 to 1.1."""
    output = length + 2 * SPEED_MARGIN
    steps = int(torch.randint(-MAX_SPEED_STEPS, MAX_SPEED_STEPS + 1, (1,), generator=generator).item())
    return output + steps * output // round(1 / SPEED_STEP) // 2 * 2


def change_speed_and_equalise(audio: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Resample items to `length` samples through a smooth random equaliser, in the frequency domain.

    Args:
        audio: Items of `random_speed_length` samples.
        length: Samples per item in the result.
        generator: Of the equaliser's gains, normal at knots that are evenly spaced in octaves.
    """
    count, source = audio.shape
    output = length + 2 * SPEED_MARGIN
    bins = output // 2 + 1
    spectrum = torch.fft.rfft(audio)
    spectrum = torch.nn.functional.pad(spectrum, (0, max(0, bins - spectrum.shape[1])))[:, :bins]
    gain = 10 ** (_random_curves(count, bins, generator) / 20)
    resampled: Tensor = torch.fft.irfft(spectrum * gain.to(audio.device) * (output / source), output)
    return resampled[:, SPEED_MARGIN : SPEED_MARGIN + length].clamp(-1, 1)


def _random_curves(count: int, bins: int, generator: torch.Generator) -> Tensor:
    """Piecewise linear functions of the logarithm of frequency, in dB, (count, bins)."""
    knots = torch.randn(count, 1, 1, EQ_KNOTS, generator=generator) * EQ_DEVIATION_DB
    position = torch.linspace(0.002, 1, bins).log()
    position = (position - position[0]) / (position[-1] - position[0]) * 2 - 1
    grid = torch.stack([position, torch.zeros_like(position)], -1).expand(count, 1, bins, 2)
    curves = torch.nn.functional.grid_sample(
        knots, grid, mode="bilinear", align_corners=True, padding_mode="border"
    )
    return curves[:, 0, 0]


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)
