"""The default number of processes."""

import os

import pytest

from switchcodec_cli.batch.plan import Job
from switchcodec_cli.batch.processes import (
    DECODING_COST,
    ENCODING_COSTS,
    default_processes,
    estimated_seconds,
    usable_cores,
)


@pytest.fixture
def jobs(tmp_path):
    """Jobs with WAV files of given lengths in seconds."""

    def jobs(*lengths):
        found = []
        for number, length in enumerate(lengths):
            path = tmp_path / f"{number}.wav"
            path.touch()
            os.truncate(path, int(88_200 * length))
            found.append(Job(str(path), f"{number}.swc"))
        return found

    return jobs


@pytest.mark.parametrize("cost", [*ENCODING_COSTS, DECODING_COST])
def test_many_short_files_use_all_cores(jobs, cost):
    assert default_processes(jobs(*[4.0] * 60), cost, 2) == 2
    assert default_processes(jobs(*[4.0] * 60), cost, 1) == 1


def test_little_work_is_not_worth_the_start_of_processes(jobs):
    assert default_processes(jobs(1.0, 1.0, 1.0), ENCODING_COSTS[0], 8) == 1
    assert default_processes(jobs(600.0), ENCODING_COSTS[3], 8) == 1
    assert default_processes([Job("-", "-")] * 2, ENCODING_COSTS[3], 8) == 1


def test_one_long_file_among_short_ones_gets_the_threads(jobs):
    assert default_processes(jobs(3600.0, 4.0, 4.0), ENCODING_COSTS[2], 2) == 1
    assert default_processes(jobs(*[60.0] * 20), ENCODING_COSTS[0], 2) == 2


def test_lengths_are_estimated_by_format(jobs, tmp_path):
    (job,) = jobs(10.0)
    assert estimated_seconds(job.source) == pytest.approx(10, rel=0.01)
    (tmp_path / "a.swc").write_bytes(bytes(3300))
    assert estimated_seconds(str(tmp_path / "a.swc")) == pytest.approx(10)
    assert estimated_seconds("missing.mp3") == 0


def test_threads_of_the_environment_limit_the_processes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert usable_cores() == len(os.sched_getaffinity(0))
