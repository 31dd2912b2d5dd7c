"""Running a network over a stream in chunks, with the result of one run over the whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class ContextStream:
    """Applies a function to a stream in overlapping chunks.

    Chunks begin at multiples of `chunk` positions, so the result does not depend on how the stream was cut
    into blocks. At both ends of the stream the function's own padding applies.

    Args:
        function: Maps (B, n, ...) to (B, n, ...); an output depends on inputs at most `context` positions
            away.
        context: Positions to either side that can influence an output.
        chunk: Positions per chunk, context excluded.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], context: int, chunk: int) -> None:
        self.function, self.context, self.chunk = function, context, chunk
        self._buffer: Tensor | None = None
        self._left = 0  # positions at the head of the buffer that are context only

    def push(self, block: Tensor, last: bool = False) -> list[Tensor]:
        """Add the next block (B, n, ...) and return the outputs of all chunks that are complete."""
        buffer = block if self._buffer is None else torch.cat([self._buffer, block], 1)
        done = []
        while buffer.shape[1] > self._left:
            size = buffer.shape[1]
            ahead = self._left + self.chunk + self.context
            if size < ahead and not last:
                break
            end = min(self._left + self.chunk, size)
            result = self.function(buffer[:, : min(ahead, size)])
            done.append(result[:, self._left : end])
            left = min(self.context, end)
            buffer, self._left = buffer[:, end - left :], left
        self._buffer = buffer
        return done
