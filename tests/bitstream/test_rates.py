"""Rates of numbers of experts, and the rule of a constant rate."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import LARGE

from switchcodec_cli.bitstream import (
    BlockKind,
    BlockMode,
    StreamParameters,
    all_splits,
    attainable_rates,
    coded_modes,
    format_kbps,
    keeps_constant_rate,
    largest_experts,
    nominal_kbps,
    real_kbps,
    split_experts,
    total_kbps,
)
from switchcodec_cli.errors import UsageError

TWO_CODEBOOKS = StreamParameters(44100, 1024, 43, 8, 1024, 2)
SILENT, COPY, INTENSITY = map(BlockMode, (BlockKind.SILENT, BlockKind.COPY, BlockKind.INTENSITY))


@pytest.mark.parametrize("parameters", [LARGE, TWO_CODEBOOKS])
def test_real_rates_are_below_nominal_rates(parameters: StreamParameters) -> None:
    rates = attainable_rates(parameters, 1)
    labels = ["0.89", "1.78", "2.67", "3.56", "4.44", "5.33", "6.22", "7.11", "8.00"]
    assert [rate.label for rate in rates] == [f"{rate.nominal_kbps:.2f}" for rate in rates] == labels
    assert [rate.nominal_kbps for rate in rates] == list(map(float, labels))  # not 2.6666666666666665
    assert all(rate.real_kbps < rate.nominal_kbps for rate in rates)
    assert rates[2].real_kbps == pytest.approx(326 * 8 * 44100 / 44032 / 1000)
    assert [largest_experts(float(label), parameters, 1) for label in labels] == list(range(9))
    for rate in attainable_rates(parameters, 2):
        assert rate.real_kbps < rate.nominal_kbps


@given(st.floats(0.1, 40), st.sampled_from([1, 2]))
def test_largest_experts_stays_within_the_rate(kbps: float, signals: int) -> None:
    rates = [rate.real_kbps for rate in attainable_rates(LARGE, signals)]
    if kbps < rates[0]:
        with pytest.raises(UsageError, match="attainable"):
            largest_experts(kbps, LARGE, signals)
        return
    total = largest_experts(kbps, LARGE, signals)
    for split in all_splits(total, LARGE, signals):
        assert real_kbps(LARGE, coded_modes(split)) <= kbps * (1 + 1e-9)
    assert total == 8 * signals or total_kbps(LARGE, total + 1, signals) > kbps


@pytest.mark.parametrize("signals", [1, 2])
def test_listed_rates_are_attainable(signals: int) -> None:
    with pytest.raises(UsageError) as caught:
        largest_experts(0.3, LARGE, signals)
    listed = re.findall(r"\d+\.\d\d", str(caught.value))
    assert [largest_experts(float(rate), LARGE, signals) for rate in listed] == list(range(8 * signals + 1))
    assert listed == [rate.label for rate in attainable_rates(LARGE, signals)]
    assert listed[:3] == (["0.89", "1.78", "2.67"] if signals == 1 else ["1.78", "2.67", "3.56"])


def test_rates_above_their_nominal_rate_are_listed_as_they_are() -> None:
    """In windows of few frames, side information is a large part."""
    parameters = StreamParameters(44100, 512, 2, 8, 1024)
    for rate in attainable_rates(parameters, 1):
        assert rate.real_kbps > rate.nominal_kbps
        assert rate.label == format_kbps(rate.real_kbps)
        assert largest_experts(float(rate.label), parameters, 1) == rate.experts


@pytest.mark.parametrize("kbps", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_rates(kbps: float) -> None:
    with pytest.raises(UsageError, match="positive"):
        largest_experts(kbps, LARGE, 1)


def test_splits() -> None:
    assert split_experts(5, LARGE, 2) == (3, 2)
    assert split_experts(16, LARGE, 2) == (8, 8)
    assert all_splits(15, LARGE, 2) == ((7, 8), (8, 7))
    assert all_splits(2, LARGE, 2) == ((0, 2), (1, 1), (2, 0))
    for total, signals in [(-1, 1), (9, 1), (17, 2)]:
        with pytest.raises(UsageError, match="experts"):
            all_splits(total, LARGE, signals)


def test_nominal_rate_is_proportional_to_the_bits() -> None:
    assert nominal_kbps(LARGE, 9) == pytest.approx(8)
    assert nominal_kbps(StreamParameters(44100, 512, 86, 8, 2), 9) == pytest.approx(0.8)


def test_one_more_expert_is_allowed_if_the_packet_hardly_grows() -> None:
    for total in range(17):
        largest = max(LARGE.packet_bytes(coded_modes(split)) for split in all_splits(total, LARGE, 2))
        for experts in range(9):
            for other in (COPY, SILENT, INTENSITY):
                modes = (BlockMode(BlockKind.CODED, experts), other)
                allowed = keeps_constant_rate(LARGE, total, modes)
                assert allowed == keeps_constant_rate(LARGE, total, modes[::-1]) or other == COPY
                if experts <= total:
                    assert allowed
                elif allowed:
                    assert experts == total + 1
                    assert LARGE.packet_bytes(modes) <= 1.02 * largest
                    # the real rate stays below the nominal label
                    assert real_kbps(LARGE, modes) <= nominal_kbps(LARGE, total + 2)


@pytest.mark.parametrize(
    ("total", "modes", "allowed"),
    [
        (4, (*coded_modes([5]), COPY), True),  # 4 + 3 bits of rank less than two masks of two
        (4, (SILENT, *coded_modes([5])), True),
        (4, (*coded_modes([6]), COPY), False),
        (1, (*coded_modes([2]), INTENSITY), True),
        (1, (INTENSITY, *coded_modes([2])), True),
        (0, (*coded_modes([1]), INTENSITY), False),  # 40 bits are too much for so small a packet
        (2, coded_modes([3]), False),
        (None, coded_modes([8, 8]), True),
    ],
)
def test_constant_rate(total: int | None, modes: tuple[BlockMode, ...], allowed: bool) -> None:
    assert keeps_constant_rate(LARGE, total, modes) == allowed
