"""Calls side by side on several cores, with results in order."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")

MOST_WORKERS = 4  # each holds some 150 MB a signal while it searches


class OrderedWorkers(Generic[Result]):
    """Threads that work on one core each: several chunks on a core each are faster than one on all of them.

    They start with the first call. From then on until they are closed the caller has one core too.
    """

    def __init__(self, count: int):
        self.count = min(count, MOST_WORKERS)
        self.pool: ThreadPoolExecutor | None = None
        self.calls: deque[Future[Result]] = deque()

    @property
    def started(self) -> bool:
        """Whether there was a call."""
        return self.pool is not None

    def call(self, function: Callable[[], Result]) -> None:
        """Have a function called."""
        if self.pool is None:
            threads = torch.get_num_threads()
            self.pool = ThreadPoolExecutor(self.count, "search", torch.set_num_threads, (1,))
            torch.set_num_threads(1)
            self.end = weakref.finalize(self, _end, self.pool, threads)
        self.calls.append(self.pool.submit(function))

    def results(self, last: bool = False) -> Iterator[Result]:
        """Results in the order of the calls, as far as they are there, all of them with `last`.

        Waits where so many calls are open that more would only take memory.
        """
        while self.calls and (last or len(self.calls) > self.count or self.calls[0].done()):
            yield self.calls.popleft().result()

    def close(self) -> None:
        """Stop the threads; the caller has all cores again."""
        if self.pool is not None:
            self.end()


def _end(pool: ThreadPoolExecutor, threads: int) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    torch.set_num_threads(threads)
