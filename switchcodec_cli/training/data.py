"""Training data: a pool of audio that is decoded once, and random items from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..atomic_io import atomic_output
from ..audio import READABLE_SUFFIXES
from ..errors import UsageError
from .augmentation import (
    add_tones,
    change_speed_and_equalise,
    mix_items,
    random_gain,
    random_speed_length,
)
from .config import DataConfig

BLOCKS_PER_SECOND = 50
SILENCE_RMS = 1e-3  # blocks below are silent
KEPT_BLOCKS = 9  # around every block that is not silent, so that onsets and decays stay whole


@dataclass(frozen=True)
class Recording:
    """One source file and its place in the pool."""

    name: str  # path below the data folder
    size: int  # of the source file, bytes
    modified_ns: int  # modification time of the source file
    start: int = 0  # first sample in the pool
    length: int = 0  # samples; 0 if the file cannot be read

    @property
    def kind(self) -> str:
        """First folder of the path, "sound" for files that lie in none."""
        parts = Path(self.name).parts
        return parts[0] if len(parts) > 1 else "sound"


@dataclass(frozen=True)
class PoolIndex:
    """Contents of a pool, in the order of the samples."""

    sample_rate: int
    recordings: tuple[Recording, ...]

    @classmethod
    def read(cls, cache: Path) -> PoolIndex:
        """Read the index of a pool. Raises OSError, ValueError, KeyError or TypeError if there is none."""
        values = json.loads((cache / "pool.json").read_text())
        recordings = tuple(Recording(**recording) for recording in values["recordings"])
        return cls(values["sample_rate"], recordings)

    def write(self, cache: Path) -> None:
        with atomic_output(cache / "pool.json", force=True) as file:
            file.write(json.dumps(asdict(self)).encode())


def find_sources(folder: Path) -> list[Recording]:
    """The audio files below a folder, sorted by path, not yet decoded."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READABLE_SUFFIXES)
    status = [path.stat() for path in paths]
    return [
        Recording(str(path.relative_to(folder)), entry.st_size, entry.st_mtime_ns)
        for path, entry in zip(paths, status, strict=True)
    ]


def decode_file(path: Path, sample_rate: int) -> NDArray[np.int16]:
    """Decode a file to mono at `sample_rate` Hz, without long silences.

    Raises:
        OSError, soundfile.SoundFileError: The file cannot be read.
    """
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples: NDArray[np.float32] = audio.mean(1)
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    size = sample_rate // BLOCKS_PER_SECOND
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    if len(blocks):
        loud = np.sqrt(np.square(blocks).mean(1)) > SILENCE_RMS
        samples = blocks[np.convolve(loud, np.ones(KEPT_BLOCKS), "same") > 0].ravel()
    rounded: NDArray[np.int16] = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return rounded


def decode_or_error(path: Path, sample_rate: int) -> NDArray[np.int16] | str:
    """`decode_file`, or the message of its error."""
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
    """Decode every audio file below `folder` into `cache`: a file of int16 samples and a JSON index.

    Args:
        folder: Files directly in it are of the kind "sound", others of the kind its subfolder is named after.
        cache: Folder of the pool, created if it does not exist.
        sample_rate: Of the pool in Hz.
        workers: Processes that decode; default: one per core.
        report: Called with a line per file that cannot be read; its length in the index is 0.

    Raises:
        UsageError: There is no audio file, or none that can be read.
    """
    sources = find_sources(folder)
    if not sources:
        raise UsageError(f"{folder}: no audio files to train on")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "pool.json").unlink(missing_ok=True)  # so that no index describes other samples
    recordings, position = [], 0
    with (
        ProcessPoolExecutor(workers or os.cpu_count()) as executor,
        atomic_output(cache / "pool.i16", force=True) as file,
    ):
        paths = [folder / source.name for source in sources]
        decoded = executor.map(decode_or_error, paths, [sample_rate] * len(paths), chunksize=4)
        for source, samples in zip(sources, decoded, strict=True):
            if isinstance(samples, str):
                report(f"{folder / source.name}: left out: {samples}")
                samples = np.zeros(0, np.int16)
            file.write(samples.tobytes())
            recordings.append(Recording(source.name, source.size, source.modified_ns, position, len(samples)))
            position += len(samples)
        if not position:
            raise UsageError(f"{folder}: no audio files to train on could be read")
    PoolIndex(sample_rate, tuple(recordings)).write(cache)


def pool_is_current(folder: Path, cache: Path, sample_rate: int) -> bool:
    """Whether the pool was made at this rate from the files that are below `folder` now.

    Files are compared by name, size and modification time.
    """

    def identity(recordings: Iterable[Recording]) -> set[tuple[str, int, int]]:
        return {(recording.name, recording.size, recording.modified_ns) for recording in recordings}

    try:
        index = PoolIndex.read(cache)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return (
        index.sample_rate == sample_rate
        and identity(index.recordings) == identity(find_sources(folder))
        and (cache / "pool.i16").is_file()
    )


def prepare_pool(folder: Path, cache: Path, sample_rate: int, report: Callable[[str], None] = print) -> None:
    """`build_pool`, unless the pool is current."""
    if not pool_is_current(folder, cache, sample_rate):
        report(f"decoding {folder} into {cache}")
        build_pool(folder, cache, sample_rate, report=report)


def default_cache(folder: Path, sample_rate: int) -> Path:
    """The folder in the user's cache for the pool of a data folder at a sample rate."""
    key = hashlib.sha256(f"{folder.resolve()} {sample_rate}".encode()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "switchcodec" / key


class AudioPool:
    """All training audio in one int16 tensor, from which random items are gathered on the device.

    Args:
        cache: Folder of the pool.
        config: Shares of the kinds, and augmentation.
        length: Samples per item.
        device: Where the samples are kept.

    Raises:
        UsageError: The pool cannot be read, or no recording is long enough.
    """

    def __init__(self, cache: Path, config: DataConfig, length: int, device: torch.device):
        self.config, self.length, self.device = config, length, device
        try:
            index = PoolIndex.read(cache)
            samples = np.fromfile(cache / "pool.i16", dtype=np.int16)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{cache}: not a readable pool of training audio ({error})") from None
        self.sample_rate = index.sample_rate
        longest_source = length + length // 4 + 4096  # more than `random_speed_length` can ask for
        self.recordings = [one for one in index.recordings if one.length > longest_source]
        if not self.recordings:
            raise UsageError(f"no recording is longer than {longest_source / self.sample_rate:.1f} s")
        self.samples = torch.from_numpy(samples).to(device)
        self.weights = self._weights()
        self.starts = torch.tensor([one.start for one in self.recordings])
        self.lengths = torch.tensor([one.length for one in self.recordings], dtype=torch.float64)

    def _weights(self) -> Tensor:
        """Chance of every recording to be drawn, float64 (recordings,).

        A recording's share of its kind is as the square root of its length: between equal recordings, often
        of one speaker each, and equal hours.
        """
        config = self.config
        shares = {"speech": config.speech_share, "music": config.music_share, "sound": config.sound_share}
        weights = torch.tensor([one.length for one in self.recordings], dtype=torch.float64).sqrt()
        for kind in {one.kind for one in self.recordings}:
            members = torch.tensor([one.kind == kind for one in self.recordings])
            weights[members] *= shares.get(kind, config.sound_share) / weights[members].sum()
        if not weights.any():
            raise UsageError("the recipe gives a share of zero to every kind of audio there is")
        return weights

    @property
    def hours(self) -> float:
        """Hours of audio in the recordings that are long enough."""
        return float(self.lengths.sum()) / self.sample_rate / 3600

    def crops(self, count: int, length: int, generator: torch.Generator) -> Tensor:
        """Random stretches of recordings as they are, (count, length)."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        room = self.lengths[chosen] - length
        offset = (torch.rand(count, generator=generator, dtype=torch.float64) * room).long()
        first = (self.starts[chosen] + offset).to(self.device)
        return self.samples[first[:, None] + torch.arange(length, device=self.device)].float() / 32768

    def batch(self, count: int, generator: torch.Generator) -> Tensor:
        """Random augmented items, (count, length)."""
        config = self.config
        if torch.rand(1, generator=generator).item() < config.speed_eq_probability:
            audio = self.speed_and_eq_items(count, generator)
        else:
            audio = self.crops(count, self.length, generator)
        audio = random_gain(audio, config.min_gain_db, generator)
        audio = mix_items(audio, config.mix_probability, generator)
        return add_tones(audio, self.sample_rate, config.tone_probability, generator)

    def speed_and_eq_items(self, count: int, generator: torch.Generator) -> Tensor:
        """Random items at another speed and through a random equaliser, (count, length)."""
        source = random_speed_length(self.length, generator)
        return change_speed_and_equalise(self.crops(count, source, generator), self.length, generator)
