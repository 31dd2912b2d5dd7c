"""Audio out: files that appear whole or not at all, and pipes, block by block."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ..atomic_io import atomic_path, write_error
from ..errors import SwcError, UsageError
from .wav import SUBTYPES, build_header, encode_samples, to_integers

# Suffix: container, default coding.
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".wave": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aif": ("AIFF", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".au": ("AU", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".raw": ("RAW", "PCM_16"),
    ".pcm": ("RAW", "PCM_16"),
}
_INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_SAMPLE_RATES = {
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "MPEG_LAYER_III": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
_MOST_CHANNELS = {"MP3": 2, "FLAC": 8}
_PIECE = 4096  # frames per call of libsndfile: its Vorbis encoder puts a whole call on the stack

Target = str | os.PathLike[str] | BinaryIO


def output_format(target: Target, format: str | None = None, subtype: str | None = None) -> tuple[str, str]:
    """Container and coding for a target: those asked for, else by suffix, else 16-bit WAV (pipes).

    Raises:
        UsageError: an unknown suffix, format or subtype, or a pair that does not go together.
    """
    is_path = isinstance(target, (str, os.PathLike)) and os.fspath(target) != "-"
    suffix = Path(target).suffix.lower() if is_path else ".wav"
    if format is not None:
        suffix = "." + format.lower().lstrip(".")
    if suffix not in FORMATS:
        asked = f"the suffix {suffix!r}" if suffix else "no suffix"
        raise UsageError(f"{target}: no audio format goes by {asked}; known: {' '.join(sorted(FORMATS))}")
    container, default = FORMATS[suffix]
    subtype = default if subtype is None else subtype.upper().replace("-", "_")
    if container in ("WAV", "RAW"):
        allowed = list(SUBTYPES)
    else:
        allowed = [known for known in soundfile.available_subtypes(container) if "MPEG_LAYER_I" not in known]
        allowed += ["MPEG_LAYER_III"] if container == "MP3" else []
    if subtype not in allowed:
        raise UsageError(f"{container} cannot hold {subtype}; it can hold {', '.join(sorted(allowed))}")
    return container, subtype


class AudioWriter:
    """Write audio to a file, to standard output ("-") or to a binary file object.

    A file is written under another name beside the target and moved there by `close`; on any failure it is
    removed. Integer codings round and clip, floats are written as they are. Beyond 4 GiB a WAV becomes RF64.
    On a pipe, WAV and raw samples are possible; a WAV header there states `frames`, or where that is None
    the size 0xFFFFFFFF which says "to the end".

    Args:
        target: path, "-" or binary file object; a file object stays open.
        sample_rate: in Hz.
        channels: of every block.
        subtype: coding such as "PCM_16", "PCM_24", "FLOAT" or "VORBIS"; default by format.
        format: a suffix such as "wav" or "raw" that overrules the target's.
        frames: total length where known.
        force: replace an existing file.

    Raises:
        UsageError: what is asked for does not exist, or the target does.
        SwcError: the target cannot be written, the disk is full.
        BrokenPipeError: the reader of a pipe went away.
    """

    def __init__(
        self,
        target: Target,
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        format: str | None = None,
        frames: int | None = None,
        force: bool = False,
    ) -> None:
        self.format, self.subtype = output_format(target, format, subtype)
        self.sample_rate, self.channels, self.frames_written = sample_rate, channels, 0
        self._announced = frames
        self._resources = ExitStack()
        self._stream: BinaryIO | None = None
        self._library: soundfile.SoundFile | None = None
        self._closed = False
        is_path = isinstance(target, (str, os.PathLike))
        if is_path and os.fspath(target) == "-":
            self.name, target, is_path = "standard output", _standard_output(), False
        else:
            self.name = os.fspath(target) if is_path else str(getattr(target, "name", "the output"))
        self._can_rewind = is_path or target.seekable()
        if self.format not in ("WAV", "RAW"):
            if not is_path and not self._can_rewind:
                raise UsageError(f"{self.name}: a pipe takes WAV or raw audio, not {self.format}")
            # Ask first: a refusal must not touch the file system.
            self._check_library_accepts()
        try:
            if is_path:
                target = self._resources.enter_context(atomic_path(target, force))
            if self.format in ("WAV", "RAW"):
                self._open_plain(target)
            else:
                self._open_library(target)
        except BaseException:
            self._abandon()
            raise

    def _check_library_accepts(self) -> None:
        rate, channels = self.sample_rate, self.channels
        rates = _SAMPLE_RATES.get(self.subtype, (rate,))
        if rate not in rates:
            known = ", ".join(map(str, rates))
            raise UsageError(f"{self.name}: {self.subtype} cannot hold {rate} Hz, only {known} Hz")
        if channels > _MOST_CHANNELS.get(self.format, channels):
            raise UsageError(f"{self.name}: {self.format} cannot hold {channels} channels")

    def _open_plain(self, target: Path | BinaryIO) -> None:
        if isinstance(target, Path):
            self._stream = self._resources.enter_context(_open_output(target, self.name))
            self._can_rewind = self._stream.seekable() and target.is_file()
        else:
            self._stream = target
        if self.format == "WAV":
            self._header_at = self._stream.tell() if self._can_rewind else 0
            self._put(self._header(self._announced))

    def _header(self, frames: int | None) -> bytes:
        reserve = self._can_rewind and self._announced is None
        return build_header(self.sample_rate, self.channels, self.subtype, frames, reserve)

    def _open_library(self, target: Path | BinaryIO) -> None:
        try:
            self._library = self._resources.enter_context(
                soundfile.SoundFile(
                    os.fspath(target) if isinstance(target, Path) else target,
                    "w",
                    self.sample_rate,
                    self.channels,
                    self.subtype,
                    format=self.format,
                )
            )
        except soundfile.LibsndfileError as error:
            detail = error.error_string.rstrip(".").lower()
            raise SwcError(
                f"{self.name}: cannot write {self.format}/{self.subtype} of {self.channels} channels "
                f"at {self.sample_rate} Hz ({detail})"
            ) from None

    def write(self, block: np.ndarray) -> None:
        """Append floats, full scale ±1. # (n, channels), or (n,) for one channel"""
        block = np.asarray(block)
        if block.ndim == 1:
            block = block[:, None]
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (frames, {self.channels}), not {block.shape}")
        if self._stream is not None:
            self._put(encode_samples(block, self.subtype))
        else:
            self._write_library(block)
        self.frames_written += len(block)

    def _write_library(self, block: np.ndarray) -> None:
        bits = _INTEGER_BITS.get(self.subtype)
        if bits is not None:
            # Whole numbers, so that 16 bits in give the same 16 bits out: libsndfile would scale by 32767.
            samples = to_integers(block, bits)
            samples = samples.astype(np.int16) << (16 - bits) if bits <= 16 else samples << (32 - bits)
        else:
            samples = block.astype(np.float32)
            if self.subtype not in ("FLOAT", "DOUBLE"):
                samples = samples.clip(-1, 1)
        try:
            for start in range(0, len(samples), _PIECE):
                self._library.write(samples[start : start + _PIECE])
        except (soundfile.LibsndfileError, AssertionError):
            raise SwcError(f"{self.name}: cannot write: the disk is full or failing") from None

    def _put(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self.name, error) from None

    def close(self) -> None:
        """Complete the output and give a file its name. After an error, `abandon` instead."""
        if self._closed:
            return
        try:
            if self._stream is not None:
                self._finish_plain()
            self._finish_library()
            self._closed = True
            self._resources.close()
        except BaseException:
            self._abandon()
            raise

    def _finish_plain(self) -> None:
        frames = self.frames_written
        try:
            if self.format == "WAV":
                if frames * self.channels * SUBTYPES[self.subtype] % 2:
                    self._stream.write(b"\0")
                if self._can_rewind and frames != self._announced:
                    header = self._header(frames)
                    if len(header) != len(self._header(self._announced)):
                        raise ValueError(f"{frames} frames written, {self._announced} announced")
                    end = self._stream.tell()
                    self._stream.seek(self._header_at)
                    self._stream.write(header)
                    self._stream.seek(end)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self.name, error) from None

    def _finish_library(self) -> None:
        file = self._library
        if file is None:
            return
        try:
            file.close()
        except soundfile.LibsndfileError:
            raise SwcError(f"{self.name}: cannot write: the disk is full or failing") from None
        # libsndfile does not report what fails when it closes; the header tells.
        path = file.name
        if isinstance(path, str) and os.path.isfile(path) and self.subtype in _INTEGER_BITS:
            try:
                complete = soundfile.info(path).frames == self.frames_written
            except soundfile.LibsndfileError:
                complete = self.frames_written == 0  # FLAC without a frame holds no header
            if not complete:
                raise SwcError(f"{self.name}: cannot write: the disk is full or failing")

    def abandon(self) -> None:
        """Give up: a file leaves nothing behind, an existing target stays as it was."""
        if not self._closed:
            self._abandon()

    def _abandon(self) -> None:
        self._closed = True
        failure = _Abandoned()
        try:
            self._resources.__exit__(_Abandoned, failure, None)
        except _Abandoned:
            pass
        except OSError:
            pass  # flushing to a full disk while giving up: the first error is the one to tell

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class _Abandoned(Exception):
    """Thrown into the output's context so that it is undone."""


def _open_output(path: Path, name: str) -> BinaryIO:
    try:
        return open(path, "r+b" if path.is_file() else "wb")
    except OSError as error:
        raise write_error(name, error) from None


def _standard_output() -> BinaryIO:
    if sys.stdout is None or sys.stdout.closed:
        raise SwcError("standard output is closed")
    return sys.stdout.buffer
