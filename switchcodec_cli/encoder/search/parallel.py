"""Calls in parallel threads with one core each, with results in order."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")
Item = TypeVar("Item")

MAX_WORKERS = 4  # bounds the memory: a worker holds some 150 MB per signal while it searches


class OrderedWorkers(Generic[Result]):
    """A pool of threads that use one core each.

    The threads start with the first call. torch's number of threads belongs to each thread of Python, so the
    caller's stays as it is; `limited` lowers it while the caller computes beside the workers.

    Args:
        count: Number of threads.
    """

    def __init__(self, count: int) -> None:
        self.count = min(count, MAX_WORKERS)
        self._pool: ThreadPoolExecutor | None = None
        self._calls: deque[Future[Result]] = deque()

    @property
    def started(self) -> bool:
        """Whether there was a call."""
        return self._pool is not None

    def submit(self, function: Callable[[], Result]) -> None:
        """Call a function in one of the threads."""
        if self._pool is None:
            self._pool = _start(self.count)
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        self._calls.append(self._pool.submit(function))

    def results(self, last: bool = False) -> Iterator[Result]:
        """Yield results in the order of the calls, as far as they are available; all of them with `last`.

        Waits while more calls are open than there are threads, to bound the memory.
        """
        while self._calls and (last or len(self._calls) > self.count or self._calls[0].done()):
            yield self._calls.popleft().result()

    def limited(self, items: Iterator[Item]) -> Iterator[Item]:
        """Evaluate an iterator with one thread of torch for each step that begins after the first call."""
        while True:
            with _torch_threads(1 if self.started else torch.get_num_threads()):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _start(count: int) -> ThreadPoolExecutor:
    """Start a pool of threads that use one thread of torch each."""
    pool = ThreadPoolExecutor(count, "search", _use_one_core)
    # other threads of the process start with the number that was set last in any thread; once all workers
    # have theirs, set it back
    all_started = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(all_started.wait)
    all_started.wait()
    torch.set_num_threads(torch.get_num_threads())
    return pool


def _use_one_core() -> None:
    torch.get_num_threads()  # first use initialises the thread's number, which would undo the next line
    torch.set_num_threads(1)


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads in this thread of Python."""
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
