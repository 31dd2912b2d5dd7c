#!/usr/bin/env python3
"""Print how decoded audio differs from the originals of this folder, octave by octave.

    python docs/listening/octaves.py --kbps 2.67

For each octave: the difference of levels in dB, and in parentheses the mean absolute difference in dB of the
short-time spectra (2048 samples), over those points where the original is at most 60 dB below its maximum.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from switchcodec_cli import Codec

ORIGINALS = Path(__file__).parent / "originals"
WINDOW = 2048  # samples
DYNAMIC_RANGE = 60  # dB
OCTAVES = 1000 * 2.0 ** np.arange(-4, 5)  # centres in Hz


def power_spectra(signal: np.ndarray) -> np.ndarray:
    """Short-time power spectra. # (frames, bins)"""
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[:: WINDOW // 4]
    return np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2


def differences(original: np.ndarray, decoded: np.ndarray, sample_rate: int) -> list[str]:
    """The cells of a line of the table."""
    spectra = [power_spectra(signal) for signal in (original, decoded)]
    decibels = [10 * np.log10(powers + 1e-12) for powers in spectra]
    audible = decibels[0] > decibels[0].max() - DYNAMIC_RANGE
    frequencies = np.fft.rfftfreq(WINDOW, 1 / sample_rate)
    cells = []
    for centre in OCTAVES:
        inside = (frequencies >= centre / 2**0.5) & (frequencies < centre * 2**0.5)
        chosen = audible & inside
        if chosen.mean() < 0.02 * inside.mean():
            cells.append("–")
            continue
        level = 10 * np.log10(spectra[1][:, inside].sum() / spectra[0][:, inside].sum())
        cells.append(f"{level:+.1f} ({np.abs(decibels[1] - decibels[0])[chosen].mean():.1f})")
    return cells


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kbps", type=float, default=2.67)
    kbps = parser.parse_args().kbps
    codec = Codec.load()
    print("| item |" + "|".join(f" {centre:.0f} Hz " for centre in OCTAVES) + "|")
    print("|---|" + "--:|" * len(OCTAVES))
    for path in sorted(ORIGINALS.rglob("*.flac")):
        audio, sample_rate = soundfile.read(path, dtype="float32")
        decoded, _ = codec.decode(codec.encode(audio, sample_rate, kbps=kbps))
        print(f"| {path.stem} | " + " | ".join(differences(audio, decoded, sample_rate)) + " |")


if __name__ == "__main__":
    main()
