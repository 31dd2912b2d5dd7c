"""Transcripts: what is said in recordings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import BadInputError, UsageError, system_message

_NO_WORD = re.compile(r"[^\w']+")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    words = _NO_WORD.sub(" ", text.lower().replace("’", "'")).split()
    return [stripped for word in words if (stripped := word.strip("'_"))]


def load_transcripts(path: str | os.PathLike[str]) -> Mapping[str, str]:
    """Read transcripts, by the names of recordings without their suffix.

    Args:
        path: A text file with a recording in every line, its name without suffix and then the words, as in
            LibriSpeech; or a folder in which NAME.txt holds the words of the recording NAME, at any depth.

    Raises:
        BadInputError: The path cannot be read, is not text, or holds no transcript.
        UsageError: There are two different transcripts for one name.
    """
    transcripts: dict[str, str] = {}
    for name, text in _transcripts(Path(path)):
        if transcripts.setdefault(name, text) != text:
            raise UsageError(f"{path}: has two transcripts of {name!r}")
    if not transcripts:
        raise BadInputError(f"{path}: holds no transcript")
    return transcripts


def _transcripts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            yield file.stem, _read(file)
        return
    for line in _read(path).splitlines():
        name, _, text = line.strip().partition(" ")
        if name:
            yield name, text


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").replace("\t", " ")
    except OSError as error:
        raise BadInputError(f"{path}: cannot read: {system_message(error)}") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not text in UTF-8") from None
