"""Audit of outputs against manifests. Does not import torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..audio import AudioReader
from ..bitstream import StreamReader, verify
from ..errors import SwcError
from ..storage import canonical, storage_of
from ..tokens.npz import read_npz
from .encode_job import digest_text
from .files import open_input
from .manifest import FAILED, Row, file_digest, read_manifest


@dataclass(frozen=True)
class Finding:
    """Something that differs from the manifests."""

    path: str
    """Of the output; of the source if there is none."""
    kind: str
    """"missing", "changed", "damaged", "unlisted", "failed" or "repeated"."""
    text: str
    """What is wrong, in a line."""


class Audit:
    """Compares outputs with the rows of manifests.

    Args:
        manifests: their paths.

    Attributes:
        rows: number of recordings.

    Raises:
        BadInputError: a manifest is unreadable.
        SwcError: pyarrow is not installed.
    """

    def __init__(self, manifests: Sequence[str]) -> None:
        self._rows: dict[str, Row] = {}
        self._repeated: list[Finding] = []
        for manifest in manifests:
            for row in read_manifest(manifest):
                if row.source in self._rows:
                    text = f"{manifest} lists it, and a manifest before"
                    self._repeated.append(Finding(row.source, "repeated", text))
                self._rows[row.source] = row

    @property
    def rows(self) -> int:
        """Number of recordings in all manifests."""
        return len(self._rows)

    def findings(self, full: bool) -> Iterator[Finding]:
        """What is wrong with the recordings.

        Args:
            full: read outputs as a whole, and compare their digests; else only sizes and what headers and
                trailers say.
        """
        yield from self._repeated
        for row in self._rows.values():
            finding = _check(row, full)
            if finding is not None:
                yield finding

    def unlisted(self, paths: Sequence[str]) -> Iterator[Finding]:
        """The files that are not outputs of any row. Raises UsageError."""
        listed = {canonical(row.output) for row in self._rows.values() if row.output is not None}
        for path in paths:
            if canonical(path) not in listed:
                yield Finding(path, "unlisted", "no manifest lists it")


def _check(row: Row, full: bool) -> Finding | None:
    """Compare an output with its row; None if they agree. Raises SwcError if its storage cannot be read."""
    if row.status == FAILED or row.output is None:
        return Finding(row.source, "failed", row.error or "no reason is given")
    status = storage_of(row.output).status(row.output)
    if status is None or not status.is_regular:
        return Finding(row.output, "missing", f"made from {row.source}")
    if status.size not in (None, row.output_bytes):
        return Finding(row.output, "changed", f"it has {status.size} bytes instead of {row.output_bytes}")
    try:
        found = _found_values(row.output, row.status, full)
    except SwcError as error:
        return Finding(row.output, "damaged", str(error))
    for name, value in found.items():
        expected = getattr(row, name)
        if value is not None and value != expected:
            return Finding(row.output, "changed", f"its {name.replace('_', ' ')} is {value}, not {expected}")
    if full and file_digest(row.output) != row.output_digest:
        return Finding(row.output, "changed", "its digest is another one")
    return None


def _found_values(path: str, status: str, full: bool) -> dict[str, object]:
    """What an output says of itself, by fields of `Row`. Raises BadInputError if it is damaged."""
    if status == "encoded":
        return _stream_values(path, full)
    return _tokens_values(path) if status == "tokens" else _audio_values(path)


def _stream_values(path: str, full: bool) -> dict[str, object]:
    """What a stream says of itself, by fields of `Row`. Raises BadInputError if it is damaged."""
    with open_input(path) as file:
        if full:
            report = verify(file)
            for problem in report.problems:
                raise SwcError(str(problem))
            file.seek(0)
        reader = StreamReader(file)
        trailer = reader.trailer
        if trailer is None:
            raise SwcError("its trailer is missing or damaged")
        return {
            "fingerprint": reader.header.fingerprint.hex(),
            "sample_rate": reader.header.original_rate,
            "channels": reader.header.channels,
            "samples": trailer.total_samples,
            "source_digest": digest_text(trailer.source),
        }


def _tokens_values(path: str) -> dict[str, object]:
    """What a .npz file of tokens says, by fields of `Row`. Raises BadInputError if it is damaged."""
    with open_input(path) as file:
        _, tokens = read_npz(file)
    return {
        "fingerprint": tokens.fingerprint.hex(),
        "sample_rate": tokens.sample_rate,
        "channels": tokens.channels,
        "samples": tokens.samples,
        "source_digest": digest_text(tokens.source),
    }


def _audio_values(path: str) -> dict[str, object]:
    """What the header of an audio file says, by fields of `Row`. Raises BadInputError."""
    with AudioReader(path) as audio:
        return {"sample_rate": audio.sample_rate, "channels": audio.channels, "samples": audio.frames}
