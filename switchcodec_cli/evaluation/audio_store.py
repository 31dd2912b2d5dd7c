"""Originals and decoded audio of an evaluation, kept on disk while a report is made."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from ..bitstream.header import MAGIC
from .loudness import loudness
from .rate_quality import CodedFile


@dataclass(frozen=True)
class StoredAudio:
    """Audio as a FLAC file of 16 bits."""

    path: Path
    loudness: float  # LUFS
    clipped: int  # samples beyond full scale


@dataclass(frozen=True)
class StoredVersion:
    """A file as decoded at one point."""

    curve: str
    setting: str
    audio: StoredAudio
    stream: Path | None  # the encoded file, if it is one of this project


@dataclass
class StoredItem:
    """An original and its versions."""

    file: str
    kind: str
    sample_rate: int
    channels: int
    samples: int
    original: StoredAudio
    versions: list[StoredVersion] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Duration of the original."""
        return self.samples / self.sample_rate


class AudioStore:
    """Keeps audio in a temporary folder, so that memory does not grow. Use as a context manager.

    `keep` is made for the argument `on_coded` of `rate_quality`.

    Attributes:
        items: In the order in which the files were coded.
    """

    def __init__(self) -> None:
        self.items: list[StoredItem] = []
        self._folder = tempfile.TemporaryDirectory(prefix="swc-report-")
        self._files = 0

    def __enter__(self) -> AudioStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    @property
    def seconds(self) -> float:
        """Duration of all audio."""
        return sum(item.seconds * (1 + len(item.versions)) for item in self.items)

    def keep(self, coded: CodedFile) -> None:
        """Store one version of a file, and before the first one the original."""
        row = coded.row
        if not self.items or self.items[-1].file != row.file:
            self.items.append(self._new_item(coded))
        stream = None
        if coded.data is not None and coded.data.startswith(MAGIC):
            stream = self._next_path(".swc")
            stream.write_bytes(coded.data)
        audio = self._store(coded.decoded, coded.sample_rate)
        self.items[-1].versions.append(StoredVersion(row.curve, row.setting, audio, stream))

    def _new_item(self, coded: CodedFile) -> StoredItem:
        samples, channels = coded.reference.shape
        original = self._store(coded.reference, coded.sample_rate)
        return StoredItem(coded.row.file, coded.row.kind, coded.sample_rate, channels, samples, original)

    def _store(self, audio: np.ndarray, sample_rate: int) -> StoredAudio:
        path = self._next_path(".flac")
        clipped = int((np.abs(audio) > 1).sum())
        soundfile.write(path, np.clip(audio, -1, 1), sample_rate, subtype="PCM_16", format="FLAC")
        return StoredAudio(path, loudness(audio, sample_rate), clipped)

    def _next_path(self, suffix: str) -> Path:
        self._files += 1
        return Path(self._folder.name, f"{self._files}{suffix}")
