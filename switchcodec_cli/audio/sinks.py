"""Encoders of audio outputs: WAV and raw samples written directly, and everything else through libsndfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from ..atomic_io import write_error
from ..errors import SwcError
from .edit_file import replace_bytes
from .formats import FLOAT_SUBTYPES, PCM_BITS, AudioFormat
from .tags import TagPairs, id3_tag, library_fields, riff_chunk, vorbis_comments
from .wav import SampleFormat, build_header, encode_samples, to_integers

_FLAC_COMMENTS = 4  # type of a block of metadata
_FRAMES_PER_CALL = 4096  # the Vorbis encoder of libsndfile keeps the block of a whole call on the stack


class Sink(Protocol):
    """Encodes frames to an output."""

    def write(self, block: np.ndarray) -> None:
        """Append floats of full scale ±1. # (n, channels)"""

    def finish(self) -> None:
        """Write everything that is left, such as the length in the header."""

    def close(self) -> None:
        """Close the file, complete or not."""


class PcmSink:
    """Writes WAV files and raw samples, also to pipes.

    Args:
        stream: binary stream to write to.
        name: name of the output in error messages.
        container: "WAV" or "RAW".
        samples: format of the samples.
        frames: number of frames that will be written, None if unknown.
        can_rewind: whether the header can be rewritten at the end.
        owns_stream: whether `close` closes the stream.
        tags: to store in a WAV file, chosen by `tags_for`.
    """

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        container: str,
        samples: SampleFormat,
        frames: int | None,
        can_rewind: bool,
        owns_stream: bool,
        tags: TagPairs = (),
    ) -> None:
        self._stream, self._name, self._owns_stream = stream, name, owns_stream
        self._samples, self._frames, self._can_rewind = samples, frames, can_rewind
        self._has_header = container == "WAV"
        self._tags_chunk = riff_chunk(tags) if self._has_header else b""
        self._frames_written = 0
        self._start = stream.tell() if can_rewind else 0
        if self._has_header:
            with self._translated_errors():
                stream.write(self._header(frames))

    def _header(self, frames: int | None) -> bytes:
        reserve_ds64 = self._can_rewind and self._frames is None
        return build_header(self._samples, frames, reserve_ds64, self._tags_chunk)

    def write(self, block: np.ndarray) -> None:
        """Append frames, see `Sink`."""
        with self._translated_errors():
            self._stream.write(encode_samples(block, self._samples.subtype))
        self._frames_written += len(block)

    def finish(self) -> None:
        """Write the padding byte and the true length of a WAV."""
        with self._translated_errors():
            if self._has_header:
                self._finish_wav()
            self._stream.flush()

    def _finish_wav(self) -> None:
        frames, stream = self._frames_written, self._stream
        if frames * self._samples.frame_bytes % 2:
            stream.write(b"\0")
        if self._can_rewind and frames != self._frames:
            header = self._header(frames)
            if len(header) != len(self._header(self._frames)):
                raise ValueError(f"{frames} frames written, {self._frames} announced")
            end = stream.tell()
            stream.seek(self._start)
            stream.write(header)
            stream.seek(end)

    def close(self) -> None:
        """Close the stream if it is owned."""
        if self._owns_stream:
            with self._translated_errors():
                self._stream.close()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise SwcError instead of OSError, except for a broken pipe."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self._name, error) from None


class LibrarySink:
    """Writes a file with libsndfile.

    Args:
        file: path or seekable file object.
        name: name of the output in error messages.
        format: container and subtype.
        sample_rate: in Hz.
        channels: number of channels.
        tags: to store in the file, chosen by `tags_for`. FLAC and MP3 need a path for them.

    Raises:
        SwcError: libsndfile refuses the format.
    """

    def __init__(
        self,
        file: Path | BinaryIO,
        name: str,
        format: AudioFormat,
        sample_rate: int,
        channels: int,
        tags: TagPairs = (),
    ) -> None:
        self._container, self._tags = format.container, tags
        self._path = file if isinstance(file, Path) else None
        self._name, self._subtype, self._frames_written = name, format.subtype, 0
        try:
            self._file = soundfile.SoundFile(
                file, "w", sample_rate, channels, format.subtype, format=format.container
            )
        except soundfile.LibsndfileError as error:
            detail = error.error_string.rstrip(".").lower()
            raise SwcError(
                f"{name}: cannot write {format.container}/{format.subtype} with {channels} channels "
                f"at {sample_rate} Hz ({detail})"
            ) from None
        if format.container not in ("FLAC", "MP3"):
            for field, value in library_fields(tags).items():
                setattr(self._file, field, value)

    def write(self, block: np.ndarray) -> None:
        """Append frames, see `Sink`."""
        samples = self._prepared(block)
        try:
            for start in range(0, len(samples), _FRAMES_PER_CALL):
                self._file.write(samples[start : start + _FRAMES_PER_CALL])
        except (soundfile.LibsndfileError, AssertionError):
            raise self._failure() from None
        self._frames_written += len(block)

    def _prepared(self, block: np.ndarray) -> np.ndarray:
        """Samples of the type that libsndfile converts exactly."""
        bits = PCM_BITS.get(self._subtype)
        if bits is None:
            samples = block.astype(np.float32)
            return samples if self._subtype in FLOAT_SUBTYPES else samples.clip(-1, 1)
        # Integers, since libsndfile scales floats by 32767, which would change samples of 16 bits.
        integers = to_integers(block, bits)
        return integers.astype(np.int16) << (16 - bits) if bits <= 16 else integers << (32 - bits)

    def finish(self) -> None:
        """Close the file and check that it is complete, since libsndfile does not report failures here."""
        self.close()
        if self._tags and self._path is not None and self._path.is_file():
            try:
                self._store_tags(self._path)
            except OSError as error:
                raise write_error(self._name, error) from None
        if self._path is None or not self._path.is_file() or self._subtype not in PCM_BITS:
            return
        try:
            is_complete = soundfile.info(self._path).frames == self._frames_written
        except soundfile.LibsndfileError:
            is_complete = self._frames_written == 0  # an empty FLAC file has no header
        if not is_complete:
            raise self._failure()

    def _store_tags(self, path: Path) -> None:
        """Store all tags in a file of FLAC or MP3, where libsndfile supports few, or damages some."""
        if self._container == "MP3":
            replace_bytes(path, 0, 0, id3_tag(self._tags))
        elif self._container == "FLAC":
            found = _find_comments(path)
            if found is not None:
                position, length, vendor = found
                content = vorbis_comments(vendor, self._tags)
                replace_bytes(path, position, length, len(content).to_bytes(3, "big") + content)

    def close(self) -> None:
        """Close the file if it was opened by its path."""
        try:
            self._file.close()
        except soundfile.LibsndfileError:
            raise self._failure() from None

    def _failure(self) -> SwcError:
        return SwcError(f"{self._name}: cannot write: the disk is full or failing")


def _find_comments(path: Path) -> tuple[int, int, bytes] | None:
    """The comments of a FLAC file: position and length, with the field of the length, and the vendor."""
    with open(path, "rb") as file:
        if file.read(4) != b"fLaC":  # a file without audio is empty
            return None
        while len(start := file.read(4)) == 4:
            length = int.from_bytes(start[1:], "big")
            if start[0] & 0x7F == _FLAC_COMMENTS:
                position = file.tell() - 3
                content = file.read(length)
                return position, 3 + length, content[4 : 4 + int.from_bytes(content[:4], "little")]
            if start[0] & 0x80:  # the last block
                return None
            file.seek(length, os.SEEK_CUR)
    return None
