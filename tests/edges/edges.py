"""Edge cases of the shipped weights: synthetic signals, and what is measured on them after coding.

    python tests/edges/edges.py [WEIGHTS]

prints all figures. All signals are mono, 44.1 kHz, floats of full scale 1, and the same on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from switchcodec_cli import Codec

RATE = 44100
RATES = (2.67, 8)  # kbps, at which everything is measured
SPEECH = Path(__file__).parents[2] / "examples" / "speech.flac"
LEVELS = (-50, -35, -20, -10, -1)  # dBFS, of the peak
TONES = (50, 100, 440, 1000, 4000, 5000, 10000, 15000)  # Hz

Coding = Callable[[np.ndarray], np.ndarray]
"""Encodes and decodes audio (n,), and returns what is decoded (n,)."""


def decibels(power: float | np.ndarray) -> float:
    return float(10 * np.log10(max(float(power), 1e-20)))


def power(audio: np.ndarray) -> float:
    return float(np.square(audio, dtype=np.float64).mean()) if len(audio) else 0.0


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count)


def tone(frequency: float, seconds: float, level: float = -20.0) -> np.ndarray:
    """A sine with a power of `level` dB relative to a full-scale sine, faded in and out."""
    time = np.arange(round(seconds * RATE)) / RATE
    fade = np.clip(np.minimum(time, time[::-1]) / 0.05, 0, 1)
    return 10 ** (level / 20) * fade * np.sin(2 * np.pi * frequency * time)


def spectrum(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and power of the whole signal under one Hann window."""
    windowed = audio * np.hanning(len(audio))
    return np.fft.rfftfreq(len(audio), 1 / RATE), np.abs(np.fft.rfft(windowed)) ** 2


def frames(audio: np.ndarray, length: int = 2048) -> np.ndarray:
    """Power spectra of frames under Hann windows that overlap by three quarters, (T, bins)."""
    parts = np.lib.stride_tricks.sliding_window_view(audio, length)[:: length // 4]
    return np.abs(np.fft.rfft(parts * np.hanning(length), axis=1)) ** 2


def loudness(audio: np.ndarray) -> float:
    """Level in dB with the A-weighting of IEC 61672."""
    square = np.fft.rfftfreq(len(audio), 1 / RATE) ** 2
    weight = 12194**2 * square**2 / (square + 20.6**2) / (square + 12194**2)
    weight /= np.sqrt((square + 107.7**2) * (square + 737.9**2))
    return decibels((weight * np.abs(np.fft.rfft(audio)) ** 2).sum() / len(audio) ** 2)


def silence(code: Coding, window: int) -> dict[str, float]:
    """Power in dBFS of decoded silence: zeros, zeros between speech, and 16-bit dither."""
    speech = soundfile.read(SPEECH)[0][: 2 * RATE]
    between = code(np.concatenate([speech, np.zeros(3 * RATE), speech]))
    dither = np.round(noise(3 * RATE)) / 32768
    return {
        "silence": decibels(power(code(np.zeros(2 * RATE)))),
        "silence between speech": decibels(power(between[2 * RATE + 2 * window : 5 * RATE - 2 * window])),
        "dither": decibels(power(code(dither))),
    }


def levels(code: Coding, window: int) -> dict[str, float]:
    """Change of loudness in dB of speech at several levels."""
    speech = soundfile.read(SPEECH)[0]
    speech = speech / np.abs(speech).max()
    result = {}
    for level in LEVELS:
        audio = 10 ** (level / 20) * speech
        result[f"loudness at {level} dBFS"] = loudness(code(audio)) - loudness(audio)
    return result


def joins(code: Coding, window: int) -> dict[str, float]:
    """Ratio of the largest second difference at the joins of windows to the usual one elsewhere."""
    result = {}
    count = 12 * window
    time = np.arange(count) / RATE
    for name, audio in (
        ("tone", 0.2 * np.sin(2 * np.pi * 330 * time)),
        ("noise", 0.1 * noise(count)),
    ):
        decoded = code(audio)[window:-window]  # away from the ends
        curvature = np.abs(np.diff(decoded, 2))
        reach = 64  # samples to each side of a join
        offsets = np.arange(len(curvature)) % window
        near = (offsets < reach) | (offsets >= window - reach)
        # the largest at sets of as many places elsewhere as there are joins
        places = np.stack([np.roll(curvature, shift)[near].max() for shift in range(2000, 40000, 2000)])
        result[f"clicks in a {name}"] = float(curvature[near].max() / np.median(places))
    return result


def transients(code: Coding, window: int) -> dict[str, float]:
    """Energy in the 40 ms before onsets relative to that after them, change of level and of peak; in dB."""
    spacing = 17_000  # samples; onsets fall on different positions in frames and windows
    onsets = spacing * np.arange(1, 12)
    span = round(0.04 * RATE)
    margin = 32  # samples before the onset that filters may smear into
    result = {}
    for name, sound in (
        ("clicks", 0.5 * np.hanning(12)),
        ("drum", 0.3 * noise(8000) * np.exp(-np.arange(8000) / 1500)),
    ):
        audio = np.zeros(spacing * 13)
        for onset in onsets:
            audio[onset : onset + len(sound)] = sound
        decoded = code(audio)
        before = np.mean([power(decoded[onset - span : onset - margin]) for onset in onsets])
        after = np.mean([power(decoded[onset - margin : onset + span]) for onset in onsets])
        result[f"before {name}"] = decibels(before) - decibels(after)
        original = np.mean([power(audio[onset - margin : onset + span]) for onset in onsets])
        result[f"level of {name}"] = decibels(after) - decibels(original)
        peaks = [np.abs(decoded[onset - margin : onset + span]).max() for onset in onsets]
        result[f"peak of {name}"] = decibels(np.mean(peaks) ** 2) - decibels(np.abs(sound).max() ** 2)
    return result


def tones(code: Coding, window: int) -> dict[str, float]:
    """Share of the energy within 3 % of the frequency of a tone, and change of its level in dB."""
    result = {}
    for frequency in TONES:
        audio = tone(frequency, 3)
        decoded = code(audio)
        frequencies, energy = spectrum(decoded)
        inside = np.abs(frequencies - frequency) <= 0.03 * frequency
        result[f"tone of {frequency} Hz"] = float(energy[inside].sum() / max(energy.sum(), 1e-20))
        result[f"level of {frequency} Hz"] = decibels(power(decoded)) - decibels(power(audio))
    return result


def file_end(code: Coding, window: int) -> dict[str, float]:
    """A steady tone that ends with the file: energy beside the tone in the last 1024 samples, in dB."""
    result = {}
    for frequency in (440, 1000):
        time = np.arange(2 * RATE + 100) / RATE
        last = code(0.1 * np.sin(2 * np.pi * frequency * time))[-1024:]
        frequencies, energy = spectrum(last)
        beside = np.abs(frequencies - frequency) > 300
        result[f"click at the end of {frequency} Hz"] = decibels(energy[beside].sum() / energy.sum())
    return result


def sweep(code: Coding, window: int) -> dict[str, float]:
    """A logarithmic sweep: share of the energy within 3 % of it, change of level and of peak in dB."""
    seconds, low, high = 8, 50, 15000
    time = np.arange(seconds * RATE) / RATE
    growth = np.log(high / low) / seconds
    audio = 0.1 * np.sin(2 * np.pi * low / growth * np.expm1(growth * time))
    decoded = code(audio)
    energy = frames(decoded)
    bins = np.arange(energy.shape[1]) * RATE / 2048
    middle = low * np.exp(growth * (512 * np.arange(len(energy)) + 1024) / RATE)[:, None]
    reach = middle * (0.03 + growth * 1024 / RATE) + 2 * RATE / 2048
    inside = np.abs(bins - middle) <= reach
    return {
        "sweep": float((energy * inside).sum() / energy.sum()),
        "level of the sweep": decibels(power(decoded)) - decibels(power(audio)),
        "peak of the sweep": decibels(np.abs(decoded).max() ** 2) - decibels(np.abs(audio).max() ** 2),
    }


def white(code: Coding, window: int) -> dict[str, float]:
    """White noise: spectral flatness (100 Hz to 16 kHz) of frames and of their mean, change of level; dB."""
    audio = 0.1 * noise(6 * RATE)
    decoded = code(audio)
    energy = frames(decoded)[:, 5:743]
    mean = energy.mean(0)
    each = (10 * np.log10(energy + 1e-12)).mean(1) - 10 * np.log10(energy.mean(1) + 1e-12)
    return {
        "flatness of noise": float(each.mean()),  # -2.5 for Gaussian noise
        "flatness of its mean": float((10 * np.log10(mean)).mean() - 10 * np.log10(mean.mean())),
        "level of noise": decibels(power(decoded)) - decibels(power(audio)),
    }


GROUPS = (silence, levels, joins, transients, tones, file_end, sweep, white)


def figures(codec: Codec, kbps: float) -> dict[str, float]:
    """All figures of a codec at a rate."""

    def code(audio: np.ndarray) -> np.ndarray:
        decoded, _ = codec.decode(codec.encode(audio.astype(np.float32), RATE, kbps=kbps))
        return decoded.astype(np.float64)

    result = {}
    for group in GROUPS:
        result |= group(code, codec.parameters.window_samples)
    return result


def show(figures: Callable[[Codec, float], dict[str, float]]) -> None:
    """Print the figures of the weights named on the command line, at the two rates of the tests."""
    codec = Codec.load(sys.argv[1] if len(sys.argv) > 1 else None)
    low, high = (figures(codec, kbps) for kbps in RATES)
    for name in low:
        print(f"{name:30}{low[name]:9.3f}{high[name]:9.3f}")


if __name__ == "__main__":
    show(figures)
