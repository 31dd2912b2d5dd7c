"""Budget and schedule of a run."""

from dataclasses import replace

import pytest
from tiny_training import SPECTRAL

from switchcodec_cli.errors import UsageError
from switchcodec_cli.training.schedule import Budget, Schedule


def test_budget_needs_a_limit():
    with pytest.raises(UsageError, match="budget"):
        Budget(None, None)


def test_progress_is_that_of_the_limit_that_is_nearer(monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    steps, minutes, both = Budget(None, 50), Budget(2.0, None), Budget(2.0, 50)
    assert [budget.progress(5) for budget in (steps, minutes, both)] == [0.1, 0.0, 0.1]
    now = 130.0
    assert minutes.elapsed_minutes == 0.5
    assert [budget.progress(5) for budget in (steps, minutes, both)] == [0.1, 0.25, 0.25]


def test_learning_rate_warms_up_and_decays():
    schedule, settings = Schedule(SPECTRAL), SPECTRAL.optimizer
    assert schedule.learning_rate_scale(0.0, 0) == pytest.approx(1 / settings.warmup_steps)
    assert schedule.learning_rate_scale(0.3, 1000) == 1
    assert schedule.learning_rate_scale(0.75, 1000) == pytest.approx(0.5)
    assert schedule.learning_rate_scale(1.0, 1000) == settings.final_lr_ratio


def test_decay_ends_where_only_the_codebooks_are_updated():
    codebook = replace(SPECTRAL.codebook, codebook_only_share=0.2)
    schedule = Schedule(replace(SPECTRAL, codebook=codebook))
    assert schedule.learning_rate_scale(0.6, 1000) == pytest.approx(0.5)
    assert schedule.learning_rate_scale(0.8, 1000) == SPECTRAL.optimizer.final_lr_ratio
    assert [schedule.codebooks_only(progress) for progress in (0.79, 0.81)] == [False, True]


def test_parts_of_a_run():
    schedule = Schedule(SPECTRAL)
    assert [schedule.quantized(progress) for progress in (0.1, 0.2, 0.9)] == [False, True, True]
    assert not schedule.codebooks_only(0.99)
    assert [schedule.replaces_dead_codes(0.5, step) for step in (29, 30, 60)] == [False, True, True]
    assert not schedule.replaces_dead_codes(0.9, 30)
