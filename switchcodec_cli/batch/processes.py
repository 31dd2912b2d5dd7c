"""How many processes execute the jobs of a plan fastest, unless the user says it. Does not import torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ..atomic_io import PIPE
from .files import file_size
from .plan import Job

_START_SECONDS = 0.3  # to start the fork server and its workers, beyond the start of a model
_SEARCH_THREADS = 4  # that search chunks of one file at the same time, see `encoder.search.parallel`
_CHUNK_SECONDS = 8.0  # of audio

# Bytes of a second of audio by suffix, roughly; other suffixes are compressed like MP3.
_BYTES_PER_SECOND = {
    ".wav": 88_200,
    ".wave": 88_200,
    ".aif": 88_200,
    ".aiff": 88_200,
    ".caf": 88_200,
    ".au": 88_200,
    ".raw": 88_200,
    ".pcm": 88_200,
    ".flac": 45_000,
    ".swc": 330,
}
_COMPRESSED_BYTES_PER_SECOND = 16_000


@dataclass(frozen=True)
class Cost:
    """Processor time of a job with one thread, with the default weights on a server's core."""

    per_file: float
    """In seconds."""
    per_second: float
    """In seconds for each second of audio."""
    parallel_share: float
    """Share of the time that the threads of one process divide among them."""
    searches_chunks: bool = False
    """Whether the chunks of a file are searched at the same time, which occupies several cores."""

    def seconds(self, length: float) -> float:
        """With one thread; `length` is that of the audio in seconds."""
        return self.per_file + self.per_second * length

    def seconds_with_threads(self, length: float, cores: int) -> float:
        """With the threads of one process, by Amdahl's law."""
        share, threads = self.parallel_share, cores
        if self.searches_chunks and length > 2 * _CHUNK_SECONDS:
            share, threads = 0.95, min(cores, _SEARCH_THREADS)
        return self.seconds(length) * (1 - share + share / threads)


ENCODING_COSTS = (
    Cost(0.01, 0.010, 0.5),
    Cost(0.016, 0.019, 0.5),
    Cost(0.11, 0.17, 0.7, searches_chunks=True),
    Cost(0.1, 0.5, 0.7, searches_chunks=True),
)
"""By effort."""
DECODING_COST = Cost(0.005, 0.0175, 0.5)
TOKENS_COST = Cost(0.005, 0.003, 0.0)
"""Of streams, most of it for modelled indices."""


def default_processes(jobs: Sequence[Job], cost: Cost, cores: int) -> int:
    """The number of processes: one for each core if they are expected to be faster than threads, else 1.

    Args:
        jobs: of a plan; the lengths of their sources are estimated from their sizes.
        cost: of each.
        cores: that may be used.
    """
    lengths = [estimated_seconds(job.source) for job in jobs if PIPE not in (job.source, job.output)]
    processes = min(cores, len(lengths))
    if processes < 2:
        return 1
    alone = [cost.seconds(length) for length in lengths]
    with_processes = _START_SECONDS + max(max(alone), sum(alone) / processes)
    with_threads = sum(cost.seconds_with_threads(length, cores) for length in lengths)
    return processes if with_processes < with_threads else 1


def estimated_seconds(path: str) -> float:
    """Length of the audio of a file in seconds, roughly, from its size and suffix."""
    suffix = os.path.splitext(path)[1].lower()
    return (file_size(path) or 0) / _BYTES_PER_SECOND.get(suffix, _COMPRESSED_BYTES_PER_SECOND)


def usable_cores() -> int:
    """Number of cores that this process may use; `OMP_NUM_THREADS` takes precedence, as in torch."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads) > 0:
        return int(threads)
    return len(os.sched_getaffinity(0))


def may_use_gpu(device: str) -> bool:
    """Whether a device such as "auto" may be a GPU, which processes would have to share."""
    return device.startswith("cuda") or (device == "auto" and os.path.exists("/dev/nvidiactl"))
