"""Reading of a source ahead of time, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from .sources import Samples, Source


class ReadAhead:
    """A queue of bounded length between a source and its reader.

    Args:
        source: Is read in a thread that the constructor starts and `close` ends.
        start: First sample to read.
        channels: Of the source.
        limit: Samples in the queue at which the source waits; the queue may hold a block more.
    """

    def __init__(self, source: Source, start: int, channels: int, limit: int) -> None:
        self._limit = limit
        self._blocks: deque[Samples] = deque()
        self._frames = 0  # in the queue
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._nothing = np.zeros((0, channels), np.float32)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._fill, args=(source.blocks(start),), name="read ahead")
        self._thread.start()

    def read(self, frames: int) -> Samples:
        """The next samples, fewer than `frames` only at the end. # (n, channels)

        Raises:
            SwcError: The source's error, after all that was read before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frames >= frames or self._ended or self._closed)
            if self._frames == 0 and self._error is not None:
                raise self._error
            parts = [self._nothing]
            while frames and self._blocks:
                block = self._blocks.popleft()
                parts.append(block[:frames])
                if len(block) > frames:
                    self._blocks.appendleft(block[frames:])
                frames -= len(parts[-1])
                self._frames -= len(parts[-1])
            self._changed.notify_all()
        return np.concatenate(parts)

    def close(self) -> None:
        """End the thread, after the block that it is busy with."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _fill(self, blocks: Iterator[Samples]) -> None:
        try:
            with closing(blocks):  # type: ignore[type-var]  # sources are generators
                for block in blocks:
                    if not self._put(block):
                        return
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, block: Samples) -> bool:
        """Append a block when there is room; returns False if the queue was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames < self._limit or self._closed)
            self._blocks.append(block)
            self._frames += len(block)
            self._changed.notify_all()
            return not self._closed
