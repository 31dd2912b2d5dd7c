"""Stereo items, and what becomes of the places of sounds: levels between the channels, coherence, fold-down.

    python tests/edges/stereo.py [WEIGHTS]

prints every figure. All items are 44.1 kHz, (n, 2), and the same on every machine.
"""

from __future__ import annotations

import numpy as np
import soundfile
from edges import RATE, SPEECH, decibels, noise, power, show

from switchcodec_cli import Codec

SECONDS = 6
EDGES = (100, 200, 400, 800, 1600, 3200, 6400, 12800)  # Hz, between the bands in which channels are compared
AUDIBLE = -60  # dB below the loudest band: what lies below is not compared


def speech(seconds: float) -> np.ndarray:
    audio = soundfile.read(SPEECH)[0]
    return np.resize(audio, round(seconds * RATE))


def plucked(frequency: float, seconds: float, seed: int) -> np.ndarray:
    """A plucked string: harmonics that fall off and die away, the high ones sooner."""
    time = np.arange(round(seconds * RATE)) / RATE
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 24)
    return sum(
        np.exp(-time * (1.5 + 0.25 * n)) / n * np.sin(2 * np.pi * n * frequency * time + phase)
        for n, phase in enumerate(phases, 1)
        if n * frequency < 0.4 * RATE
    )


def strings(notes: tuple[float, ...], seed: int) -> np.ndarray:
    """A note every half second, over and over."""
    count = round(SECONDS * RATE)
    audio = np.zeros(count)
    for number in range(2 * SECONDS):
        begin = number * RATE // 2
        note = plucked(notes[number % len(notes)], min(1.5, SECONDS - begin / RATE), seed + number)
        audio[begin : begin + len(note)] += 0.1 * note[: count - begin]
    return audio


def items() -> dict[str, np.ndarray]:
    """Audio (n, 2) by name."""
    voice = 0.5 * speech(SECONDS)
    low, high = strings((110, 164.81, 220, 277.18), 0), strings((329.63, 440, 554.37, 659.26), 100)
    return {
        # one sound in each channel, nothing in common
        "panned": np.stack([voice, high], 1),
        # one channel only
        "left only": np.stack([voice, 0 * voice], 1),
        # a voice in the middle of two instruments, and a hall's worth of different noise
        "wide": np.stack([voice + low, voice + high], 1)
        + 0.001 * np.stack([noise(len(voice)), np.roll(noise(len(voice)), 9999)], 1),
        # a mono sound a little to the left
        "near mono": np.stack([voice + low, 0.8 * (voice + low)], 1),
        # a mono tape, played on a machine for stereo
        "tape": np.stack([voice + low, 0.8 * (voice + low)], 1)
        + 0.0005 * np.stack([noise(len(voice)), np.roll(noise(len(voice)), 9999)], 1),
        "mono": np.stack([voice + low] * 2, 1),
    }


def bands(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power of left and of right, and their cross-spectrum (bands,), summed over time, of audio (n, 2)."""
    parts = np.lib.stride_tricks.sliding_window_view(audio, 2048, axis=0)[::512] * np.hanning(2048)
    spectra = np.fft.rfft(parts, axis=2)  # (T, 2, bins)
    frequency = np.fft.rfftfreq(2048, 1 / RATE)
    number = np.digitize(frequency, EDGES)
    inside = np.stack([number == n for n in range(1, len(EDGES))], 1)  # (bins, bands)
    left, right = spectra[:, 0], spectra[:, 1]
    cross = left * right.conj()
    return (
        (np.abs(left) ** 2).sum(0) @ inside,
        (np.abs(right) ** 2).sum(0) @ inside,
        cross.sum(0) @ inside,
    )


def compare(original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    """Largest changes over the audible bands."""
    floor = 10 ** (AUDIBLE / 10)
    left, right, cross = bands(original)
    left_after, right_after, cross_after = bands(decoded)
    heard = np.minimum(left, right) > floor * np.maximum(left, right).max()
    result = {}
    if heard.any():
        before = 10 * np.log10(left[heard] / right[heard])
        after = 10 * np.log10(left_after[heard] / np.maximum(right_after[heard], 1e-20))
        result["level difference"] = float(np.abs(after - before).mean())  # dB
        coherence = np.abs(cross[heard]) / np.sqrt(left[heard] * right[heard])
        coherence_after = np.abs(cross_after[heard]) / np.sqrt(left_after[heard] * right_after[heard] + 1e-20)
        result["coherence"] = float(np.abs(coherence_after - coherence).mean())
    before = (left + right + 2 * cross.real) / 4  # of the mean of both channels
    after = (left_after + right_after + 2 * cross_after.real) / 4
    heard = before > floor * before.max()
    result["fold-down"] = float(np.abs(10 * np.log10(after[heard] / before[heard])).mean())  # dB
    return result


def figures(codec: Codec, kbps: float) -> dict[str, float]:
    """Every figure of these weights at a rate."""
    result = {}
    for name, audio in items().items():
        data = codec.encode(audio.astype(np.float32), RATE, kbps=kbps)
        decoded = codec.decode(data)[0].astype(np.float64)
        for what, value in compare(audio, decoded).items():
            result[f"{what}, {name}"] = value
        result[f"kbps, {name}"] = 8 * len(data) / SECONDS / 1000
        if name == "left only":
            result["leak, left only"] = decibels(power(decoded[:, 1])) - decibels(power(decoded[:, 0]))
        if name == "mono":
            difference = power(decoded[:, 0] - decoded[:, 1])
            result["difference, mono"] = decibels(difference) - decibels(power(decoded[:, 0]))
    return result


if __name__ == "__main__":
    show(figures)
