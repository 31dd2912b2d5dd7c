#!/usr/bin/env python3
"""Measure speed, memory and start-up of `swc` on this machine, beside EnCodec and DAC where installed.

    python examples/benchmark.py                       # five minutes of speech
    python examples/benchmark.py music.flac --threads 1

Speeds are from file to file, the time to load the model left out; every measurement is a process of its own,
and memory is the peak of that process. EnCodec (24 kHz, 3 kbps; `pip install encodec`) and DAC (44.1 kHz, 2.6
kbps; `pip install descript-audio-codec`) run with random weights, since timing does not depend on them, in
blocks of five seconds, with the same number of threads.
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

import soundfile
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "examples" / "speech.flac"
PEERS = {"encodec": "EnCodec 24 kHz, 3 kbps", "dac": "DAC 44.1 kHz, 2.6 kbps"}
PACKAGES = {"encodec": "encodec", "dac": "descript-audio-codec"}
BLOCK_SECONDS = 5.0
CAPTION = "encode, decode: × real time; slower: against the first line; MB: peak memory"


@dataclass
class Result:
    """What one codec took, in each direction."""

    name: str
    encode: dict[str, float]  # "speed" in x real time, "memory" in MB
    decode: dict[str, float]


def run(command: list[str], threads: int) -> tuple[str, float, float]:
    """Run a command to its end: what it printed, seconds it took, peak of its memory in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command)} ended with exit code {process.returncode}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return printed, elapsed, usage.ru_maxrss / unit


def swc(*words: str) -> list[str]:
    return [sys.executable, "-m", "switchcodec_cli", *words]


def repeat(source: Path, target: Path, seconds: float) -> None:
    """Write `seconds` of a recording, over and over, as WAV."""
    rate = soundfile.info(source).samplerate
    left = round(seconds * rate)
    audio, _ = soundfile.read(source, left, dtype="int16", always_2d=True)
    with soundfile.SoundFile(target, "w", rate, audio.shape[1], "PCM_16") as file:
        while left > 0:
            file.write(audio[:left])
            left -= len(audio)


def measure_swc(
    name: str, wave: Path, encoding: list[str], weights: list[str], folder: Path, threads: int
) -> Result:
    """encoding: options for `swc encode` alone; weights: for both ways."""
    stream, back = str(folder / "speech.swc"), str(folder / "back.wav")
    rows = []
    for words in (["encode", str(wave), stream, *encoding], ["decode", stream, back]):
        command = swc(*words, *weights, "--device", "cpu", "--force", "--json", "--quiet")
        printed, _, memory = run(command, threads)
        rows.append({"speed": json.loads(printed)["speed"], "memory": memory})
    return Result(name, *rows)


def measure_peer(name: str, wave: Path, seconds: float, folder: Path, threads: int) -> Result:
    codes, back = str(folder / f"{name}.npy"), str(folder / f"{name}.wav")
    rows = []
    for source, target in ((str(wave), codes), (codes, back)):
        command = [sys.executable, "-W", "ignore", __file__, "--peer", name, source, target, str(seconds)]
        printed, _, memory = run(command, threads)
        rows.append({"speed": float(printed), "memory": memory})
    return Result(PEERS[name], *rows)


def peer(name: str, source: str, target: str, seconds: float) -> float:
    """Encode or decode with another codec; returns x real time without the loading of the model."""
    import numpy as np
    import soxr
    import torch

    torch.manual_seed(0)
    if name == "encodec":
        from encodec import EncodecModel

        model = EncodecModel.encodec_model_24khz(pretrained=False)
        model.set_target_bandwidth(3.0)
        rate = 24000

        def encode(audio: torch.Tensor) -> torch.Tensor:
            return model.encode(audio)[0][0]

        def decode(codes: torch.Tensor) -> torch.Tensor:
            return model.decode([(codes, None)])
    else:
        import dac

        model = dac.DAC()  # the configuration of the 44.1 kHz model
        rate = 44100

        def encode(audio: torch.Tensor) -> torch.Tensor:
            return model.encode(model.preprocess(audio, rate), n_quantizers=3)[1]

        def decode(codes: torch.Tensor) -> torch.Tensor:
            return model.decode(model.quantizer.from_codes(codes)[0])

    model.eval()
    block = round(BLOCK_SECONDS * rate)
    began = time.perf_counter()
    with torch.inference_mode():
        if target.endswith(".npy"):
            with soundfile.SoundFile(source) as file:
                audio = file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True).mean(1)
                audio = soxr.resample(audio, file.samplerate, rate)
            audio = np.pad(audio, (0, -len(audio) % block)).reshape(-1, 1, 1, block)
            codes = [encode(torch.from_numpy(part)).numpy().astype(np.uint16) for part in audio]
            np.save(target, np.stack(codes))
        else:
            codes = torch.from_numpy(np.load(source).astype(np.int64))
            with soundfile.SoundFile(target, "w", rate, 1, "PCM_16") as file:
                for part in codes:
                    file.write(decode(part)[0, 0, :block].numpy())
            audio = codes
        elapsed = time.perf_counter() - began
    return len(audio) * BLOCK_SECONDS / elapsed


def cold_starts(wave: Path, options: list[str], folder: Path, threads: int) -> list[tuple[str, float]]:
    """The best of three starts each, in seconds."""
    second, stream = folder / "second.wav", folder / "second.swc"
    repeat(wave, second, 1.0)
    calls = [
        ("swc --help", swc("--help")),
        (
            "swc encode, one second of audio",
            swc("encode", str(second), str(stream), "--force", "--quiet", *options),
        ),
        ("swc info", swc("info", str(stream))),
    ]
    return [(name, min(run([*call], threads)[1] for _ in range(3))) for name, call in calls]


def speed_table(results: list[Result], title: str) -> Table:
    table = Table(title=title, title_justify="left", caption=CAPTION)
    table.add_column("codec")
    for heading in ("encode", "decode"):
        for column in (heading, "slower", "MB"):
            table.add_column(column, justify="right")
    best = results[0]
    for result in results:
        cells = []
        for own, first in ((result.encode, best.encode), (result.decode, best.decode)):
            slower = first["speed"] / own["speed"]
            cells += [f"{own['speed']:.1f}", f"{slower:.2f}", f"{own['memory']:.0f}"]
        table.add_row(result.name, *cells)
    return table


def main() -> None:
    if sys.argv[1:2] == ["--peer"]:
        name, source, target, seconds = sys.argv[2:]
        print(peer(name, source, target, float(seconds)))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("file", nargs="?", help="audio to use instead of the speech clip, repeated if short")
    parser.add_argument("--minutes", type=float, default=5.0, help="length; default: %(default)g")
    parser.add_argument(
        "--peer-seconds", type=float, default=60.0, help="of the others; default: %(default)g"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: %(default)s")
    parser.add_argument("--kbps", default="2.67", help="default: %(default)s")
    parser.add_argument("--weights", help="default: those of the package")
    parser.add_argument("--no-peers", action="store_true", help="measure swc alone")
    arguments = parser.parse_args()
    console = Console()
    weights = ["--weights", arguments.weights] if arguments.weights else []
    rate = ["--kbps", arguments.kbps]
    threads = arguments.threads

    with tempfile.TemporaryDirectory() as name, console.status("") as status:
        folder = Path(name)
        wave = folder / "speech.wav"
        repeat(Path(arguments.file or SPEECH), wave, 60 * arguments.minutes)
        results = []
        for effort, extra in (("effort 0", ["--effort", "0"]), ("default effort", [])):
            status.update(f"swc, {effort}")
            results.append(measure_swc(f"swc, {effort}", wave, [*rate, *extra], weights, folder, threads))
        for peer_name, package in PACKAGES.items():
            if arguments.no_peers:
                break
            if importlib.util.find_spec(peer_name) is None:
                console.print(f"{PEERS[peer_name]} left out: not installed (pip install {package})")
                continue
            status.update(PEERS[peer_name])
            results.append(measure_peer(peer_name, wave, arguments.peer_seconds, folder, threads))
        status.update("cold starts")
        starts = cold_starts(wave, [*rate, *weights], folder, threads)

    info = soundfile.info(arguments.file or SPEECH)
    channels = "mono" if info.channels == 1 else f"{info.channels} channels"
    machine = f"{threads} threads, {platform.machine()}, Python {platform.python_version()}"
    title = f"{arguments.minutes:g} minutes, {info.samplerate} Hz {channels}, file to file; {machine}"
    console.print(speed_table(results, title))
    table = Table(title="Cold starts", title_justify="left")
    table.add_column("command")
    table.add_column("seconds", justify="right")
    for name, seconds in starts:
        table.add_row(name, f"{seconds:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
