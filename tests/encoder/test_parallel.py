"""Calls side by side: their results come in order, and all cores are free again afterwards."""

import gc
import threading
import time

import pytest
import torch

from switchcodec_cli.encoder.search.parallel import OrderedWorkers


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_results_come_in_order_and_calls_run_side_by_side(threads):
    workers = OrderedWorkers(3)
    assert not workers.started
    meeting = threading.Barrier(3, timeout=20)  # passed only if three wait at once

    def work(number):
        meeting.wait()
        time.sleep(0.02 * (3 - number % 3))
        return number, torch.get_num_threads()

    found = []
    for number in range(9):
        workers.submit(lambda number=number: work(number))
        found += workers.results()
        assert number + 1 - len(found) <= 3  # no more than that are open
    found += workers.results(last=True)
    assert found == [(number, 1) for number in range(9)]
    assert workers.started
    workers.close()
    assert torch.get_num_threads() == threads


def test_an_error_reaches_the_caller(threads):
    workers = OrderedWorkers(2)
    workers.submit(lambda: 1)
    workers.submit(lambda: 1 // 0)
    results = workers.results(last=True)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    # whoever gives up there has all cores again as well
    del workers, results
    gc.collect()
    assert torch.get_num_threads() == threads


def test_nothing_is_changed_where_nothing_was_called(threads):
    OrderedWorkers(2).close()
    assert torch.get_num_threads() == threads
