#!/usr/bin/env python3
"""Draw the spectrograms of an original and of decoded files, one below the other, into one picture.

    python examples/spectrogram.py original.wav decoded.wav -o spectrogram.png

Channels are averaged, every file keeps its own sample rate, all share one scale of decibels. Needs matplotlib
(pip install 'switchcodec-cli[plot]').
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from switchcodec_cli.atomic_io import atomic_path
from switchcodec_cli.audio import AudioReader
from switchcodec_cli.errors import SwcError, UsageError

DYNAMIC_RANGE = 90  # dB below the loudest point of the original


def spectrogram(path: str, start: float, duration: float | None) -> tuple[np.ndarray, int, float]:
    """Power in dB (frequency, time), sample rate in Hz, and seconds of audio shown."""
    with AudioReader(path) as reader:
        sample_rate = reader.sample_rate
        signal = reader.read().mean(axis=1)
    first = round(start * sample_rate)
    signal = signal[first : None if duration is None else first + round(duration * sample_rate)]
    if not len(signal):
        raise UsageError(f"{path}: there is no audio at {start:g} s")
    window = 1 << round(np.log2(sample_rate / 20))  # about 50 ms
    step = max(window // 4, len(signal) // 4000)  # more columns than pixels would only take memory
    padded = np.pad(signal, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) ** 2 / window
    return 10 * np.log10(np.maximum(power.T, 1e-12)), sample_rate, len(signal) / sample_rate


def draw(
    paths: list[str],
    labels: list[str],
    output: str,
    max_frequency: float | None = None,
    start: float = 0,
    duration: float | None = None,
) -> None:
    """Write the picture; the first path is the original that sets the scale."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("the picture needs matplotlib: pip install 'switchcodec-cli[plot]'") from None
    suffix = Path(output).suffix.lower().lstrip(".")
    if suffix not in ("png", "jpg", "svg", "pdf"):
        raise UsageError(f"{output}: pictures are written as .png, .jpg, .svg or .pdf")
    panels = [spectrogram(path, start, duration) for path in paths]
    loudest = panels[0][0].max()
    top = max_frequency or max(sample_rate for _, sample_rate, _ in panels) / 2

    figure = Figure(figsize=(9, 0.6 + 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, label, (power, sample_rate, seconds) in zip(axes, labels, panels, strict=True):
        image = axis.imshow(
            power,
            origin="lower",
            aspect="auto",
            extent=(start, start + seconds, 0, sample_rate / 2000),
            vmin=loudest - DYNAMIC_RANGE,
            vmax=loudest,
            cmap="magma",
            interpolation="antialiased",
        )
        axis.set_facecolor("black")
        axis.set_title(label, loc="left", fontsize=9)
        axis.set_ylabel("kHz")
        axis.set_ylim(0, top / 1000)
    axes[0].set_xlim(start, start + max(seconds for _, _, seconds in panels))
    axes[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    with atomic_path(output, force=True) as temporary:
        figure.savefig(temporary, format=suffix, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("original", help="what the others are compared to")
    parser.add_argument("decoded", nargs="*", help="one or more decoded files")
    parser.add_argument("-o", "--output", default="spectrogram.png", help="default: %(default)s")
    parser.add_argument("--labels", nargs="+", help="a title for each file; default: the file names")
    parser.add_argument("--max-frequency", type=float, metavar="HZ", help="default: half the sample rate")
    parser.add_argument("--start", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="default: to the end")
    arguments = parser.parse_args()
    paths = [arguments.original, *arguments.decoded]
    labels = arguments.labels or [Path(path).name for path in paths]
    if len(labels) != len(paths):
        parser.error(f"{len(paths)} files need {len(paths)} labels, not {len(labels)}")
    try:
        draw(paths, labels, arguments.output, arguments.max_frequency, arguments.start, arguments.duration)
    except SwcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
