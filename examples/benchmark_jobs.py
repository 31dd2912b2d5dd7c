#!/usr/bin/env python3
"""Compare `swc encode` and `swc decode` with several jobs and with one, by length of the files.

    python examples/benchmark_jobs.py                     # efforts 0, 1, 2; files of 2, 8 and 30 s
    python examples/benchmark_jobs.py --efforts 0 --lengths 4 --seconds 1200

Each row compares the command with one job (and all threads) and with as many jobs as there are cores, one
after the other in the same run, so that the ratio holds although speeds vary from day to day. "command" is
the whole command with its start. "throughput" is what remains for large sets: the difference of two runs, of
which one has half as many files, so that the start cancels out. "CPU" is processor time of all processes for
each file, in seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "examples" / "speech.flac"


@dataclass(frozen=True)
class Time:
    """What a command took, in seconds."""

    wall: float
    processor: float

    def __sub__(self, other: Time) -> Time:
        return Time(self.wall - other.wall, self.processor - other.processor)


def run(arguments: list[str]) -> Time:
    """Run swc; exits if it fails."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "switchcodec_cli", *arguments, "--force", "--quiet", "--device", "cpu"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed with exit code {done.returncode}")
    return Time(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def write_recordings(folder: Path, seconds: float, count: int) -> list[str]:
    """Write WAV files that begin at different places of a recording; returns their paths."""
    audio, rate = soundfile.read(SPEECH, dtype="int16")
    folder.mkdir()
    for number in range(count):
        soundfile.write(
            folder / f"{number}.wav", np.resize(np.roll(audio, -7919 * number), round(seconds * rate)), rate
        )
    return [str(folder / f"{number}.wav") for number in range(count)]


def compare(command: list[str], inputs: list[str], jobs: int) -> list[str]:
    """Measure one job and several: cells of a row."""
    whole, rest, processor = [], [], []
    for number in (1, jobs):
        half, full = (
            run([command[0], *inputs[:count], *command[1:], "--jobs", str(number)])
            for count in (len(inputs) // 2, len(inputs))
        )
        whole.append(full.wall)
        rest.append((full - half).wall)
        processor.append((full - half).processor / (len(inputs) - len(inputs) // 2))
    cells = [f"{whole[0] / whole[1]:.2f}", f"{rest[0] / rest[1]:.2f}"]
    return cells + [f"{each:.3f}" for each in processor]


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--efforts", type=int, nargs="*", default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--lengths", type=float, nargs="+", default=[2, 8, 30], help="in s; default: 2 8 30")
    parser.add_argument(
        "--seconds",
        type=float,
        default=900.0,
        help="audio of each set at effort 0; a tenth of it from effort 2 on; default: %(default)g",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="default: %(default)s")
    parser.add_argument("--weights", help="weights of swc; default: the packaged ones")
    parser.add_argument("--no-decoding", action="store_true", help="do not measure decoding")
    return parser.parse_args()


def main() -> None:
    """Measure, and print a table."""
    options = parse_arguments()
    weights = ["--weights", options.weights] if options.weights else []
    table = Table(title=f"One job and {options.jobs} jobs", title_justify="left")
    table.add_column("")
    headings = ("length", "files", "command", "throughput", "CPU, one job", f"CPU, {options.jobs} jobs")
    for heading in headings:
        table.add_column(heading, justify="right")
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        for length in options.lengths:
            folder = Path(name, f"{length:g}")
            count = max(4, round(options.seconds / length))
            recordings = write_recordings(folder, length, count)
            streams = f"{folder}.streams/"
            for effort in options.efforts:
                used = recordings[: max(4, count // 10)] if effort > 1 else recordings
                command = ["encode", "-o", streams, "--effort", str(effort), *weights]
                cells = compare(command, used, options.jobs)
                table.add_row(f"encode, effort {effort}", f"{length:g} s", str(len(used)), *cells)
            if not options.no_decoding:
                run(["encode", *recordings, "-o", streams, "--effort", "0", *weights])
                found = sorted(map(str, Path(streams).iterdir()))
                cells = compare(["decode", "-o", f"{folder}.decoded/", *weights], found, options.jobs)
                table.add_row("decode", f"{length:g} s", str(len(found)), *cells)
    console.print(table)


if __name__ == "__main__":
    main()
