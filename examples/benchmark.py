#!/usr/bin/env python3
"""Measure the speed, memory and start-up time of swc, and compare it with EnCodec and DAC if installed.

    python examples/benchmark.py                       # five minutes of speech
    python examples/benchmark.py music.flac --threads 1

Speeds are from file to file without the time to load the model. Each measurement runs in a process of its
own, whose peak memory is reported. EnCodec (24 kHz, 3 kbps; `pip install encodec`) and DAC (44.1 kHz, 2.6
kbps; `pip install descript-audio-codec`) run with random weights, which does not affect their speed, in
blocks of five seconds and with the same number of threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "examples" / "speech.flac"
BLOCK_SECONDS = 5.0
CAPTION = "encode, decode: × real time; slower: relative to the first row; MB: peak memory"


@dataclass(frozen=True)
class OtherCodec:
    """A codec for comparison."""

    module: str
    package: str
    title: str


OTHER_CODECS = (
    OtherCodec("encodec", "encodec", "EnCodec 24 kHz, 3 kbps"),
    OtherCodec("dac", "descript-audio-codec", "DAC 44.1 kHz, 2.6 kbps"),
)


@dataclass(frozen=True)
class Measurement:
    """Encoding or decoding of one file."""

    speed: float
    """Times real time."""
    memory: float
    """Peak memory in MB."""


@dataclass(frozen=True)
class Result:
    """The measurements of one codec."""

    title: str
    encode: Measurement
    decode: Measurement


@dataclass(frozen=True)
class Process:
    """A process that has finished."""

    output: str
    seconds: float
    memory: float
    """Peak memory in MB."""


def run(command: list[str], threads: int) -> Process:
    """Run a command with a number of threads; exits if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed with exit code {process.returncode}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Process(output, seconds, usage.ru_maxrss / unit)


def swc(*arguments: str) -> list[str]:
    """The command line of swc."""
    return [sys.executable, "-m", "switchcodec_cli", *arguments]


def write_repeated(source: Path, output: Path, seconds: float) -> None:
    """Write a recording as WAV, repeated to a duration in seconds."""
    rate = soundfile.info(source).samplerate
    left = round(seconds * rate)
    audio, _ = soundfile.read(source, left, dtype="int16", always_2d=True)
    with soundfile.SoundFile(output, "w", rate, audio.shape[1], "PCM_16") as file:
        while left > 0:
            file.write(audio[:left])
            left -= len(audio)


def measure_swc(
    title: str, wave: Path, encode_options: list[str], common_options: list[str], threads: int
) -> Result:
    """Measure swc; `common_options` are for `swc encode` and `swc decode`."""
    stream, decoded = str(wave.with_name("swc.swc")), str(wave.with_name("swc.wav"))

    def measure(*arguments: str) -> Measurement:
        options = [*common_options, "--device", "cpu", "--force", "--json", "--quiet"]
        process = run(swc(*arguments, *options), threads)
        return Measurement(json.loads(process.output)["speed"], process.memory)

    return Result(
        title, measure("encode", str(wave), stream, *encode_options), measure("decode", stream, decoded)
    )


def measure_other(codec: OtherCodec, wave: Path, seconds: float, threads: int) -> Result:
    """Measure another codec on the first `seconds` of a file."""
    indices, decoded = str(wave.with_name("other.npy")), str(wave.with_name("other.wav"))

    def measure(source: str, output: str) -> Measurement:
        command = [sys.executable, "-W", "ignore", __file__, "--other", codec.module]
        process = run([*command, source, output, str(seconds)], threads)
        return Measurement(float(process.output), process.memory)

    return Result(codec.title, measure(str(wave), indices), measure(indices, decoded))


class Encodec:
    """EnCodec at 24 kHz with random weights."""

    sample_rate = 24000

    def __init__(self) -> None:
        from encodec import EncodecModel

        self.model = EncodecModel.encodec_model_24khz(pretrained=False).eval()
        self.model.set_target_bandwidth(3.0)

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """Audio (1, 1, n) to codebook indices."""
        return self.model.encode(audio)[0][0]

    def decode(self, indices: torch.Tensor) -> torch.Tensor:
        """The inverse of `encode`."""
        return self.model.decode([(indices, None)])


class Dac:
    """DAC at 44.1 kHz with random weights."""

    sample_rate = 44100

    def __init__(self) -> None:
        import dac

        self.model = dac.DAC().eval()  # the default configuration is that of the model at 44.1 kHz

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """Audio (1, 1, n) to codebook indices."""
        return self.model.encode(self.model.preprocess(audio, self.sample_rate), n_quantizers=3)[1]

    def decode(self, indices: torch.Tensor) -> torch.Tensor:
        """The inverse of `encode`."""
        return self.model.decode(self.model.quantizer.from_codes(indices)[0])


def run_other(name: str, source: str, output: str, seconds: float) -> float:
    """Encode a WAV to indices (.npy), or decode them, with another codec; returns the speed."""
    import numpy as np
    import soxr
    import torch

    torch.manual_seed(0)
    codec = Encodec() if name == "encodec" else Dac()
    block = round(BLOCK_SECONDS * codec.sample_rate)
    began = time.perf_counter()
    with torch.inference_mode():
        if output.endswith(".npy"):
            with soundfile.SoundFile(source) as file:
                audio = file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True).mean(1)
                audio = soxr.resample(audio, file.samplerate, codec.sample_rate)
            blocks = np.pad(audio, (0, -len(audio) % block)).reshape(-1, 1, 1, block)
            indices = [codec.encode(torch.from_numpy(each)).numpy().astype(np.uint16) for each in blocks]
            np.save(output, np.stack(indices))
        else:
            blocks = torch.from_numpy(np.load(source).astype(np.int64))
            with soundfile.SoundFile(output, "w", codec.sample_rate, 1, "PCM_16") as file:
                for each in blocks:
                    file.write(codec.decode(each)[0, 0, :block].numpy())
        elapsed = time.perf_counter() - began
    return len(blocks) * BLOCK_SECONDS / elapsed


def measure_starts(wave: Path, options: list[str], threads: int) -> dict[str, float]:
    """Seconds of short commands, the best of three runs each."""
    second, stream = wave.with_name("second.wav"), wave.with_name("second.swc")
    write_repeated(wave, second, 1.0)
    commands = {
        "swc --help": swc("--help"),
        "swc encode, one second of audio": swc(
            "encode", str(second), str(stream), "--force", "--quiet", *options
        ),
        "swc info": swc("info", str(stream)),
    }
    return {
        title: min(run(command, threads).seconds for _ in range(3)) for title, command in commands.items()
    }


def speed_table(results: list[Result], title: str) -> Table:
    """Speeds and memory, compared with the first result."""
    table = Table(title=title, title_justify="left", caption=CAPTION)
    table.add_column("codec")
    for heading in ("encode", "decode"):
        for column in (heading, "slower", "MB"):
            table.add_column(column, justify="right")
    first = results[0]
    for result in results:
        cells = []
        for own, best in ((result.encode, first.encode), (result.decode, first.decode)):
            cells += [f"{own.speed:.1f}", f"{best.speed / own.speed:.2f}", f"{own.memory:.0f}"]
        table.add_row(result.title, *cells)
    return table


def start_table(starts: dict[str, float]) -> Table:
    """Start-up times."""
    table = Table(title="Start-up times", title_justify="left")
    table.add_column("command")
    table.add_column("seconds", justify="right")
    for title, seconds in starts.items():
        table.add_row(title, f"{seconds:.2f}")
    return table


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=SPEECH, help="audio file, repeated if short; default: speech"
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="duration; default: %(default)g")
    parser.add_argument(
        "--peer-seconds", type=float, default=60.0, help="duration for other codecs; default: %(default)g"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: %(default)s")
    parser.add_argument("--kbps", default="2.67", help="rate of swc; default: %(default)s")
    parser.add_argument("--weights", help="weights of swc; default: the packaged ones")
    parser.add_argument("--no-peers", action="store_true", help="do not measure other codecs")
    return parser.parse_args()


def main() -> None:
    """Run all measurements and print the tables."""
    if sys.argv[1:2] == ["--other"]:
        name, source, output, seconds = sys.argv[2:]
        print(run_other(name, source, output, float(seconds)))
        return
    options = parse_arguments()
    console, threads = Console(), options.threads
    weights = ["--weights", options.weights] if options.weights else []
    rate = ["--kbps", options.kbps]
    results = []
    with tempfile.TemporaryDirectory() as folder, console.status("") as status:
        wave = Path(folder) / "audio.wav"
        write_repeated(options.file, wave, 60 * options.minutes)
        for title, effort in (("swc, effort 0", ["--effort", "0"]), ("swc, default effort", [])):
            status.update(title)
            results.append(measure_swc(title, wave, [*rate, *effort], weights, threads))
        for codec in () if options.no_peers else OTHER_CODECS:
            if importlib.util.find_spec(codec.module) is None:
                console.print(f"{codec.title} is not installed (pip install {codec.package})")
                continue
            status.update(codec.title)
            results.append(measure_other(codec, wave, options.peer_seconds, threads))
        status.update("start-up times")
        starts = measure_starts(wave, [*rate, *weights], threads)

    info = soundfile.info(options.file)
    channels = "mono" if info.channels == 1 else f"{info.channels} channels"
    title = (
        f"{options.minutes:g} minutes, {info.samplerate} Hz {channels}, file to file; {threads} threads, "
        f"{platform.machine()}, Python {platform.python_version()}"
    )
    console.print(speed_table(results, title))
    console.print(start_table(starts))


if __name__ == "__main__":
    main()
