"""Reading audio block by block, from files of every format of libsndfile and from pipes."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import BinaryIO, TypeAlias

import numpy as np

from ..atomic_io import PIPE, standard_input
from ..errors import BadInputError, system_message
from ..storage import is_remote, storage_of
from .digest import file_digest
from .ffmpeg import FfmpegSource
from .formats import SIGNATURE_BYTES, is_lossless, needs_ffmpeg
from .sources import (
    EndlessFile,
    LibrarySource,
    RawSource,
    Source,
    WavSource,
    states_length,
    truncated_error,
)
from .wav import NotPlainWav, SampleFormat, read_exactly, read_header

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000  # Hz

Input: TypeAlias = str | os.PathLike[str] | BinaryIO


class AudioReader:
    """Reads a file, a URL, standard input ("-") or a binary file object from start to end.

    WAV is streamed in constant memory, also from pipes and with a header that states no size, as `ffmpeg -f
    wav -` writes it. Other formats on a pipe are copied to a temporary file first, and so are those that
    ffmpeg decodes at URLs.

    Formats that libsndfile does not read, such as M4A and WMA, are decoded by `ffmpeg` if it is installed.

    Args:
        source: path, URL, "-" or binary file object.
        raw: format of the samples of an input without a header.

    Attributes:
        name: name of the input in messages.
        sample_rate: in Hz.
        channels: number of channels, in the order of the file.
        frames: length in samples per channel, None if it is known only at the end.
        format: container and subtype, such as "WAV/PCM_16" or "OGG/VORBIS".
        is_lossless: whether every decoder gets the same samples from this format.

    Raises:
        BadInputError: the input is unreadable, empty, not audio, or known to be truncated.
    """

    def __init__(self, source: Input, raw: SampleFormat | None = None) -> None:
        self.name = _name_of(source)
        self._raw = raw
        self._file: str | BinaryIO | None = None  # the bytes of the input, if they can be read again
        self._resources = ExitStack()
        try:
            self._source = self._open(source)
        except OSError as error:
            self.close()
            raise BadInputError(f"{self.name}: cannot read: {system_message(error)}") from None
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels = self._source.sample_rate, self._source.channels
        self.frames, self.format = self._source.frames, self._source.format
        self.is_lossless = is_lossless(self.format)

    def _open(self, source: Input) -> Source:
        if not isinstance(source, (str, os.PathLike)):
            opened = self._open_stream(source)
        elif os.fspath(source) == PIPE:
            opened = self._open_stream(standard_input())
        else:
            opened = self._open_path(os.fspath(source))
        if not MIN_SAMPLE_RATE <= opened.sample_rate <= MAX_SAMPLE_RATE:
            raise BadInputError(
                f"{self.name}: a sample rate of {opened.sample_rate} Hz is outside "
                f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
            )
        return opened

    def _open_path(self, path: str) -> Source:
        if not path:
            raise BadInputError("the name of the input is empty")
        if is_remote(path):
            return self._open_stream(self._resources.enter_context(storage_of(path).open(path)), path)
        try:
            status = os.stat(path)
        except ValueError:  # a null character in the name
            raise BadInputError(f"{path!r}: not a file name") from None
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(f"{path}: is a folder, not an audio file")
        file = self._resources.enter_context(open(path, "rb"))  # noqa: SIM115
        if not stat.S_ISREG(status.st_mode):
            return self._open_stream(file)
        self._file = path
        if self._raw is not None:
            return RawSource(file, self._raw, status.st_size, self.name)
        try:
            return WavSource(file, read_header(file, self.name), status.st_size, self.name)
        except NotPlainWav:
            if status.st_size == 0:
                raise BadInputError(f"{self.name}: the file is empty") from None
            file.seek(0)
            if needs_ffmpeg(read_exactly(file, SIGNATURE_BYTES), path):
                return self._open_ffmpeg(path)
            return self._open_library(path if states_length(file) else EndlessFile(file))

    def _open_stream(self, stream: BinaryIO, path: str = "") -> Source:
        """Open a pipe or a file object; `path` is its name, whose suffix may tell the format."""
        can_rewind = stream.seekable() and stream.tell() == 0
        file_bytes = None
        if can_rewind:
            file_bytes = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            self._file = stream
        if self._raw is not None:
            return RawSource(stream, self._raw, file_bytes, self.name)
        recorder = _RecordingStream(stream)
        try:
            header = read_header(recorder, self.name)
        except NotPlainWav:
            if not recorder.data:
                raise BadInputError(f"{self.name}: the input is empty") from None
            read_exactly(recorder, SIGNATURE_BYTES - len(recorder.data))
            start = bytes(recorder.data)
            if needs_ffmpeg(start, path):
                named = self._copy_to_file(start, stream)
                self._file = named.name
                return self._open_ffmpeg(named.name)
            file = stream if can_rewind else self._copy_to_file(start, stream)
            self._file = file
            return self._open_library(file if states_length(file) else EndlessFile(file))
        return WavSource(stream, header, file_bytes, self.name)

    def _open_library(self, file: str | BinaryIO | EndlessFile) -> Source:
        return self._resources.enter_context(closing(LibrarySource(file, self.name)))

    def _open_ffmpeg(self, path: str) -> Source:
        return self._resources.enter_context(closing(FfmpegSource(path, self.name)))

    def _copy_to_file(self, start: bytes, rest: BinaryIO) -> BinaryIO:
        """Copy a stream, of which `start` was read already, to a temporary file with a name."""
        file = self._resources.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115
        file.write(start)
        while piece := rest.read(1 << 20):
            file.write(piece)
        file.flush()
        return file  # type: ignore[return-value]  # a wrapper of a binary file

    def file_digest(self) -> bytes | None:
        """Digest over the bytes of the input, see `digest.file_digest`; None for WAV or raw from a pipe.

        Raises:
            BadInputError: the input cannot be read again.
        """
        try:
            return None if self._file is None else file_digest(self._file)
        except OSError as error:
            raise BadInputError(f"{self.name}: cannot read: {system_message(error)}") from None

    def blocks(self, size: int = 65536) -> Iterator[np.ndarray]:
        """Yield float32 blocks of `size` frames, the last one shorter. # (size, channels)

        Raises:
            BadInputError: the data is damaged, shorter than the header states, or not finite. The message
                contains the time.
        """
        frames_read = 0
        while True:
            block = self._source.read(size)
            if len(block):
                self._check_finite(block, frames_read)
                frames_read += len(block)
                yield block
            if len(block) < size:
                break
        if self.frames is not None and frames_read < self.frames:
            raise truncated_error(self.name, self.sample_rate, frames_read, self.frames)

    def _check_finite(self, block: np.ndarray, frames_before: int) -> None:
        finite = np.isfinite(block)
        if finite.all():
            return
        frame = int(np.argmin(finite.all(axis=1)))
        time = (frames_before + frame) / self.sample_rate
        value = "not a number" if np.isnan(block[frame]).any() else "infinite"
        raise BadInputError(f"{self.name}: the sample at {time:.3f} s is {value}")

    def read(self) -> np.ndarray:
        """Read the rest as one array. # (frames, channels)"""
        blocks = list(self.blocks())
        return np.concatenate(blocks) if blocks else np.zeros((0, self.channels), np.float32)

    def close(self) -> None:
        """Close the files that were opened here; a file object passed to the constructor stays open."""
        self._resources.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _RecordingStream:
    """A stream that keeps what was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.data = stream, bytearray()

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size) or b""
        self.data += piece
        return piece


def _name_of(source: Input) -> str:
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return "standard input" if path == PIPE else path
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the input"
