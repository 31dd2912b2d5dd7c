"""The rANS coder over lanes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchcodec_cli.bitstream.rans import LOWEST_STATE, TOTAL, RansDecoder, RansEncoder


def random_symbols(lanes: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and frequencies of symbols, from almost certain to almost impossible. # (count, lanes) each"""
    random = np.random.default_rng(seed)
    frequencies = np.clip(2 ** random.uniform(0, 16, (count, lanes)), 1, TOTAL - 1).astype(np.int64)
    starts = (random.random((count, lanes)) * (TOTAL - frequencies + 1)).astype(np.int64)
    return starts, frequencies


def encode(starts: np.ndarray, frequencies: np.ndarray, counts: np.ndarray) -> list[bytes]:
    """Lane l codes its first counts[l] symbols, and the tail 5."""
    encoder = RansEncoder(np.full(len(counts), 5), len(starts))
    for step in range(len(starts) - 1, -1, -1):
        lanes = np.flatnonzero(counts > step)
        encoder.push(lanes, starts[step, lanes], frequencies[step, lanes])
    return encoder.finish()


def decode(payloads: list[bytes], starts: np.ndarray, frequencies: np.ndarray, counts: np.ndarray) -> dict:
    """Decodes symbols of known intervals; returns the damage, and checks slots of lanes without damage."""
    decoder = RansDecoder(payloads)
    wrong = set()
    for step in range(len(starts)):
        lanes = np.flatnonzero(counts > step)
        offsets = decoder.slots(lanes) - starts[step, lanes]
        inside = (offsets >= 0) & (offsets < frequencies[step, lanes])
        wrong |= set(lanes[~inside].tolist())
        decoder.advance(lanes, np.where(inside, offsets, 0), frequencies[step, lanes])
    damage = decoder.finish()
    assert wrong or damage or (decoder.tails() == 5).all()
    return damage if not wrong else {**dict.fromkeys(wrong, "wrong symbol"), **damage}


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(0, 60), st.integers(0, 2**32))
def test_round_trip(lanes: int, count: int, seed: int) -> None:
    starts, frequencies = random_symbols(lanes, count, seed)
    counts = np.random.default_rng(seed).integers(0, count + 1, lanes)
    assert decode(encode(starts, frequencies, counts), starts, frequencies, counts) == {}


def test_bytes_over_ideal() -> None:
    starts, frequencies = random_symbols(50, 300, 0)
    payloads = encode(starts, frequencies, np.full(50, 300))
    ideal = (16 - np.log2(frequencies)).sum(0) / 8
    excess = np.array([len(p) for p in payloads]) - ideal
    assert excess.min() > 0
    assert excess.max() < 4


def test_lane_does_not_depend_on_other_lanes() -> None:
    starts, frequencies = random_symbols(7, 40, 1)
    together = encode(starts, frequencies, np.full(7, 40))
    for lane in range(7):
        assert encode(starts[:, [lane]], frequencies[:, [lane]], np.array([40])) == [together[lane]]


def test_no_symbols() -> None:
    (payload,) = RansEncoder(np.array([0x1234]), 0).finish()
    assert payload == (LOWEST_STATE + 0x1234).to_bytes(3, "little")
    decoder = RansDecoder([payload])
    assert decoder.finish() == {}
    assert decoder.tails() == [0x1234]


@pytest.mark.parametrize("change", ["cut", "cut two", "append", "append two", "empty", "one byte"])
def test_wrong_length_names_the_lane(change: str) -> None:
    starts, frequencies = random_symbols(3, 40, 2)
    counts = np.full(3, 40)
    payloads = encode(starts, frequencies, counts)
    payloads[1] = {
        "cut": payloads[1][:-1],
        "cut two": payloads[1][:-2],
        "append": payloads[1] + b"\0",
        "append two": payloads[1] + b"\0\0",
        "empty": b"",
        "one byte": b"\x07",
    }[change]
    assert list(decode(payloads, starts, frequencies, counts)) == [1]


def test_messages() -> None:
    decoder = RansDecoder([b"", b"\0\0\0", b"\0\0\1", b"\0\0\1\1\1", b"\0\0\2", b"\1\0\0\0"])
    assert decoder.finish() == {
        0: "0 bytes cannot hold the state of the coder",
        1: "the coder cannot begin in state 0",
        3: "2 bytes are left after the last index",
        4: "the coder ends in state 131072, above 131071",
        5: "the coder cannot begin in state 1",
    }


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_random_bytes_decode_in_bounded_state(payloads: list[bytes]) -> None:
    decoder = RansDecoder(payloads)
    lanes = np.arange(len(payloads))
    frequencies = np.full(len(payloads), 100)
    for _ in range(100):
        slots = decoder.slots(lanes)
        assert ((slots >= 0) & (slots < TOTAL)).all()
        decoder.advance(lanes, slots % 100, frequencies)
    assert set(decoder.finish()) <= set(lanes.tolist())
