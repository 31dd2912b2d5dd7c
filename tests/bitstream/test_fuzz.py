"""A short run of the fuzzer; run fuzz.py by hand for a long one."""

from __future__ import annotations

import io

from fuzz import check, fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Pipe, make_stream

from switchcodec_cli.bitstream import verify

START = make_stream(190)[0][:64]


def test_random_mutations() -> None:
    inputs, _ = fuzz(3.0, seed=1)
    assert inputs > 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes(data: bytes, headed: bool) -> None:
    assert not check(START + data if headed else data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_arbitrary_packets_are_never_sound(data: bytes) -> None:
    whole = START + data
    assert not verify(io.BytesIO(whole)).ok
    assert not verify(Pipe(whole)).ok
