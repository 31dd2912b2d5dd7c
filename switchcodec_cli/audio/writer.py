"""Writing audio block by block, to atomic files and to pipes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..atomic_io import PIPE, open_for_writing, standard_output
from ..errors import SwcError, UsageError
from ..storage import PendingOutput, storage_of
from .formats import FLOAT_SUBTYPES, STREAMABLE_CONTAINERS, Output, check_signal, output_format
from .sinks import LibrarySink, PcmSink, Sink
from .tags import TagPairs, tags_for
from .wav import SampleFormat


class AudioWriter:
    """Writes audio to a file, to standard output ("-") or to a binary file object.

    A file is written under a temporary name and renamed by `close`, or uploaded if the output is a URL; after
    an error it is removed. Integer subtypes are rounded and clipped, float subtypes store samples unchanged.
    A WAV of more than 4 GiB becomes RF64. Pipes support WAV and raw samples; the header of a WAV then states
    `frames`, or the size 0xFFFFFFFF if `frames` is None.

    Args:
        output: path, URL, "-" or binary file object; a file object stays open.
        sample_rate: in Hz.
        channels: number of channels of every block.
        subtype: coding of samples such as "PCM_16", "PCM_24", "FLOAT" or "VORBIS"; default by format.
        format: a suffix such as "wav" or "raw" that takes precedence over that of the output.
        frames: total length if known.
        force: overwrite an existing file.
        tags: pairs of key and value to store in a file, as far as its format has fields for them. Pipes and
            file objects get none.

    Attributes:
        format: container and subtype.
        frames_written: frames written so far.
        clipped: samples beyond full scale so far, over all channels, which were clipped. None are clipped in
            float subtypes.
        omitted_tags: keys of the tags that are not stored.

    Raises:
        UsageError: unsupported format, or the output exists already.
        SwcError: the output cannot be written, or the disk is full.
        BrokenPipeError: the reader of a pipe closed it.
    """

    def __init__(
        self,
        output: Output,
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        format: str | None = None,
        frames: int | None = None,
        force: bool = False,
        tags: TagPairs = (),
    ) -> None:
        self.format = output_format(output, format, subtype)
        self.sample_rate, self.channels, self.frames_written = sample_rate, channels, 0
        self.clipped = 0
        self._frames = frames
        is_file = isinstance(output, (str, os.PathLike)) and os.fspath(output) != PIPE
        self._tags, self.omitted_tags = tags_for(self.format.container if is_file else "", tags)
        self._pending: PendingOutput | None = None
        self._closed = False
        if not isinstance(output, (str, os.PathLike)):
            self.name = str(getattr(output, "name", "the output"))
            self._sink = self._open_stream(output)
        elif os.fspath(output) == PIPE:
            self.name = "standard output"
            self._sink = self._open_stream(standard_output())
        else:
            self.name = os.fspath(output)
            self._sink = self._open_path(force)

    @property
    def _is_streamable(self) -> bool:
        return self.format.container in STREAMABLE_CONTAINERS

    def _open_stream(self, stream: BinaryIO) -> Sink:
        can_rewind = stream.seekable()
        if self._is_streamable:
            return self._pcm_sink(stream, can_rewind, owns_stream=False)
        if not can_rewind:
            raise UsageError(
                f"{self.name}: a pipe supports only WAV and raw audio, not {self.format.container}"
            )
        return self._library_sink(stream)

    def _open_path(self, force: bool) -> Sink:
        if not self._is_streamable:
            # Checked before an existing file is touched.
            check_signal(self.format, self.sample_rate, self.channels, self.name)
        self._pending = storage_of(self.name).pending_output(self.name, force)
        temporary = self._pending.temporary
        try:
            if not self._is_streamable:
                return self._library_sink(temporary)
            stream = open_for_writing(temporary, self.name)
            return self._pcm_sink(stream, stream.seekable() and temporary.is_file(), owns_stream=True)
        except BaseException:
            self._pending.discard()
            raise

    def _pcm_sink(self, stream: BinaryIO, can_rewind: bool, owns_stream: bool) -> Sink:
        samples = SampleFormat(self.sample_rate, self.channels, self.format.subtype)
        return PcmSink(
            stream,
            self.name,
            self.format.container,
            samples,
            self._frames,
            can_rewind,
            owns_stream,
            self._tags,
        )

    def _library_sink(self, file: Path | BinaryIO) -> Sink:
        check_signal(self.format, self.sample_rate, self.channels, self.name)
        return LibrarySink(file, self.name, self.format, self.sample_rate, self.channels, self._tags)

    def write(self, block: np.ndarray) -> None:
        """Append floats of full scale ±1. # (n, channels), or (n,) for one channel"""
        block = np.asarray(block)
        if block.ndim == 1:
            block = block[:, None]
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (frames, {self.channels}), not {block.shape}")
        if self.format.subtype not in FLOAT_SUBTYPES:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
        self._sink.write(block)
        self.frames_written += len(block)

    def close(self) -> None:
        """Complete the output and move a file to its final name."""
        if self._closed:
            return
        try:
            self._sink.finish()
            self._sink.close()
            if self._pending is not None:
                self._pending.commit()
        finally:
            self._release()

    def abandon(self) -> None:
        """Close without completing: no new file remains, and an existing file is unchanged."""
        if not self._closed:
            self._release()

    def _release(self) -> None:
        self._closed = True
        with suppress(SwcError, BrokenPipeError):  # after an error closing flushes, and fails again
            self._sink.close()
        if self._pending is not None:
            self._pending.discard()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()
