"""Payloads of blocks coded with the index model."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_index_model import Damage, decode_block, read_tensors
from random_models import TINY, plain, random_blocks, random_tensors
from safetensors.numpy import save_file

from switchcodec_cli.bitstream.index_model import Float32Arithmetic, IndexModel
from switchcodec_cli.bitstream.modelled_payload import decode_blocks, encode_blocks, index_intervals
from switchcodec_cli.model.index_model import Int8Arithmetic, TorchArithmetic, load_index_model

MODEL = IndexModel(random_tensors(TINY, 0), TorchArithmetic())


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Whether two lists of indices are equal."""
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(0, 2**32), st.booleans())
def test_round_trip(count: int, seed: int, extreme: bool) -> None:
    tensors = random_tensors(TINY, seed, extreme)
    masks, indices = random_blocks(tensors, count, seed)
    payloads = encode_blocks(IndexModel(tensors), masks, indices)
    assert payloads == encode_blocks(IndexModel(tensors, TorchArithmetic()), masks, indices)
    frames = [block.shape[1] for block in indices]
    for arithmetic in (Int8Arithmetic(), TorchArithmetic(), Float32Arithmetic()):
        decoded = decode_blocks(IndexModel(tensors, arithmetic), masks, frames, payloads)
        assert decoded.damage == {}
        assert same(decoded.indices, indices)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.booleans())
def test_plain_python_decodes(seed: int, extreme: bool) -> None:
    tensors = random_tensors(TINY, seed, extreme)
    masks, indices = random_blocks(tensors, 3, seed)
    lists = plain(tensors)
    for mask, block, payload in zip(
        masks, indices, encode_blocks(IndexModel(tensors), masks, indices), strict=True
    ):
        assert decode_block(lists, np.flatnonzero(mask).tolist(), block.shape[1], payload) == block.tolist()


def test_model_files(tmp_path) -> None:
    path = tmp_path / "index_model.safetensors"
    save_file({k: v for k, v in vars(MODEL.tensors).items() if k != "places"}, path)
    masks, indices = random_blocks(MODEL.tensors, 4, 9)
    payloads = encode_blocks(load_index_model(path), masks, indices)
    assert payloads == encode_blocks(MODEL, masks, indices)
    lists = read_tensors(path)
    assert lists == plain(MODEL.tensors)


def test_payloads_do_not_change() -> None:
    masks, indices = random_blocks(MODEL.tensors, 40, 3)
    digest = hashlib.sha256(b"|".join(encode_blocks(MODEL, masks, indices))).hexdigest()
    assert digest[:16] == "48cc520e60c89d6e"


def test_no_blocks() -> None:
    masks = np.zeros((0, 3), bool)
    assert encode_blocks(MODEL, masks, []) == []
    assert decode_blocks(MODEL, masks, [], []).indices == []


def test_block_of_one_frame_without_experts() -> None:
    masks = np.zeros((1, 3), bool)
    indices = [np.array([[63], [62]])]
    payloads = encode_blocks(MODEL, masks, indices)
    assert len(payloads[0]) <= 6
    assert same(decode_blocks(MODEL, masks, [1], payloads).indices, indices)


def test_block_does_not_depend_on_other_blocks() -> None:
    masks, indices = random_blocks(MODEL.tensors, 70, 4)  # more than the encoder takes at once
    payloads = encode_blocks(MODEL, masks, indices)
    for lane in (0, 5, 69):
        alone = encode_blocks(MODEL, masks[lane : lane + 1], indices[lane : lane + 1])
        assert alone == [payloads[lane]]


def test_overhead_is_at_most_four_bytes() -> None:
    masks, indices = random_blocks(MODEL.tensors, 30, 6)
    frequencies = index_intervals(MODEL, masks, indices)[1]
    for lane, payload in enumerate(encode_blocks(MODEL, masks, indices)):
        s, t = indices[lane].shape
        ideal = (16 - np.log2(frequencies[lane, :s, :t])).sum() / 8
        assert ideal <= len(payload) <= ideal + 4


@pytest.mark.parametrize("change", [lambda p: p[:-2], lambda p: p + b"\0\0", lambda p: p[:-1], lambda p: b""])
def test_damage_names_the_block_and_spares_the_others(change) -> None:
    masks, indices = random_blocks(MODEL.tensors, 6, 7)
    payloads = encode_blocks(MODEL, masks, indices)
    payloads[2] = change(payloads[2])
    frames = [block.shape[1] for block in indices]
    decoded = decode_blocks(MODEL, masks, frames, payloads)
    assert list(decoded.damage) == [2]
    assert same(decoded.indices[:2] + decoded.indices[3:], indices[:2] + indices[3:])
    with pytest.raises(Damage):
        decode_block(plain(MODEL.tensors), np.flatnonzero(masks[2]).tolist(), frames[2], payloads[2])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.integers(0, 2**32))
def test_random_payloads(payloads: list[bytes], seed: int) -> None:
    masks, indices = random_blocks(MODEL.tensors, len(payloads), seed)
    frames = [block.shape[1] for block in indices]
    decoded = decode_blocks(MODEL, masks, frames, payloads)
    for lane, found in enumerate(decoded.indices):
        assert found.shape == indices[lane].shape
        assert found.min() >= 0
        assert found.max() < MODEL.tensors.size
        if lane not in decoded.damage:  # then it is the one payload of these indices
            assert encode_blocks(MODEL, masks[lane : lane + 1], [found]) == [payloads[lane]]


def test_most_flipped_bits_are_noticed() -> None:
    masks, indices = random_blocks(MODEL.tensors, 1, 8, frames=30)
    (payload,) = encode_blocks(MODEL, masks, indices)
    flipped = []
    for bit in range(8 * len(payload)):
        data = bytearray(payload)
        data[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(data))
    decoded = decode_blocks(
        MODEL, np.repeat(masks, len(flipped), 0), [indices[0].shape[1]] * len(flipped), flipped
    )
    assert len(decoded.damage) > 0.9 * len(flipped)
