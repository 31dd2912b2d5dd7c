"""Division of a set of recordings between processes that do not communicate."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath

from ..errors import UsageError

SHARD_FIELD = "{shard}"  # in the name of a file, replaced by the number of the shard
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class Shard:
    """One of several parts of a set of recordings.

    A path belongs to exactly one shard. Which one follows from the path alone, so that all processes agree,
    however the files are listed and whichever exist.

    Raises:
        UsageError: the number is not below the count.
    """

    number: int
    """0 to count - 1."""
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise UsageError(
                f"shard {self.number}/{self.count}: shards are numbered from 0 to one less than their number"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard "I/N". Raises UsageError."""
        number, slash, count = text.partition("/")
        if not slash or not (number.isdecimal() and count.isdecimal()):
            raise UsageError(f"shard {text!r}: must have the form I/N, such as 0/8")
        return cls(int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def contains(self, relative_path: str) -> bool:
        """Whether a recording belongs to this shard.

        Args:
            relative_path: path below the root that was given.
        """
        return path_number(relative_path) % self.count == self.number


def path_of_shard(pattern: str, shard: Shard | None, kind: str) -> str:
    """The path of a file that each shard writes on its own.

    Args:
        pattern: the path, with `SHARD_FIELD` in it.
        shard: the shard; None for all inputs, the path is then taken as it is.
        kind: what the file is, such as "manifest".

    Raises:
        UsageError: all shards would write the same file.
    """
    if shard is None:
        return pattern
    if SHARD_FIELD not in pattern:
        raise UsageError(
            f"{pattern}: with --shard, the name of the {kind} must contain {SHARD_FIELD}, "
            "which is replaced by the number of the shard"
        )
    return pattern.replace(SHARD_FIELD, str(shard.number))


def path_number(relative_path: str) -> int:
    """The number, below 2**64, that decides the shard of a path.

    It is the BLAKE2b digest of 8 bytes, as a big-endian integer, of the path in POSIX form, normalised to NFC
    and encoded as UTF-8: the same on all systems, although some of them store names in NFD.
    """
    path = PurePath(os.path.normpath(relative_path)).as_posix()
    data = unicodedata.normalize("NFC", path).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest(), "big")
