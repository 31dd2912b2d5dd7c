"""Decoders of audio inputs: WAV samples read directly, and everything else through libsndfile."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import BinaryIO, Protocol, TypeVar

import numpy as np
import soundfile

from ..errors import BadInputError, system_message
from .wav import PLACEHOLDER_SIZE, PrefixedStream, SampleFormat, WavHeader, decode_samples, read_exactly

Value = TypeVar("Value")

_UNKNOWN_FRAMES = 1 << 62  # libsndfile reports 2**63 - 1 if a header leaves the length open
# libsndfile silently reduces the length to the size of the file, but writes it to its log.
_CORRECTED_SIZE = re.compile(
    r"^ *(?:FORM|SSND|Data Size|riff|data) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_DRAIN_BYTES = 1 << 24
_stderr_lock = threading.Lock()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard what C libraries print to standard error: libmpg123 has notes on every irregular MP3.

    The file descriptor is redirected for the whole process, so use this for short calls only.
    """
    with _stderr_lock:
        try:
            saved = os.dup(2)
        except OSError:  # standard error is closed
            yield
            return
        try:
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 2)
                os.close(null)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class Source(Protocol):
    """Decodes the frames of an input in order.

    Attributes:
        sample_rate: in Hz.
        channels: number of channels.
        frames: length, None if unknown.
        format: container and subtype, such as "WAV/PCM_16".
    """

    sample_rate: int
    channels: int
    frames: int | None
    format: str

    def read(self, size: int) -> np.ndarray:
        """Decode `size` frames as float32, fewer only at the end. # (size, channels)

        Raises:
            BadInputError: the data is damaged or cannot be read.
        """


class WavSource:
    """Reads the samples that follow a parsed WAV header.

    Args:
        stream: positioned at the first byte of audio.
        header: of the file.
        file_bytes: size of the whole file, None for a pipe.
        name: name of the input in error messages.

    Raises:
        BadInputError: the file is shorter than its header states.
    """

    def __init__(self, stream: BinaryIO, header: WavHeader, file_bytes: int | None, name: str) -> None:
        self._stream: BinaryIO | PrefixedStream = stream
        if header.first_bytes:
            self._stream = PrefixedStream(header.first_bytes, stream)
        self._samples, self._name = header.samples, name
        self.sample_rate, self.channels = header.samples.sample_rate, header.samples.channels
        self.format = f"WAV/{header.samples.subtype}"
        frame_bytes = header.samples.frame_bytes
        stated, present = header.data_bytes, None if file_bytes is None else file_bytes - self._stream.tell()
        if stated is not None and present is not None and stated > present:
            if stated < PLACEHOLDER_SIZE:
                raise truncated_error(name, self.sample_rate, present // frame_bytes, stated // frame_bytes)
            stated = None
        self._bytes_left = present if stated is None else stated
        self.frames: int | None = None
        if self._bytes_left is not None and (present is not None or self._bytes_left < PLACEHOLDER_SIZE):
            self.frames = self._bytes_left // frame_bytes

    def read(self, size: int) -> np.ndarray:
        """Decode the next frames, see `Source`."""
        frame_bytes = self._samples.frame_bytes
        requested = size * frame_bytes
        if self._bytes_left is not None:
            requested = min(requested, self._bytes_left) // frame_bytes * frame_bytes
        try:
            data = read_exactly(self._stream, requested)
            if len(data) < size * frame_bytes and not self._stream.seekable():
                # Consume chunks after the audio, so that a program writing them does not get a broken pipe.
                read_exactly(self._stream, _DRAIN_BYTES)
        except OSError as error:
            raise BadInputError(f"{self._name}: cannot read: {system_message(error)}") from None
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
        data = data[: len(data) // frame_bytes * frame_bytes]
        return decode_samples(data, self._samples.subtype).reshape(-1, self.channels)


class RawSource:
    """Reads samples without a header.

    Args:
        stream: positioned at the first sample.
        samples: their format.
        file_bytes: size of the whole file, None for a pipe.
        name: name of the input in error messages.

    Raises:
        BadInputError: the size does not fit the format.
    """

    def __init__(self, stream: BinaryIO, samples: SampleFormat, file_bytes: int | None, name: str) -> None:
        self._stream, self._samples, self._name = stream, samples, name
        self.sample_rate, self.channels = samples.sample_rate, samples.channels
        self.format = f"RAW/{samples.subtype}"
        self.frames = None if file_bytes is None else file_bytes // samples.frame_bytes
        self._check_size(file_bytes or 0)

    def read(self, size: int) -> np.ndarray:
        """Decode the next frames, see `Source`."""
        try:
            data = read_exactly(self._stream, size * self._samples.frame_bytes)
        except OSError as error:
            raise BadInputError(f"{self._name}: cannot read: {system_message(error)}") from None
        self._check_size(len(data))
        return decode_samples(data, self._samples.subtype).reshape(-1, self.channels)

    def _check_size(self, count: int) -> None:
        if count % self._samples.frame_bytes:
            raise BadInputError(
                f"{self._name}: the size is not a multiple of {self._samples.frame_bytes} bytes, as "
                f"{self.channels} channels of {self._samples.subtype} have it"
            )


class LibrarySource:
    """Decodes a file with libsndfile.

    Args:
        file: path or seekable file; an `EndlessFile` if its length is unknown.
        name: name of the input in error messages.

    Raises:
        BadInputError: not an audio file, or known to be truncated.
    """

    def __init__(self, file: str | BinaryIO | EndlessFile, name: str) -> None:
        self._name, self._frames_read = name, 0
        self._callbacks: CallbackFile | None = None
        if not isinstance(file, str):
            file.seek(0)
            self._callbacks = CallbackFile(file)
        try:
            with quiet_libraries():
                self._file = _SequentialSoundFile(self._callbacks or file)
        except soundfile.LibsndfileError as error:
            self._check_callbacks()
            detail = error.error_string.rstrip(".").lower()
            raise BadInputError(f"{name}: not a supported audio file ({detail})") from None
        except TypeError:  # soundfile recognises raw audio by its suffix and requires rate and channels
            raise BadInputError(f"{name}: the sample rate and channels of raw audio are unknown") from None
        self._check_callbacks()
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.format = f"{self._file.format}/{self._file.subtype}"
        is_known = not isinstance(file, EndlessFile) and self._file.frames < _UNKNOWN_FRAMES
        self.frames: int | None = self._file.frames if is_known else None
        self._is_mpeg = self._file.subtype.startswith("MPEG")
        for stated, present in _CORRECTED_SIZE.findall(self._file.extra_info):
            if int(present) < int(stated) < PLACEHOLDER_SIZE:
                self.close()
                raise BadInputError(f"{name}: truncated: {present} of {stated} bytes present")

    def read(self, size: int) -> np.ndarray:
        """Decode the next frames, see `Source`."""
        try:
            with quiet_libraries() if self._is_mpeg else nullcontext():
                block: np.ndarray = self._file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self._check_callbacks()
            detail = error.error_string.removeprefix("Error : ").rstrip(".").lower()
            time = self._frames_read / self.sample_rate
            raise BadInputError(f"{self._name}: damaged or truncated after {time:.2f} s ({detail})") from None
        self._check_callbacks()
        self._frames_read += len(block)
        return block

    def _check_callbacks(self) -> None:
        """Raise BadInputError if the file could not be read, which libsndfile takes for its end."""
        try:
            if self._callbacks is not None:
                self._callbacks.raise_error()
        except OSError as error:
            raise BadInputError(f"{self._name}: cannot read: {system_message(error)}") from None

    def close(self) -> None:
        """Close the file if it was opened by its path."""
        self._file.close()


class _SequentialSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no type information
    """A sound file that is not seeked after every read, which is slow and inexact for lossy formats."""

    def seekable(self) -> bool:
        return False


class CallbackFile:
    """A file that libsndfile reads from. It cannot pass exceptions on, so the first one is kept."""

    def __init__(self, file: BinaryIO | EndlessFile) -> None:
        self._file = file
        self._error: BaseException | None = None

    def raise_error(self) -> None:
        """Raise the exception that ended the file, if there was one."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._call(0, self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._call(0, self._file.tell)

    def read(self, size: int = -1) -> bytes:
        return self._call(b"", self._file.read, size)

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: bytes) -> int:
        raise OSError("not writable")

    def _call(self, default: Value, function: Callable[..., Value], *arguments: int) -> Value:
        """Call a function of the file; the default after an error."""
        if self._error is None:
            try:
                return function(*arguments)
            except BaseException as error:  # Ctrl-C, too
                self._error = error
        return default


class EndlessFile:
    """A file that reports 64 times its size.

    libsndfile estimates the length of an MP3 of variable bit rate from the size of the file and the first
    frame, and stops there. With this size it overestimates the length and reads to the end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 64 * file.seek(0, os.SEEK_END)
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if self._position >= self._size - 128:  # libsndfile looks for an ID3v1 tag here
            data = bytes(min(size, self._size - self._position))
        else:
            self._file.seek(self._position)
            data = self._file.read(size)
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: bytes) -> int:
        raise OSError("not writable")


def states_length(file: BinaryIO) -> bool:
    """Whether a file states its length; False for an MP3 without a Xing, Info or VBRI header."""
    file.seek(0)
    start = file.read(10)
    if len(start) == 10 and start[:3] == b"ID3":
        size = (start[6] << 21) | (start[7] << 14) | (start[8] << 7) | start[9]  # seven bits in each byte
        file.seek(10 + size)
    else:
        file.seek(0)
    frame = file.read(200)
    is_mp3 = len(frame) > 4 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0 and frame[1] & 0x06 != 0
    return not is_mp3 or any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def truncated_error(name: str, sample_rate: int, frames_present: int, frames_stated: int) -> BadInputError:
    """The error for an input that is shorter than its header states."""
    return BadInputError(
        f"{name}: truncated: the header states {frames_stated / sample_rate:.2f} s, "
        f"the audio ends after {frames_present / sample_rate:.2f} s"
    )
