"""Audio in: files of every format libsndfile knows, and pipes, block by block."""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
import soundfile

from ..atomic_io import reason
from ..errors import BadInputError
from .wav import PLACEHOLDER_SIZE, NotPlainWav, WavHeader, decode_samples, read_exactly, read_header

LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 1_000, 768_000  # Hz
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says 2**63 - 1 where a header leaves the length open
_CORRECTED_SIZE = re.compile(
    r"^ *(?:FORM|SSND|Data Size|riff|data) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
_DRAIN_BYTES = 1 << 24

Source = str | os.PathLike[str] | BinaryIO


class AudioReader:
    """A file, standard input ("-") or a binary file object, read once from start to end.

    A WAV streams in constant memory even where it cannot be rewound and its header holds no sizes, as `ffmpeg
    -f wav -` writes it. Any other format on a pipe goes through a temporary file first.

    Attributes:
        name: what messages call the source.
        sample_rate: in Hz.
        channels: number of channels, in the order of the file.
        frames: length in samples per channel, None where only reading to the end will tell.
        format: container and coding, such as "WAV/PCM_16" or "OGG/VORBIS".

    Raises:
        BadInputError: unreadable, empty, not audio, or known to be cut short.
    """

    def __init__(self, source: Source, name: str | None = None) -> None:
        self._resources = ExitStack()
        self._plain: BinaryIO | None = None
        self._library: _LinearSoundFile | None = None
        self._data_bytes: int | None = None
        self._length_is_firm = True
        self.frames: int | None = None
        try:
            if isinstance(source, (str, os.PathLike)) and os.fspath(source) != "-":
                self.name = name or os.fspath(source)
                self._open_path(os.fspath(source))
            else:
                is_standard_input = isinstance(source, (str, os.PathLike))
                self.name = name or ("standard input" if is_standard_input else _name_of(source))
                self._open_stream(_standard_input() if is_standard_input else source)
            if not LOWEST_SAMPLE_RATE <= self.sample_rate <= HIGHEST_SAMPLE_RATE:
                raise BadInputError(
                    f"{self.name}: a sample rate of {self.sample_rate} Hz is outside "
                    f"{LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE} Hz"
                )
        except OSError as error:
            self.close()
            raise BadInputError(f"{self.name}: cannot read: {reason(error)}") from None
        except BaseException:
            self.close()
            raise

    # Opening

    def _open_path(self, path: str) -> None:
        if not path:
            raise BadInputError("the name of the input is empty")
        try:
            status = os.stat(path)
        except ValueError:  # a zero byte in the name
            raise BadInputError(f"{path!r}: not a file name") from None
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(f"{path}: is a folder, not an audio file")
        file = self._resources.enter_context(open(path, "rb"))  # noqa: SIM115
        if not stat.S_ISREG(status.st_mode):
            self._open_stream(file)
            return
        try:
            self._use_plain(file, read_header(file, self.name), status.st_size)
        except NotPlainWav:
            if status.st_size == 0:
                raise BadInputError(f"{self.name}: the file is empty") from None
            self._use_library(path if _states_its_length(file) else _OpenEnded(file))

    def _open_stream(self, stream: BinaryIO) -> None:
        can_rewind = stream.seekable() and stream.tell() == 0
        size = None
        if can_rewind:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
        recorder = _Recorder(stream)
        try:
            header = read_header(recorder, self.name)
        except NotPlainWav:
            if not recorder.data:
                raise BadInputError(f"{self.name}: nothing came in") from None
            if not can_rewind:
                stream = self._spool(bytes(recorder.data), stream)
            self._use_library(stream if _states_its_length(stream) else _OpenEnded(stream))
        else:
            self._use_plain(stream, header, size)

    def _spool(self, start: bytes, rest: BinaryIO) -> BinaryIO:
        file = self._resources.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        file.write(start)
        while piece := rest.read(1 << 20):
            file.write(piece)
        file.seek(0)
        return file

    def _use_plain(self, stream: BinaryIO, header: WavHeader, size: int | None) -> None:
        """Read samples here; `size` is that of the whole file where it is known."""
        self._plain, self._header = stream, header
        self.sample_rate, self.channels = header.sample_rate, header.channels
        self.format = f"WAV/{header.subtype}"
        stated, present = header.data_bytes, None if size is None else size - stream.tell()
        if stated is not None and present is not None and stated > present:
            if stated < PLACEHOLDER_SIZE:
                raise self._truncated(present // header.frame_bytes, stated // header.frame_bytes)
            stated = None
        self._data_bytes = stated if stated is not None else present
        if present is not None or (stated is not None and stated < PLACEHOLDER_SIZE):
            self.frames = self._data_bytes // header.frame_bytes
        else:
            self._length_is_firm = False

    def _use_library(self, source: str | BinaryIO | _OpenEnded) -> None:
        if not isinstance(source, str):
            source.seek(0)
        try:
            file = self._resources.enter_context(_LinearSoundFile(source))
        except soundfile.LibsndfileError as error:
            detail = error.error_string.rstrip(".").lower()
            raise BadInputError(f"{self.name}: not audio that can be read ({detail})") from None
        except TypeError:  # soundfile goes by the suffix here and asks for rate and channels
            raise BadInputError(f"{self.name}: raw audio says neither its rate nor its channels") from None
        self._library = file
        self.sample_rate, self.channels = file.samplerate, file.channels
        self.format = f"{file.format}/{file.subtype}"
        if file.frames < _UNKNOWN_FRAMES and not isinstance(source, _OpenEnded):
            self.frames = file.frames
        # libsndfile silently cuts the length down to what is there, but notes it in its log.
        for stated, present in _CORRECTED_SIZE.findall(file.extra_info):
            if int(present) < int(stated) < PLACEHOLDER_SIZE:
                raise BadInputError(f"{self.name}: cut short: {present} of {stated} bytes are there")

    # Reading

    def blocks(self, size: int = 65536) -> Iterator[np.ndarray]:
        """Yield float32 blocks of `size` frames, the last one shorter. # (size, channels)

        Raises:
            BadInputError: the data is damaged, ends before the stated length, or holds a value that is not a
                finite number. The message names the time.
        """
        done = 0
        while True:
            block = self._read_plain(size, done) if self._plain else self._read_library(size, done)
            if len(block):
                finite = np.isfinite(block)
                if not finite.all():
                    frame = int(np.argmin(finite.all(axis=1)))
                    time = (done + frame) / self.sample_rate
                    what = "not a number" if np.isnan(block[frame]).any() else "infinite"
                    raise BadInputError(f"{self.name}: the sample at {time:.3f} s is {what}")
                done += len(block)
                yield block
            if len(block) < size:
                break
        if self.frames is not None and done < self.frames:
            raise self._truncated(done, self.frames)

    def read(self) -> np.ndarray:
        """All that is left, as one array, for files known to be short. # (frames, channels)"""
        blocks = list(self.blocks())
        return np.concatenate(blocks) if blocks else np.zeros((0, self.channels), np.float32)

    def _read_plain(self, size: int, done: int) -> np.ndarray:
        frame_bytes = self._header.frame_bytes
        wanted = size * frame_bytes
        if self._data_bytes is not None:
            wanted = min(wanted, self._data_bytes - done * frame_bytes) // frame_bytes * frame_bytes
        try:
            data = read_exactly(self._plain, wanted)
            if len(data) < size * frame_bytes and not self._plain.seekable():
                # Chunks after the audio: a program that is still writing them should not see a closed pipe.
                read_exactly(self._plain, _DRAIN_BYTES)
        except OSError as error:
            raise BadInputError(f"{self.name}: cannot read: {reason(error)}") from None
        data = data[: len(data) // frame_bytes * frame_bytes]
        return decode_samples(data, self._header.subtype).reshape(-1, self.channels)

    def _read_library(self, size: int, done: int) -> np.ndarray:
        try:
            return self._library.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            detail = error.error_string.removeprefix("Error : ").rstrip(".").lower()
            time = done / self.sample_rate
            raise BadInputError(f"{self.name}: damaged or cut short after {time:.2f} s ({detail})") from None

    def _truncated(self, present: int, stated: int) -> BadInputError:
        rate = self.sample_rate
        return BadInputError(
            f"{self.name}: cut short: the header states {stated / rate:.2f} s, "
            f"the audio ends after {present / rate:.2f} s"
        )

    # Life time

    def close(self) -> None:
        """Close what was opened here; a file object that was handed in stays open."""
        self._resources.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _LinearSoundFile(soundfile.SoundFile):
    """soundfile seeks after every read of a file that can; reading straight on is faster and exact."""

    def seekable(self) -> bool:
        return False


class _Recorder:
    """A stream that remembers what was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.data = stream, bytearray()

    def read(self, size: int = -1) -> bytes:
        piece = self.stream.read(size) or b""
        self.data += piece
        return piece


class _OpenEnded:
    """A file that claims to be much longer than it is.

    libsndfile stops reading an MP3 of variable bit rate at a length it guesses from the size of the file and
    the first frame. With this it guesses high and reads to the true end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self._claimed = 64 * self._size
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._claimed}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if self._position >= self._claimed - 128:  # where a tag might be: a reader insists on these bytes
            data = bytes(min(size, self._claimed - self._position))
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
        raise OSError("this file is only read")


def _states_its_length(file: BinaryIO) -> bool:
    """False for an MP3 without the header that holds its number of frames (Xing, Info or VBRI)."""
    file.seek(0)
    start = file.read(10)
    if len(start) == 10 and start[:3] == b"ID3":
        size = (start[6] << 21) | (start[7] << 14) | (start[8] << 7) | start[9]  # seven bits in each byte
        file.seek(10 + size)
    else:
        file.seek(0)
    frame = file.read(4096)
    is_mp3 = len(frame) > 4 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0 and frame[1] & 0x06 != 0
    head = frame[:200]
    return not is_mp3 or any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def _name_of(stream: object) -> str:
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else "the input"


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise BadInputError("standard input is closed")
    return sys.stdin.buffer
