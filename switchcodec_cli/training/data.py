"""Training data: audio decoded once, balanced crops, augmentation on the device."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from ..audio import READABLE_SUFFIXES
from ..errors import UsageError
from .config import DataConfig

QUIET = 1e-3  # root mean square of 20 ms below which a stretch counts as silence


@dataclass(frozen=True)
class Recording:
    """Where one file lies in the pool."""

    name: str
    kind: str
    start: int
    length: int


def decode_file(path: Path, sample_rate: int) -> np.ndarray:
    """A file as mono int16 at the codec's rate, long silences cut out."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    step = sample_rate // 50
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.sqrt(np.square(blocks).mean(1)) > QUIET
    # 80 ms around every loud block are kept, so that onsets and decays stay whole
    kept = blocks[np.convolve(loud, np.ones(9), "same") > 0].ravel() if len(blocks) else samples
    return (np.clip(kept, -1, 1) * 32767).astype(np.int16)


def try_decoding(path: Path, sample_rate: int) -> np.ndarray | str:
    """`decode_file`, or what was wrong with the file."""
    try:
        return decode_file(path, sample_rate)
    except (OSError, soundfile.SoundFileError) as error:
        return str(error)


def build_pool(
    folder: Path,
    cache: Path,
    sample_rate: int,
    workers: int | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Decode every audio file below `folder` into `cache`: one int16 file and a JSON index.

    Files that cannot be read are reported, and stand in the index with no length. Raises UsageError where
    there is no audio.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE_SUFFIXES)
    if not paths:
        raise UsageError(f"{folder}: no audio files to train on")
    cache.mkdir(parents=True, exist_ok=True)
    index, position = [], 0
    temporary = cache / "pool.i16.tmp"
    with ProcessPoolExecutor(workers or os.cpu_count()) as executor, temporary.open("wb") as file:
        decoded = executor.map(try_decoding, paths, [sample_rate] * len(paths), chunksize=4)
        for path, samples in zip(paths, decoded, strict=True):
            if isinstance(samples, str):
                report(f"{path}: left out: {samples}")
                samples = np.zeros(0, np.int16)
            file.write(samples.tobytes())
            relative = path.relative_to(folder)
            kind = relative.parts[0] if len(relative.parts) > 1 else "sound"
            index.append({"name": str(relative), "kind": kind, "start": position, "length": len(samples)})
            position += len(samples)
    if not position:
        temporary.unlink()
        raise UsageError(f"{folder}: no audio files to train on could be read")
    (cache / "pool.json").write_text(json.dumps(index))
    temporary.replace(cache / "pool.i16")


def default_cache(folder: Path, sample_rate: int) -> Path:
    """A cache folder of its own for each data folder and rate."""
    key = hashlib.sha256(f"{folder.resolve()} {sample_rate}".encode()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "switchcodec" / key


class AudioPool:
    """All training audio in one int16 tensor, from which random crops are gathered on the device."""

    def __init__(
        self, cache: Path, config: DataConfig, length: int, device: torch.device, sample_rate: int = 44100
    ):
        self.config, self.length, self.device = config, length, device
        self.sample_rate = sample_rate
        recordings = [Recording(**entry) for entry in json.loads((cache / "pool.json").read_text())]
        margin = length // 4 + 4096  # a faster speed reads more
        self.recordings = [r for r in recordings if r.length > length + margin]
        if not self.recordings:
            raise UsageError(f"no recording is longer than {(length + margin) / sample_rate:.1f} s")
        self.samples = torch.from_numpy(np.fromfile(cache / "pool.i16", dtype=np.int16)).to(device)
        shares = {"speech": config.speech, "music": config.music, "sound": config.sound}
        weights = torch.tensor([float(r.length) for r in self.recordings], dtype=torch.float64)
        weights = weights.sqrt()  # between equal speakers and equal hours
        for kind in {r.kind for r in self.recordings}:
            members = torch.tensor([r.kind == kind for r in self.recordings])
            weights[members] *= shares.get(kind, config.sound) / weights[members].sum()
        self.weights = weights
        self.starts = torch.tensor([r.start for r in self.recordings])
        self.spans = torch.tensor([float(r.length) for r in self.recordings], dtype=torch.float64)

    @property
    def hours(self) -> float:
        """Hours of audio in recordings that are long enough."""
        return float(self.spans.sum()) / self.sample_rate / 3600

    def crops(self, count: int, length: int, generator: torch.Generator) -> Tensor:
        """Random stretches (count, length), float in -1..1."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        room = self.spans[chosen] - length
        offset = (torch.rand(count, generator=generator, dtype=torch.float64) * room).long()
        first = (self.starts[chosen] + offset).to(self.device)
        return self.samples[first[:, None] + torch.arange(length, device=self.device)].float() / 32768

    def batch(self, count: int, generator: torch.Generator) -> Tensor:
        """Augmented items (count, length)."""
        config = self.config
        uniform = partial(torch.rand, generator=generator)
        if uniform(1).item() < config.warping:
            audio = self.warped(count, generator)
        else:
            audio = self.crops(count, self.length, generator)
        gain = torch.where(
            uniform(count, 1) < 0.5, uniform(count, 1) * config.quietest, torch.zeros(count, 1)
        )
        sign = torch.where(uniform(count, 1) < 0.5, -1.0, 1.0)
        audio = audio * (sign * 10 ** (gain / 20)).to(self.device)
        second = uniform(count, 1) * (uniform(count, 1) < config.mixing)
        audio = audio + audio.roll(1, 0) * second.to(self.device)
        chosen = uniform(count) < config.tones
        if chosen.any():
            audio[chosen.to(self.device)] = self.with_tones(audio[chosen.to(self.device)], generator)
        return audio

    def with_tones(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Items (count, length) with one to four pure tones; half of the items keep a whisper of themselves.

        Recordings hardly ever hold a lone line of the spectrum, least of all a high one, and a network that
        never saw one does not reproduce it. Pitches 40 Hz to 18 kHz, half of them drawn in octaves, half in
        hertz, half of them steady and half gliding by up to an octave; levels -46 to -6 dBFS.
        """
        count, length = audio.shape
        uniform = partial(torch.rand, generator=generator)
        tones = 4
        start, place = uniform(count, tones, 1), uniform(count, tones, 1)
        start = torch.where(uniform(count, tones, 1) < 0.5, 40 * 450**start, 40 + 17_960 * place)  # Hz
        glide = (2 * uniform(count, tones, 1) - 1) * (uniform(count, tones, 1) < 0.5)  # octaves an item
        level = 10 ** ((-46 + 40 * uniform(count, tones, 1)) / 20)
        level = level * (torch.arange(tones)[:, None] <= (uniform(count, 1, 1) * tones).floor())
        phase = uniform(count, tones, 1)
        start, glide, level, phase = (x.to(audio.device) for x in (start, glide, level, phase))
        frequency = start * 2 ** (glide * torch.linspace(0, 1, length, device=audio.device))
        frequency = frequency.clamp(max=0.45 * self.sample_rate)
        cycles = phase.double() + (frequency.double() / self.sample_rate).cumsum(-1)
        made = (level * torch.sin(2 * math.pi * (cycles % 1).float())).sum(1)
        rest = 10 ** (-60 * uniform(count, 1) / 20) * (uniform(count, 1) < 0.5)
        return (made + rest.to(audio.device) * audio).clamp(-1, 1)

    def warped(self, count: int, generator: torch.Generator) -> Tensor:
        """Items at another speed (0.9 to 1.1) and through a smooth random filter, by Fourier transform."""
        margin = 1024
        target = self.length + 2 * margin
        steps = int(torch.randint(-20, 21, (1,), generator=generator).item())
        source = target + steps * target // 200 // 2 * 2
        spectrum = torch.fft.rfft(self.crops(count, source, generator))
        bins = target // 2 + 1
        spectrum = torch.nn.functional.pad(spectrum, (0, max(0, bins - spectrum.shape[1])))[:, :bins]
        knots = torch.randn(count, 1, 8, generator=generator) * 2.5  # dB, on a scale of octaves
        position = torch.linspace(0.002, 1, bins).log()
        position = (position - position[0]) / (position[-1] - position[0]) * 2 - 1
        grid = torch.stack([position, torch.zeros_like(position)], -1).expand(count, 1, bins, 2)
        curve = torch.nn.functional.grid_sample(
            knots[:, :, None], grid, mode="bilinear", align_corners=True, padding_mode="border"
        )[:, 0, 0]
        spectrum = spectrum * (10 ** (curve / 20)).to(self.device) * (target / source)
        return torch.fft.irfft(spectrum, target)[:, margin : margin + self.length].clamp(-1, 1)
