#!/usr/bin/env python3
"""Plot the spectrograms of an original and of decoded files, one below the other.

    python examples/spectrogram.py original.wav decoded.wav -o spectrogram.png

Channels are averaged, each file keeps its sample rate, and all spectrograms have the same scale. Needs
matplotlib (pip install 'switchcodec-cli[plot]').
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from switchcodec_cli import SwcError, UsageError
from switchcodec_cli.audio import AudioReader
from switchcodec_cli.report.figure_file import check_figure_path, new_figure, save_figure

DYNAMIC_RANGE = 90  # dB below the maximum of the original
WINDOW_SECONDS = 0.05
MAX_COLUMNS = 4000


@dataclass(frozen=True)
class Spectrogram:
    """The spectrogram of a file."""

    title: str
    power: np.ndarray
    """In dB. # (frequencies, times)"""
    sample_rate: int
    seconds: float


def compute_spectrogram(path: str, title: str, start: float, duration: float | None) -> Spectrogram:
    """The spectrogram of a section of a file, given in seconds."""
    with AudioReader(path) as reader:
        sample_rate = reader.sample_rate
        signal = reader.read().mean(axis=1)
    first = round(start * sample_rate)
    last = len(signal) if duration is None else first + round(duration * sample_rate)
    signal = signal[first:last]
    if not len(signal):
        raise UsageError(f"{path}: no audio at {start:g} s")
    window = 1 << round(np.log2(WINDOW_SECONDS * sample_rate))
    step = max(window // 4, len(signal) // MAX_COLUMNS)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(signal, window // 2), window)[::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) ** 2 / window
    decibels = 10 * np.log10(np.maximum(power.T, 1e-12))
    return Spectrogram(title, decibels, sample_rate, len(signal) / sample_rate)


def plot(
    spectrograms: list[Spectrogram], output: str, start: float = 0, max_frequency: float | None = None
) -> None:
    """Write a figure; an existing file is overwritten.

    Args:
        spectrograms: from top to bottom; the first one determines the scale.
        output: path of the figure.
        start: time of the first column in seconds.
        max_frequency: in Hz, by default half the highest sample rate.
    """
    maximum = spectrograms[0].power.max()
    top = max_frequency or max(each.sample_rate for each in spectrograms) / 2
    figure = new_figure(9, 0.6 + 2.2 * len(spectrograms))
    axes = figure.subplots(len(spectrograms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, spectrogram in zip(axes, spectrograms, strict=True):
        image = axis.imshow(
            spectrogram.power,
            origin="lower",
            aspect="auto",
            extent=(start, start + spectrogram.seconds, 0, spectrogram.sample_rate / 2000),
            vmin=maximum - DYNAMIC_RANGE,
            vmax=maximum,
            cmap="magma",
            interpolation="antialiased",
        )
        axis.set_facecolor("black")
        axis.set_title(spectrogram.title, loc="left", fontsize=9)
        axis.set_ylabel("kHz")
        axis.set_ylim(0, top / 1000)
    axes[0].set_xlim(start, start + max(each.seconds for each in spectrograms))
    axes[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    save_figure(figure, output, force=True)


def main() -> int:
    """Run the example and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("original", help="original file")
    parser.add_argument("decoded", nargs="*", help="decoded files")
    parser.add_argument("-o", "--output", default="spectrogram.png", help="default: %(default)s")
    parser.add_argument("--labels", nargs="+", help="titles of the files; default: the file names")
    parser.add_argument("--max-frequency", type=float, metavar="HZ", help="default: half the sample rate")
    parser.add_argument("--start", type=float, default=0, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="default: to the end")
    options = parser.parse_args()
    paths = [options.original, *options.decoded]
    labels = options.labels or [Path(path).name for path in paths]
    if len(labels) != len(paths):
        parser.error(f"{len(paths)} files need {len(paths)} labels, not {len(labels)}")
    try:
        check_figure_path(options.output, force=True)
        spectrograms = [
            compute_spectrogram(path, label, options.start, options.duration)
            for path, label in zip(paths, labels, strict=True)
        ]
        plot(spectrograms, options.output, options.start, options.max_frequency)
    except SwcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
