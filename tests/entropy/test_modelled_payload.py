"""Payloads of blocks coded with the index model."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_index_model import Damage, decode_block, read_tensors
from random_models import TINY, Sizes, plain, random_blocks, random_tensors
from safetensors.numpy import save_file
from streams import make_header

from switchcodec_cli.bitstream import DamagedWindow, RateMode, StreamParameters, Window, modelled_block
from switchcodec_cli.bitstream.index_model import Float32Arithmetic, IndexModel
from switchcodec_cli.bitstream.modelled_payload import (
    decode_blocks,
    encode_blocks,
    index_intervals,
    restore_indices,
)
from switchcodec_cli.bitstream.rans import RansEncoder
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
    lists = read_tensors(path, "")
    assert lists == plain(MODEL.tensors)


def test_model_among_the_tensors_of_a_codec(tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    named = {f"index_model.{k}": v for k, v in vars(MODEL.tensors).items() if k != "places"}
    save_file({"decoder.bias": np.zeros(3, np.float32), **named}, path)
    assert read_tensors(path) == plain(MODEL.tensors)


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


SIZES_OF_48 = Sizes(size=48)  # not a power of two: the tail can hold a last index that is not below K


def with_tail(model: IndexModel, mask: np.ndarray, block: np.ndarray, tail: int) -> bytes:
    """The payload of a block with another number than the last index in the tail."""
    starts, frequencies = index_intervals(model, mask[None], [block])
    encoder = RansEncoder(np.array([tail]), block.size)
    order = [(s, t) for t in range(block.shape[1]) for s in range(block.shape[0])]
    for s, t in order[-2::-1]:
        encoder.push(np.array([0]), starts[:, s, t], frequencies[:, s, t])
    return encoder.finish()[0]


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (lambda model, mask, block, good: good[:-2], "end 2 bytes after the payload"),
        (lambda model, mask, block, good: good + bytes(2), "2 bytes are left after the last index"),
        (lambda model, mask, block, good: good + bytes(1000), "1000 bytes are left"),
        (lambda model, mask, block, good: b"\0\0", "2 bytes cannot hold the state"),
        (lambda model, mask, block, good: bytes(5), "the coder cannot begin in state 0"),
        (lambda model, mask, block, good: b"\xff\xff\0\0" + good[4:], "cannot begin in state 65535"),
        (lambda *args: with_tail(*args[:3], tail=1 << 16), "the coder ends in state 131072, above 131071"),
        (lambda *args: with_tail(*args[:3], tail=1365 + 7), "bits that are not zero"),
        (lambda *args: with_tail(*args[:3], tail=48 * 1365), "the last index is 48, which is not below 48"),
    ],
)
def test_hostile_payloads_damage_their_window(hostile, reason: str) -> None:
    """restore_indices names the window, and spares the others."""
    model = IndexModel(random_tensors(SIZES_OF_48, 0))
    parameters = StreamParameters(8000, 10, 5, 3, 48, 2)
    header = make_header(parameters, mode=RateMode.QUALITY, entropy_coded=True)
    mask, block = np.array([True, False, True]), np.random.default_rng(0).integers(0, 48, (6, 5))
    good = with_tail(model, mask, block, int(block[-1, -1]) * 1365)
    assert [good] == encode_blocks(model, mask[None], [block])
    bad = hostile(model, mask, block, good)
    windows = [Window(5, (modelled_block((0, 2), payload),)) for payload in (good, bad, good)]
    restored = restore_indices(header, model, windows, 40)
    damaged = restored[1]
    assert isinstance(damaged, DamagedWindow)
    assert (damaged.index, damaged.frames, damaged.start) == (41, 5, parameters.window_start(41))
    assert reason in damaged.reason
    for window in (restored[0], restored[2]):
        assert isinstance(window, Window)
        assert np.array_equal(window.blocks[0].indices.reshape(6, 5), block)
    with pytest.raises(Damage):
        decode_block(plain(model.tensors), [0, 2], 5, bad)


def test_few_random_payloads_of_fitting_size_decode() -> None:
    """Section 14: with K = 1024, the end state lets about one in a thousand pass."""
    model = IndexModel(random_tensors(Sizes(size=1024, groups=32), 0))
    rng, count, frames = np.random.default_rng(0), 4000, [2] * 4000
    masks = np.zeros((count, 3), np.bool_)
    likely = decode_blocks(model, masks[:300], frames[:300], [rng.bytes(40) for _ in range(300)]).indices
    lengths = [len(payload) for payload in encode_blocks(model, masks[:300], likely)]
    payloads = [rng.bytes(int(rng.choice(lengths))) for _ in range(count)]
    accepted = count - len(decode_blocks(model, masks, frames, payloads).damage)
    assert 1 <= accepted <= 12
