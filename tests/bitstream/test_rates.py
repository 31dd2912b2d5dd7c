"""From experts to kbps and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import SHIPPED

from switchcodec_cli.bitstream import (
    StreamParameters,
    all_splits,
    attainable_rates,
    format_kbps,
    largest_experts,
    nominal_kbps,
    real_kbps,
    split_experts,
    total_kbps,
)
from switchcodec_cli.bitstream.header import keeps_constant_rate
from switchcodec_cli.errors import UsageError

CASCADE = StreamParameters(44100, 1024, 43, 8, 1024, 2)


@pytest.mark.parametrize("parameters", [SHIPPED, CASCADE])
def test_real_rates_stay_under_the_nominal_ones(parameters: StreamParameters) -> None:
    rates = attainable_rates(parameters, 1)
    labels = ["0.89", "1.78", "2.67", "3.56", "4.44", "5.33", "6.22", "7.11", "8.00"]
    assert [f"{rate.nominal_kbps:.2f}" for rate in rates] == labels
    assert all(rate.real_kbps < rate.nominal_kbps for rate in rates)
    assert rates[2].real_kbps == pytest.approx(326 * 8 * 44100 / 44032 / 1000)
    assert [largest_experts(float(label), parameters, 1) for label in labels] == list(range(9))
    for rate in attainable_rates(parameters, 2):
        assert rate.real_kbps < rate.nominal_kbps


@given(st.floats(0.1, 40), st.sampled_from([1, 2]))
def test_largest_experts_keeps_its_promise(kbps: float, signals: int) -> None:
    rates = [rate.real_kbps for rate in attainable_rates(SHIPPED, signals)]
    if kbps < rates[0]:
        with pytest.raises(UsageError, match="attainable"):
            largest_experts(kbps, SHIPPED, signals)
        return
    total = largest_experts(kbps, SHIPPED, signals)
    for codes in all_splits(total, SHIPPED, signals):
        assert real_kbps(SHIPPED, codes) <= kbps * (1 + 1e-9)
    assert total == 8 * signals or total_kbps(SHIPPED, total + 1, signals) > kbps


@pytest.mark.parametrize("signals", [1, 2])
def test_asking_for_a_listed_rate_grants_it(signals: int) -> None:
    with pytest.raises(UsageError) as caught:
        largest_experts(0.3, SHIPPED, signals)
    listed = re.findall(r"\d+\.\d\d", str(caught.value))
    assert [largest_experts(float(rate), SHIPPED, signals) for rate in listed] == list(range(8 * signals + 1))
    assert listed == [format_kbps(rate.real_kbps) for rate in attainable_rates(SHIPPED, signals)]


@pytest.mark.parametrize("kbps", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates(kbps: float) -> None:
    with pytest.raises(UsageError, match="positive"):
        largest_experts(kbps, SHIPPED, 1)


def test_splits() -> None:
    assert split_experts(5, SHIPPED, 2) == (3, 2)
    assert split_experts(16, SHIPPED, 2) == (8, 8)
    assert all_splits(15, SHIPPED, 2) == ((7, 8), (8, 7))
    assert all_splits(2, SHIPPED, 2) == ((0, 2), (1, 1), (2, 0))
    for total, signals in [(-1, 1), (9, 1), (17, 2)]:
        with pytest.raises(UsageError, match="experts"):
            all_splits(total, SHIPPED, signals)


def test_nominal_label_is_in_proportion_to_the_bits() -> None:
    assert nominal_kbps(SHIPPED, 9) == pytest.approx(8)
    assert nominal_kbps(StreamParameters(44100, 512, 86, 8, 2), 9) == pytest.approx(0.8)


def test_the_free_shared_quantizer_buys_an_expert_where_the_packet_hardly_grows() -> None:
    copy, silent, panned = SHIPPED.copy_code, SHIPPED.silent_code, SHIPPED.intensity_code
    for total in range(17):
        largest = max(SHIPPED.packet_bytes(codes) for codes in all_splits(total, SHIPPED, 2))
        for codes in [(k, other) for k in range(9) for other in (copy, silent, panned)]:
            allowed = keeps_constant_rate(SHIPPED, total, codes)
            assert allowed == keeps_constant_rate(SHIPPED, total, codes[::-1]) or codes[1] == copy
            if codes[0] <= total:
                assert allowed
            elif allowed:
                assert codes[0] == total + 1
                assert SHIPPED.packet_bytes(codes) <= 1.02 * largest
                # so that the nominal label stays above
                assert real_kbps(SHIPPED, codes) <= nominal_kbps(SHIPPED, total + 2)
    assert keeps_constant_rate(SHIPPED, 4, (5, copy))  # 4 + 3 bits of rank less than two masks of two
    assert keeps_constant_rate(SHIPPED, 4, (silent, 5))
    assert not keeps_constant_rate(SHIPPED, 4, (6, copy))
    assert keeps_constant_rate(SHIPPED, 1, (2, panned)) and keeps_constant_rate(SHIPPED, 1, (panned, 2))
    assert not keeps_constant_rate(SHIPPED, 0, (1, panned))  # 40 bits are too much for so small a packet
    assert not keeps_constant_rate(SHIPPED, 2, (3,))
    assert keeps_constant_rate(SHIPPED, None, (8, 8))
