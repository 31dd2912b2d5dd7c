"""A short run of the fuzzer, and arbitrary bytes; run fuzz.py by hand for longer."""

from __future__ import annotations

import io

from fuzz import check, fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Pipe, make_stream

from switchcodec_cli.bitstream import verify

HEADER = make_stream(190)[0][:64]


def test_random_mutations() -> None:
    inputs, _ = fuzz(3.0, seed=1)
    assert inputs > 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes(data: bytes, with_header: bool) -> None:
    assert not check(HEADER + data if with_header else data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_arbitrary_packets_are_never_sound(data: bytes) -> None:
    stream = HEADER + data
    assert not verify(io.BytesIO(stream)).ok
    assert not verify(Pipe(stream)).ok
