"""Decoding through the program `ffmpeg`: formats that libsndfile does not read, such as M4A and WMA."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from typing import IO

import numpy as np

from ..errors import BadInputError, one_line, system_message
from .sources import WavSource
from .wav import NotPlainWav, read_header

_LOG_PREFIX = re.compile(r"^(\[[^]]*\] *)+")  # the part of ffmpeg that reports an error
_MESSAGE_BYTES = 4096
_EXIT_SECONDS = 10  # to end after the end of the audio


def has_ffmpeg() -> bool:
    """Whether `ffmpeg` is on the PATH."""
    return shutil.which("ffmpeg") is not None


class FfmpegSource:
    """Decodes the first audio stream of a file with `ffmpeg`, through a pipe; see `sources.Source`.

    Errors of ffmpeg are errors here even where it would go on, so that nothing is lost silently.

    Args:
        path: of the file.
        name: name of the input in error messages.

    Raises:
        BadInputError: `ffmpeg` is not installed or cannot decode the file.
    """

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        if not has_ffmpeg():
            raise BadInputError(
                f"{name}: this format is decoded by ffmpeg, which is not installed; install it, or pipe from "
                "another decoder: DECODER | swc encode - OUT.swc"
            )
        command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"]
        # The prefix keeps ffmpeg from taking a file name for an option or a URL.
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                start_new_session=True,  # Ctrl-C is handled here, see `close`
            )
        except OSError as error:
            self._messages.close()
            raise BadInputError(f"{name}: cannot start ffmpeg: {system_message(error)}") from None
        try:
            assert self._process.stdout is not None
            self._wav = self._read_header(self._process.stdout)
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels = self._wav.sample_rate, self._wav.channels
        self.frames: int | None = None
        self.format = "FFMPEG/DECODED"

    def _read_header(self, output: IO[bytes]) -> WavSource:
        try:
            header = read_header(output, self._name)
        except (BadInputError, NotPlainWav):
            output.close()
            self._check_exit()
            raise BadInputError(f"{self._name}: ffmpeg delivers no audio") from None
        return WavSource(output, header, None, self._name)  # type: ignore[arg-type]  # IO[bytes] is binary

    def read(self, size: int) -> np.ndarray:
        """Decode the next frames, see `Source`."""
        block = self._wav.read(size)
        if len(block) < size:
            self._check_exit()
        return block

    def _check_exit(self) -> None:
        """Wait for the end of ffmpeg. Raises BadInputError if it reported an error."""
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise BadInputError(f"{self._name}: ffmpeg does not end") from None
        self._messages.seek(0)
        text = self._messages.read(_MESSAGE_BYTES).decode(errors="replace").strip()
        if code or text:
            first = _LOG_PREFIX.sub("", text.splitlines()[0]) if text else ""
            detail = one_line(first) or f"exit code {code}"
            raise BadInputError(f"{self._name}: ffmpeg cannot decode it ({detail})")

    def close(self) -> None:
        """End ffmpeg if it is still running."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        self._messages.close()
