#!/usr/bin/env python3
"""Simulate the encoding of a data set in object storage by 1, 100 and 10,000 workers.

    python examples/cluster/simulate.py                  # the tables of docs/scale.md
    python examples/cluster/simulate.py --effort 2 --hours 10000 --seconds 8

A worker is a core. It fetches a recording, encodes it and stores the stream, one after the other, or fetches
the next recording meanwhile (--prefetch). Work is divided by shards (`swc encode --shard`) or by a queue from
which workers take batches of files, as with Ray. Simulated are lengths of files, speeds of cores, latencies
of requests, the bandwidth and the rate of requests of the storage, and workers that fail and are started
again. Bandwidth is shared equally to the end, although it is free for the last workers.

The time that a worker needs for n files is drawn as a whole, from the gamma distribution with the mean and
the variance of a sum of n files, so that millions of hours are simulated in seconds.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from switchcodec_cli.batch.processes import ENCODING_COSTS

Times = npt.NDArray[np.float64]  # of each worker, in seconds

WORKERS = (1, 100, 10_000)
SOURCE_BYTES = 52_000.0  # of a second of audio: speech at 44.1 kHz as FLAC
CONNECTION = 80e6  # bytes per second of one worker, at most
STORAGE = 12.5e9  # bytes per second of all workers: 100 Gbit/s
REQUESTS = 5500.0  # per second on one prefix of the bucket
REQUESTS_PER_FILE = 2.0  # read the recording, store the stream
LATENCY = 0.05  # of a request in seconds, in the mean
LATENCY_SPREAD = 0.6  # deviation of its logarithm
SPEED_SPREAD = 0.08  # deviation of the logarithm of a core's speed, below the usual one
SLOW_SHARE, SLOW_FACTOR = 0.01, 0.5  # some cores are shared with others
START = 2.0  # seconds to load the model
FAILURE_HOURS = 1000.0  # between failures of a worker
RESTART = 60.0  # seconds until a new worker begins
BATCH = 32  # files that a worker takes from the queue at once
LOAD = 0.8  # of the capacity, where files arrive over time


@dataclass(frozen=True)
class DataSet:
    """Recordings of lognormal lengths."""

    hours: float
    mean_seconds: float
    spread: float = 1.0  # deviation of the logarithm of the length

    @property
    def files(self) -> int:
        """Number of recordings."""
        return round(3600 * self.hours / self.mean_seconds)

    @property
    def variance(self) -> float:
        """Of the length, in square seconds."""
        return float(np.expm1(self.spread**2)) * self.mean_seconds**2


@dataclass(frozen=True)
class FileTime:
    """Seconds that a worker spends on a file: a part for each file, and a part for each second of audio."""

    computing_per_file: float
    computing_per_second: float
    waiting_per_file: float
    """For requests, and for their rate."""
    waiting_per_second: float
    """For bytes."""
    limit: str
    """What limits the throughput of all workers."""

    def mean(self, data: DataSet) -> float:
        """Of all files."""
        per_second = self.computing_per_second + self.waiting_per_second
        return self.computing_per_file + self.waiting_per_file + per_second * data.mean_seconds

    def computing(self, data: DataSet) -> float:
        """The part of the mean that is not waiting."""
        return self.computing_per_file + self.computing_per_second * data.mean_seconds

    def variance(self, data: DataSet) -> float:
        """Of one file."""
        latency = LATENCY**2 * REQUESTS_PER_FILE * float(np.expm1(LATENCY_SPREAD**2))
        return (self.computing_per_second + self.waiting_per_second) ** 2 * data.variance + latency


def file_time(data: DataSet, effort: int, workers: int, prefetch: bool) -> FileTime:
    """The time for a file while all workers share the storage."""
    cost = ENCODING_COSTS[effort]
    computing = cost.seconds(data.mean_seconds)
    latency = REQUESTS_PER_FILE * LATENCY
    transfer = SOURCE_BYTES * data.mean_seconds / CONNECTION
    alone = max(computing, latency + transfer) if prefetch else computing + latency + transfer
    least = {
        "computing" if 2 * computing > alone else "latency": alone,
        "bandwidth": workers * SOURCE_BYTES * data.mean_seconds / STORAGE,
        "requests": workers * REQUESTS_PER_FILE / REQUESTS,
    }
    limit = max(least, key=lambda name: least[name])
    waiting = least[limit] - computing
    by_bytes = waiting * transfer / (latency + transfer) if limit in ("computing", "latency") else waiting
    if limit == "requests":
        by_bytes = 0.0
    return FileTime(cost.per_file, cost.per_second, waiting - by_bytes, by_bytes / data.mean_seconds, limit)


@dataclass(frozen=True)
class Outcome:
    """How a data set was encoded."""

    hours: float
    """Until the last worker is done."""
    efficiency: float
    """Computing that was needed, divided by cores times hours."""
    tail: float
    """Hours divided by those after which half of the workers were done."""


def sums(random: np.random.Generator, counts: npt.NDArray[np.int64], time: FileTime, data: DataSet) -> Times:
    """Seconds of each worker for its number of files."""
    mean, variance = time.mean(data), time.variance(data)
    shape = np.maximum(counts, 1e-9) * mean**2 / variance
    return np.where(counts > 0, random.gamma(shape, variance / mean), 0.0)


def slowness(random: np.random.Generator, workers: int) -> Times:
    """Time of each core relative to the usual one."""
    factors = np.exp(np.abs(random.normal(0.0, SPEED_SPREAD, workers)))
    return np.where(random.random(workers) < SLOW_SHARE, factors / SLOW_FACTOR, factors)


def slowed(time: FileTime, data: DataSet, factors: Times) -> Times:
    """Mean time for a file of each core relative to the usual one; waiting does not depend on the core."""
    share = time.computing(data) / time.mean(data)
    return 1 + share * (factors - 1)


def failures(random: np.random.Generator, times: Times, files: Times, check: bool) -> Times:
    """Seconds that each worker loses by failures.

    Args:
        random: source of the failures.
        times: of the workers without failures.
        files: of each worker.
        check: whether a worker that starts again looks at every output that exists, with a request for each.
    """
    count = random.poisson(times / (3600 * FAILURE_HOURS))
    lost = RESTART + START + 0.5 * times / np.maximum(files, 1)
    return count * (lost + (0.5 * files * LATENCY if check else 0.0))


def with_shards(random: np.random.Generator, data: DataSet, time: FileTime, workers: int) -> Outcome:
    """Every worker has the files of its shard."""
    counts = random.multinomial(data.files, np.full(workers, 1 / workers))
    times = sums(random, counts, time, data) * slowed(time, data, slowness(random, workers))
    times += START + failures(random, times, counts.astype(float), check=True)
    return outcome(data, time, times, workers)


def with_queue(random: np.random.Generator, data: DataSet, time: FileTime, workers: int) -> Outcome:
    """Workers take batches of files while there are any."""
    factors = slowed(time, data, slowness(random, workers))
    batch = min(BATCH, max(1, data.files // (4 * workers)))
    last = sums(random, np.full(workers, batch), time, data) * factors
    # fast workers take more; all are busy until the queue is empty, and then end their last batch
    total = data.files * time.mean(data)
    empty = (total - (last * random.random(workers) / factors).sum()) / (1 / factors).sum()
    times = START + max(empty, 0.0) + last * random.random(workers)
    lost = failures(random, times, np.full(workers, data.files / workers), check=False)
    times += lost.sum() / workers  # others take over
    return outcome(data, time, times, workers)


def outcome(data: DataSet, time: FileTime, times: Times, workers: int) -> Outcome:
    """Summarise the times of the workers."""
    longest = float(times.max())
    needed = data.files * time.computing(data)
    return Outcome(longest / 3600, needed / (workers * longest), longest / float(np.median(times)))


def delays_of_shards(random: np.random.Generator, data: DataSet, time: FileTime, workers: int) -> Times:
    """Seconds from the arrival of files until they are encoded, if each belongs to the shard of a worker."""
    per_worker = max(200, 20_000 // workers)
    mean = time.mean(data)
    factors = slowed(time, data, slowness(random, workers))
    free, now, delays = np.zeros(workers), np.zeros(workers), []
    for _ in range(per_worker):
        now += random.exponential(mean / LOAD, workers)
        service = sums(random, np.ones(workers, np.int64), time, data) * factors
        free = np.maximum(free, now) + service
        delays.append(free - now)
    return np.concatenate(delays)


def delays_of_queue(random: np.random.Generator, data: DataSet, time: FileTime, workers: int) -> Times:
    """Seconds from the arrival of files until they are encoded, if the next free worker takes each."""
    count = max(20_000, 10 * workers)
    arrivals = np.cumsum(random.exponential(time.mean(data) / LOAD / workers, count))
    services = sums(random, np.ones(count, np.int64), time, data)
    factors = slowed(time, data, slowness(random, workers))
    free = [(0.0, worker) for worker in range(workers)]
    delays = np.empty(count)
    for number, (arrival, service) in enumerate(zip(arrivals, services, strict=True)):
        moment, worker = heapq.heappop(free)
        done = max(moment, arrival) + service * factors[worker]
        heapq.heappush(free, (done, worker))
        delays[number] = done - arrival
    return delays


def main() -> None:
    """Simulate, and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--hours", type=float, default=1e6, help="of audio; default: %(default)g")
    parser.add_argument("--seconds", type=float, default=300.0, help="of a file; default: %(default)g")
    parser.add_argument("--effort", type=int, default=1, choices=range(len(ENCODING_COSTS)))
    parser.add_argument("--prefetch", action="store_true", help="fetch the next recording while encoding")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = DataSet(options.hours, options.seconds)
    title = (
        f"{data.hours:,.0f} hours in {data.files:,} files of {data.mean_seconds:g} s, effort {options.effort}"
    )
    print(title + (", prefetching" if options.prefetch else ""))
    print(f"{'workers':>8} {'division':<9} {'hours':>9} {'efficiency':>11} {'tail':>6}  limit")
    for workers in WORKERS:
        time = file_time(data, options.effort, workers, options.prefetch)
        for name, simulate in (("shards", with_shards), ("queue", with_queue)):
            random = np.random.default_rng([options.seed, workers])
            result = simulate(random, data, time, workers)
            print(
                f"{workers:>8,} {name:<9} {result.hours:>9,.1f} {result.efficiency:>11.2f} "
                f"{result.tail:>6.2f}  {time.limit}"
            )
    print(f"\nFiles arrive at {LOAD:.0%} of the capacity: seconds until they are encoded")
    print(f"{'workers':>8} {'division':<9} {'median':>9} {'99 %':>11}")
    for workers in WORKERS:
        time = file_time(data, options.effort, workers, options.prefetch)
        for name, wait in (("shards", delays_of_shards), ("queue", delays_of_queue)):
            delays = wait(np.random.default_rng([options.seed, workers]), data, time, workers)
            print(f"{workers:>8,} {name:<9} {np.median(delays):>9.1f} {np.quantile(delays, 0.99):>11,.1f}")


if __name__ == "__main__":
    main()
