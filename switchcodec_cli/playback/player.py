"""Playing of one source or of several at the same position."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .output import Output
from .read_ahead import ReadAhead
from .sources import Samples, Source

_BLOCK_SECONDS = 0.02
_FADE_SECONDS = 0.01  # between sources, and around pauses; at most a block
_AHEAD_SECONDS = 4  # of audio that is read before it is needed


@dataclass(frozen=True)
class Status:
    """What a player does at the moment."""

    position: float
    """In seconds."""
    peaks: tuple[float, ...]
    """Largest magnitude in the last block, by channel."""
    paused: bool
    selected: int
    """Number of the source that is heard."""


class Player:
    """Plays sources into an output; all methods but `run` can be called from other threads.

    All sources are read at the same pace, so that switching keeps the position. The end of the first one is
    the end; others are followed by silence if they are shorter.

    Args:
        output: Takes the samples.
        sources: Of the same rate and number of channels.
        sample_rate: Of sources and output, in Hz.
        channels: Likewise.
        frames: Length of the first source in samples; None if it is not known.
        start: First sample to play.
    """

    def __init__(
        self,
        output: Output,
        sources: Sequence[Source],
        *,
        sample_rate: int,
        channels: int,
        frames: int | None = None,
        start: int = 0,
    ) -> None:
        self._output, self._sources = output, sources
        self._sample_rate, self._channels, self._frames = sample_rate, channels, frames
        self._block = max(1, round(_BLOCK_SECONDS * sample_rate))
        self._fade = max(1, round(_FADE_SECONDS * sample_rate))
        self._queues: list[ReadAhead] = []
        self._changed = threading.Condition()
        # what other threads see and ask for; guarded by `_changed`
        self._position = start
        self._target: int | None = None
        self._paused = self._stopped = False
        self._selected = 0
        self._peaks: tuple[float, ...] = (0.0,) * channels
        # gains of the sources at the end of the last block
        self._gains = self._wanted_gains()

    @property
    def status(self) -> Status:
        """What is played now."""
        with self._changed:
            return Status(self._position / self._sample_rate, self._peaks, self._paused, self._selected)

    def toggle_pause(self) -> None:
        """Pause, or go on."""
        with self._changed:
            self._paused = not self._paused
            self._changed.notify_all()

    def skip(self, seconds: float) -> None:
        """Go forward, or backward if `seconds` is negative; not beyond the ends."""
        with self._changed:
            origin = self._position if self._target is None else self._target
            target = max(0, origin + round(seconds * self._sample_rate))
            self._target = target if self._frames is None else min(target, self._frames)
            self._changed.notify_all()

    def switch(self) -> None:
        """Let the next source be heard, at the same position."""
        with self._changed:
            self._selected = (self._selected + 1) % len(self._sources)

    def stop(self) -> None:
        """Let `run` return."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Play to the end, or until `stop`.

        Raises:
            SwcError: Of a source or of the output.
        """
        try:
            self._open(self._position)
            self._output.start()
            ended = False
            while not (ended or self._stopped):
                self._jump()
                if self._paused:
                    ended = self._pause()
                else:
                    ended = not self._play_block()
            if self._stopped:
                self._output.abort()
            else:
                self._output.stop()
        finally:
            self._close()

    def _pause(self) -> bool:
        """Fade out, and wait until there is something to do. Returns whether the end is reached."""
        if self._gains.any() and not self._play_block():
            return True
        self._output.stop()
        with self._changed:
            self._peaks = (0.0,) * self._channels
            self._changed.wait_for(lambda: not self._paused or self._stopped or self._target is not None)
        if not self._stopped:
            self._output.start()
        return False

    def _jump(self) -> None:
        """Go where another thread asked to."""
        with self._changed:
            target, self._target = self._target, None
            if target is None:
                return
            self._position = target
        self._output.abort()
        self._close()
        self._open(target)
        self._output.start()
        self._gains = np.zeros(len(self._sources), np.float32)

    def _play_block(self) -> bool:
        """Play the next block, unless the end is reached."""
        parts = [queue.read(self._block) for queue in self._queues]
        length = len(parts[0])
        if not length:
            return False
        before, self._gains = self._gains, self._wanted_gains()
        progress = np.minimum(np.arange(1, length + 1, dtype=np.float32) / self._fade, 1)[:, None]
        gains = before + (self._gains - before) * progress  # (n, sources)
        block = sum(
            (_fit(part, length) * gain[:, None] for part, gain in zip(parts, gains.T, strict=True)),
            np.zeros_like(parts[0]),
        )
        self._output.write(block)
        with self._changed:
            self._position += length
            self._peaks = tuple(np.abs(block).max(axis=0).tolist())
        return True

    def _wanted_gains(self) -> npt.NDArray[np.float32]:
        """Gains of the sources when no fade is under way, (sources,)."""
        is_heard = np.arange(len(self._sources)) == self._selected
        gains: npt.NDArray[np.float32] = (is_heard & (not self._paused)).astype(np.float32)
        return gains

    def _open(self, start: int) -> None:
        limit = _AHEAD_SECONDS * self._sample_rate
        for source in self._sources:
            self._queues.append(ReadAhead(source, start, self._channels, limit))

    def _close(self) -> None:
        while self._queues:
            self._queues.pop().close()


def _fit(part: Samples, length: int) -> Samples:
    """Samples (n, channels) of a length, cut or followed by silence."""
    fitted: Samples = np.pad(part[:length], ((0, max(0, length - len(part))), (0, 0)))
    return fitted
