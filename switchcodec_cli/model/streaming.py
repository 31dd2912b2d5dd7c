"""Running a network over a stream in blocks, with the result of one run over the whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class ContextStream:
    """Feeds a function with overlapping chunks of a stream, cut at fixed absolute positions.

    `function` maps (B, n, ...) to (B, n, ...) and looks at most `context` positions to either side; at
    the true ends of the stream its own padding applies. Chunks begin at multiples of `chunk`, so the
    result does not depend on how the stream was cut into blocks.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], context: int, chunk: int):
        self.function, self.context, self.chunk = function, context, chunk
        self.buffer: Tensor | None = None
        self.left = 0  # positions at the head of the buffer that are context only

    def push(self, block: Tensor, last: bool = False) -> list[Tensor]:
        """The next block (B, n, ...) in; chunks that are complete out."""
        buffer = block if self.buffer is None else torch.cat([self.buffer, block], 1)
        done = []
        while buffer.shape[1] > self.left:
            size = buffer.shape[1]
            ahead = self.left + self.chunk + self.context
            if size < ahead and not last:
                break
            end = min(self.left + self.chunk, size)
            result = self.function(buffer[:, : min(ahead, size)])
            done.append(result[:, self.left : end])
            left = min(self.context, end)
            buffer, self.left = buffer[:, end - left :], left
        self.buffer = buffer
        return done
