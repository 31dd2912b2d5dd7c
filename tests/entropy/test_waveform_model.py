"""The waveform model: exact in every arithmetic, and checked at the ends of its ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_waveform import expected_sizes
from random_models import plain
from random_waveform_models import (
    FULL_WAVEFORM,
    SMALL_WAVEFORM,
    WaveformSizes,
    random_waveform_blocks,
    random_waveform_tensors,
)

from switchcodec_cli.bitstream import waveform_model as waveform_model_module
from switchcodec_cli.bitstream.index_model import (
    LIMIT,
    ROOM,
    Arithmetic,
    Float32Arithmetic,
    Float64Arithmetic,
)
from switchcodec_cli.bitstream.waveform_model import WaveformModel, WaveformModelTensors
from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model.index_model import Int8Arithmetic, TorchArithmetic, exact_arithmetic

FAST = (Float32Arithmetic(), Float64Arithmetic(), Int8Arithmetic(), TorchArithmetic())
TENSORS = random_waveform_tensors(SMALL_WAVEFORM, 0)


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("sizes", [SMALL_WAVEFORM, FULL_WAVEFORM], ids=["small", "full"])
def test_arithmetics_agree(sizes: WaveformSizes, extreme: bool) -> None:
    tensors = random_waveform_tensors(sizes, 1, extreme)
    masks, indices = random_waveform_blocks(tensors, sizes.experts, 5, np.random.default_rng(0))
    expected = WaveformModel(tensors).sizes(masks, indices)
    for block, found in zip(indices, expected, strict=True):
        assert found.dtype == np.int64
        assert found.shape == (block.shape[1], tensors.bins)
    assert len(np.unique(np.concatenate(expected))) > 1
    for arithmetic in (*FAST, exact_arithmetic(tensors.matrices)):
        assert_same(WaveformModel(tensors, arithmetic).sizes(masks, indices), expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.booleans(), st.integers(0, 2))
def test_plain_python_agrees(seed: int, extreme: bool, reach: int) -> None:
    sizes = replace(SMALL_WAVEFORM, reach=reach)
    tensors = random_waveform_tensors(sizes, seed, extreme)
    masks, indices = random_waveform_blocks(tensors, sizes.experts, 2, np.random.default_rng(seed))
    lists = plain(tensors)
    for mask, block, found in zip(masks, indices, WaveformModel(tensors).sizes(masks, indices), strict=True):
        assert expected_sizes(lists, np.flatnonzero(mask).tolist(), block.tolist()) == found.tolist()


def test_blocks_do_not_influence_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many go through the network together."""
    masks, indices = random_waveform_blocks(TENSORS, SMALL_WAVEFORM.experts, 30, np.random.default_rng(0))
    model = WaveformModel(TENSORS)
    together = model.sizes(masks, indices)
    alone = [model.sizes(masks[i : i + 1], indices[i : i + 1])[0] for i in range(30)]
    assert_same(together, alone)
    for frames in (1, 10, 40):
        monkeypatch.setattr(waveform_model_module, "GROUP_FRAMES", frames)
        assert_same(model.sizes(masks, indices), together)


def test_neighbouring_frames_within_reach_matter() -> None:
    masks, indices = np.zeros((1, 3), bool), [np.zeros((2, 9), np.int64)]
    model = WaveformModel(TENSORS)
    (before,) = model.sizes(masks, indices)
    indices[0][0, 4] = 63
    (after,) = model.sizes(masks, indices)
    changed = np.flatnonzero((before != after).any(1))
    assert set(changed) <= {3, 4, 5} and 4 in changed and len(changed) > 1


def test_properties() -> None:
    s = SMALL_WAVEFORM
    found = (TENSORS.codebooks, TENSORS.size, TENSORS.bins, TENSORS.classes, TENSORS.largest, TENSORS.reach)
    assert found == (8, s.size, s.bins, s.classes, s.largest, s.reach)
    assert TENSORS.codebooks_of(np.array([True, False, True])).tolist() == [0, 1, 2, 3, 6, 7]
    assert TENSORS.codebooks_of(np.zeros(0, bool)).tolist() == list(range(8))
    again = WaveformModelTensors.from_arrays(TENSORS.arrays)
    assert all(
        np.array_equal(a, b) for a, b in zip(again.arrays.values(), TENSORS.arrays.values(), strict=True)
    )


def test_no_blocks() -> None:
    assert WaveformModel(TENSORS).sizes(np.zeros((0, 3), bool), []) == []


def changed(name: str, change: object) -> dict[str, np.ndarray]:
    """The arrays of the model with one of them changed."""
    arrays = {key: array.copy() for key, array in TENSORS.arrays.items()}
    arrays[name] = change(arrays[name])  # type: ignore[operator]
    return arrays


def put(place: object, value: object):
    """A change of one value."""

    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("embedding", lambda a: a.astype(np.int32), "embedding is int32"),
        ("embedding", lambda a: a[0], "embedding is int16"),
        ("embedding", lambda a: a[:, :0], "embedding is int16"),
        ("embedding", lambda a: a[:, :, :4], "not an odd multiple of 4"),
        ("hidden1_weight", lambda a: a[:, :10], "not an odd multiple of 5"),
        ("hidden1_weight", lambda a: a.astype(np.int16), "hidden1_weight is int16"),
        ("hidden1_weight", put((0, 0), -128), "hidden1_weight holds -128"),
        ("hidden1_bias", lambda a: a[1:], "hidden1_bias has the shape"),
        ("hidden2_weight", lambda a: a[:, 1:], "hidden2_weight has the shape"),
        ("hidden2_bias", lambda a: a[:, None], "hidden2_bias is int32"),
        ("output_weight", lambda a: a[:, 1:], "output_weight has the shape"),
        ("offset", lambda a: a[1:], "offset has the shape"),
        ("offset", put(0, -1), "offset is not within 0..255"),
        ("offset", put(0, 256), "offset is not within 0..255"),
        ("frequencies", lambda a: a[:, 1:], "frequencies has the shape"),
        ("frequencies", put((0, 0), 0), "frequencies of a class"),
        ("frequencies", put((0, 0), -1), "frequencies of a class"),
        ("frequencies", lambda a: a + put((0, 0), 1)(np.zeros_like(a)), "frequencies of a class"),
        ("frequencies", lambda a: np.repeat(a, 50, 0), "levels has the shape"),
        ("levels", lambda a: a.astype(np.float64), "levels is float64"),
        ("levels", lambda a: a[:, :1], "frequencies has the shape"),
        ("levels", put((0, 0), 0.1), "levels of a class"),
        ("levels", put((0, 2), 0.5), "levels of a class"),
        ("levels", put((0, 4), np.nan), "levels of a class"),
        ("levels", put((0, 4), np.inf), "levels of a class"),
        ("levels", put((0, 4), 8.1), "levels of a class"),
    ],
)
def test_invalid_tensors_are_refused(name: str, change: object, words: str) -> None:
    with pytest.raises(WeightsError, match=f"waveform model: .*{words}"):
        WaveformModelTensors.from_arrays(changed(name, change))


def test_missing_tensor_is_named() -> None:
    arrays = TENSORS.arrays
    del arrays["levels"]
    with pytest.raises(WeightsError, match="tensor levels is missing"):
        WaveformModelTensors.from_arrays(arrays)


@pytest.mark.parametrize(("classes", "largest"), [(257, 4), (2, 128)])
def test_too_many_classes_or_values_are_refused(classes: int, largest: int) -> None:
    with pytest.raises(WeightsError, match="are not supported"):
        random_waveform_tensors(replace(SMALL_WAVEFORM, classes=classes, largest=largest), 0)


@pytest.mark.parametrize("layer", ["hidden1", "hidden2", "output"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_bounds_of_sums(layer: str, sign: int) -> None:
    """127 sum |w| + |b| must stay below 2^24 - 2^13."""
    weight = TENSORS.arrays[f"{layer}_weight"]
    products = LIMIT * int(np.abs(weight[1].astype(int)).sum())
    largest = ROOM - 1 - products
    WaveformModelTensors.from_arrays(changed(f"{layer}_bias", put(1, sign * largest)))
    with pytest.raises(WeightsError, match=f"sums of layer {layer} can reach {ROOM}"):
        WaveformModelTensors.from_arrays(changed(f"{layer}_bias", put(1, sign * (largest + 1))))


def test_bound_of_the_embedding() -> None:
    """512 codebooks of 32767 reach ROOM; that sum is refused, and one less is not."""
    sizes = WaveformSizes(experts=511, per_quantizer=1, size=2, embedding=1)
    tensors = random_waveform_tensors(sizes, 0)
    tensors.embedding[:] = 32767
    over = 512 * 32767 - ROOM
    assert over >= 0
    with pytest.raises(WeightsError, match="sums of layer embedding can reach"):
        tensors.check()
    tensors.embedding[0] -= over + 1
    tensors.check()


def test_ends_of_the_ranges_are_exact() -> None:
    """Sums that reach both ends of the room, in every arithmetic."""
    tensors = random_waveform_tensors(SMALL_WAVEFORM, 3, extreme=True)
    columns = tensors.hidden1_weight.shape[1]
    tensors.embedding[:] = 32767 // 8
    tensors.hidden1_weight[:], tensors.hidden1_bias[:] = LIMIT, ROOM - 1 - columns * LIMIT * LIMIT
    tensors.hidden2_weight[:] = -LIMIT
    tensors.hidden2_bias[:] = -(ROOM - 1 - SMALL_WAVEFORM.hidden1 * LIMIT * LIMIT)
    tensors.hidden2_weight[0], tensors.hidden2_bias[0] = LIMIT, -tensors.hidden2_bias[0]
    tensors.output_bias[:] = ROOM - 1 - SMALL_WAVEFORM.hidden2 * LIMIT * LIMIT
    tensors.output_bias[::2] *= -1
    tensors.check()
    masks, indices = np.ones((1, 3), bool), [np.zeros((8, 4), np.int64)]
    (expected,) = WaveformModel(tensors, Arithmetic()).sizes(masks, indices)
    assert set(np.unique(expected)) == {0, 255}
    for arithmetic in FAST:
        assert_same(WaveformModel(tensors, arithmetic).sizes(masks, indices), [expected])
