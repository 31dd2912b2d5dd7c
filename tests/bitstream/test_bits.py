"""Packing and unpacking of integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from switchcodec_cli.bitstream.bits import BitReader, BitWriter

FIELDS = st.integers(0, 40).flatmap(lambda width: st.tuples(st.integers(0, (1 << width) - 1), st.just(width)))


@given(st.lists(FIELDS), st.integers(1, 16), st.lists(st.integers(0, 65535), max_size=50))
def test_round_trip_and_order_of_bits(fields: list[tuple[int, int]], width: int, values: list[int]) -> None:
    array = np.array(values, np.uint16) >> (16 - width)
    writer = BitWriter()
    for value, bits in fields:
        writer.write(value, bits)
    writer.write_array(array, width)
    text = "".join(f"{value:0{bits}b}" for value, bits in fields if bits)
    text += "".join(f"{value:0{width}b}" for value in array)
    text += "0" * (-len(text) % 8)
    data = writer.to_bytes()
    assert data == bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    reader = BitReader(data)
    assert [reader.read(bits) for _, bits in fields] == [value for value, _ in fields]
    assert reader.read_array(len(array), width).tolist() == array.tolist()
    assert reader.rest_is_zero()


def test_bits_that_were_not_read() -> None:
    reader = BitReader(b"\x00\x01")
    reader.read(8)
    assert not reader.rest_is_zero()
    assert reader.read(7) == 0 and reader.read(1) == 1
    assert reader.rest_is_zero()
