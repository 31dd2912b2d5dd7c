"""Execution of plans in several processes."""

import os
from pathlib import Path

import pytest
from parallel_worker import Loaded, Worker, exit_at_once, no_device
from test_batch_run import Recorder

from switchcodec_cli.batch import parallel
from switchcodec_cli.batch.plan import Job, Plan
from switchcodec_cli.batch.run import RunOptions, run_plan
from switchcodec_cli.errors import BadInputError, DeviceError, SwcError


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan_of(*names):
    for name in names:
        Path(name).touch()
    return Plan([Job(name, f"{name}.out") for name in names])


def test_outcomes_are_reported_in_order_of_the_plan():
    plan = plan_of("wait", "bad", "b", "unreadable", "last")
    reporter = Recorder()
    batch = run_plan(plan, Worker, reporter, processes=2)
    assert reporter.events == [
        ("succeeded", "wait"),
        ("failed", "bad", "bad.out", "bad: bad"),
        ("succeeded", "b"),
        ("failed", "unreadable", "unreadable.out", "unreadable: unreadable"),
        ("succeeded", "last"),
    ]
    assert (batch.results, batch.failed, batch.exit_code) == (["wait", "b", "last"], 2, 1)
    assert batch.elapsed > 0 and reporter.seconds == 6.0
    processes = {Path(f"{name}.out").read_text() for name in batch.results}
    assert len(processes) == 2 and str(os.getpid()) not in processes


def test_process_that_dies_costs_one_job():
    plan = plan_of("a", "killed", "b", "exits", "c", "killed too")
    reporter = Recorder()
    batch = run_plan(plan, Worker, reporter, processes=2)
    assert batch.results == ["a", "b", "c"]
    killed, exited, _ = (event for event in reporter.events if event[0] == "failed")
    assert killed[1:] == (
        "killed",
        "killed.out",
        "killed: the worker process ended unexpectedly (signal 9, perhaps for lack of memory)",
    )
    assert exited[3] == "exits: the worker process ended unexpectedly (exit code 7)"
    assert {path.name for path in Path(".").iterdir() if path.suffix} == {"a.out", "b.out", "c.out"}
    assert not list(Path(".").glob(".*"))


def test_all_workers_share_what_one_process_loaded():
    source = Loaded()
    plan = plan_of("a", "killed", "b", "exits", "c", "d")  # those that die are replaced
    run_plan(plan, source, Recorder(), processes=2, preload=source.preload)
    loaded, workers = zip(*(line.split() for line in Path("loaded").read_text().splitlines()), strict=True)
    assert len(loaded) == 4 and len(set(workers)) > 1
    (server,) = set(loaded)
    assert server not in (str(os.getpid()), *workers)
    with pytest.raises(ProcessLookupError):
        os.kill(int(server), 0)  # it has ended


def test_long_calls_are_begun_before_short_ones_that_follow_soon():
    assert list(parallel.begin_order([1, 3, 2, 9, 1, 8], 3)) == [1, 2, 0, 3, 5, 4]
    assert list(parallel.begin_order([5, 5, 5], 8)) == [0, 1, 2]


def test_existing_outputs_and_deletion():
    plan = plan_of("same", "changed", "same new")
    for name in ("same.out", "changed.out"):
        Path(name).touch()
    reporter = Recorder()
    run_plan(plan, Worker, reporter, RunOptions(delete_input=True), processes=2)
    skipped, deleted, failed, *new = reporter.events
    assert (skipped, deleted) == (("skipped", "same"), ("deleted", "same"))
    assert failed[1] == "changed" and "exists already and is different" in failed[3]
    assert new == [("succeeded", "same new"), ("deleted", "same new")]
    assert [path.name for path in Path(".").iterdir() if not path.suffix] == ["changed"]


def test_error_of_another_process_has_its_traceback():
    errors = []
    reporter = Recorder()
    reporter.failed = lambda source, output, error: errors.append(error)
    run_plan(plan_of("bad", "bad too"), Worker, reporter, processes=2)
    assert [type(error) for error in errors] == [BadInputError, BadInputError]
    assert 'raise BadInputError(f"{job.source}: bad")' in str(errors[0].__cause__)


def test_worker_that_cannot_be_created_ends_the_batch():
    with pytest.raises(DeviceError, match="no such device"):
        run_plan(plan_of("a", "b"), no_device, Recorder(), processes=2)


def test_processes_that_cannot_start_end_the_batch(monkeypatch):
    monkeypatch.setattr(parallel, "_serve_forks", exit_at_once)
    with pytest.raises(SwcError, match=r"^worker processes cannot be started \(exit code 3\)$"):
        run_plan(plan_of("a", "b"), Worker, Recorder(), processes=2)


def test_single_job_needs_no_process():
    run_plan(plan_of("a"), Worker, Recorder(), processes=2)
    assert Path("a.out").read_text() == str(os.getpid())


def test_jobs_with_standard_streams_are_executed_in_this_process():
    plan = Plan([Job("-", "-.out"), *plan_of("a", "b").jobs, Job("-", "last.out")])
    reporter = Recorder()
    run_plan(plan, Worker, reporter, processes=2)
    assert [source for _, source in reporter.events] == ["-", "a", "b", "-"]
    here = [Path(name).read_text() == str(os.getpid()) for name in ("-.out", "a.out", "b.out", "last.out")]
    assert here == [True, False, False, True]


def test_exception_of_the_reporter_stops_the_processes():
    class ClosedPipe(Recorder):
        def succeeded(self, result):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_plan(plan_of("a", "wait"), Worker, ClosedPipe(), processes=2)  # nothing ends the second job
    assert not list(Path(".").glob(".*"))
