"""Files that were decoded elsewhere, for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import READABLE_SUFFIXES, AudioReader, mix, resample
from ..errors import BadInputError


@dataclass(frozen=True)
class DecodedFolder:
    """A folder with the decoded counterparts of original files.

    The counterpart of `music/a.flac` is the file `music/a` or `a` in the folder, with any suffix of audio.
    """

    name: str
    folder: Path
    kbps: float | None = None  # the bit rate; None if it is unknown

    @property
    def setting(self) -> str:
        """Short label of the rate."""
        return "" if self.kbps is None else f"{self.kbps:g}"

    def find(self, original: Path) -> Path:
        """The counterpart of an original: the file that agrees in most parts of the path.

        Raises:
            BadInputError: There is none, or there are several.
        """
        parts = original.resolve().with_suffix("").parts[1:]
        for start in range(len(parts)):
            stem = self.folder.joinpath(*parts[start:])
            found = [
                path
                for path in stem.parent.glob("*")
                if path.stem == stem.name and path.suffix.lower() in READABLE_SUFFIXES
            ]
            if len(found) > 1:
                names = " and ".join(sorted(path.name for path in found))
                raise BadInputError(f"{original}: has several counterparts in {stem.parent}: {names}")
            if found:
                return found[0]
        raise BadInputError(f"{original}: has no counterpart in {self.folder}")

    def read(self, original: Path, sample_rate: int, channels: int) -> np.ndarray:
        """The counterpart of an original, with this sample rate and number of channels. # (n, channels)

        Raises:
            BadInputError: It does not exist, or cannot be read.
        """
        with AudioReader(self.find(original)) as reader:
            return resample(mix(reader.read(), channels), reader.sample_rate, sample_rate)
