"""Exactness of the index model: integers, float32 and plain Python give one result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_index_model import POWERS as PLAIN_POWERS
from plain_index_model import PlainContext
from plain_index_model import frequencies as plain_frequencies
from random_models import FULL, TINY, plain, random_blocks, random_tensors

from switchcodec_cli.bitstream.index_model import (
    LIMIT,
    POWERS,
    Arithmetic,
    Float32Arithmetic,
    IndexModel,
    IndexModelTensors,
    frequencies,
)
from switchcodec_cli.bitstream.modelled_payload import index_intervals
from switchcodec_cli.bitstream.rans import TOTAL
from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model.index_model import (
    Float64Arithmetic,
    Int8Arithmetic,
    TorchArithmetic,
    exact_arithmetic,
    is_exact,
)

FAST = (Float32Arithmetic(), Int8Arithmetic(), TorchArithmetic(), Float64Arithmetic())
BATCHES = (1, 2, 3, 7, 8, 16, 33, 64, 300)


def test_table_of_powers() -> None:
    assert POWERS[0] == 32768
    assert POWERS[16] == 16384
    assert POWERS[255] == 1
    assert np.array_equal(POWERS, np.floor(2.0 ** (15 - np.arange(256) / 16) + 0.5))
    assert POWERS.tolist() == PLAIN_POWERS


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(-(2**24), 2**24), min_size=2, max_size=40),
    st.integers(1, 3),
    st.integers(0, TOTAL - 200),
)
def test_frequencies_add_up(sums: list[int], least: int, more: int) -> None:
    total = least * len(sums) + more
    found = frequencies((np.array([sums]) + 32) >> 6, least, np.array([total]))
    assert found.sum() == total
    assert found.min() >= least
    assert found[0].tolist() == plain_frequencies(sums, least, total)


def test_remainder_goes_to_the_first_of_equals() -> None:
    assert frequencies(np.zeros((1, 3), np.int64), 1, 8).tolist() == [[4, 2, 2]]


def all_frequencies(model: IndexModel, masks: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Frequencies of all indices at all steps, for lanes with equal numbers of codebooks. # (T, S, n, K)"""
    tensors = model.tensors
    books = np.stack([tensors.codebooks_of(mask) for mask in masks])
    per_quantizer = tensors.codebooks // (tensors.experts + 1)
    context, lanes, found = model.start(masks), np.arange(len(masks)), []
    for t in range(indices.shape[2]):
        context.next_frame()
        for s in range(indices.shape[1]):
            found.append(context.frequencies(lanes, books[:, s], max(0, s // per_quantizer - 1)))
            context.update(tensors.places[books[:, s], indices[:, s, t]])
    return np.stack(found).reshape(indices.shape[2], indices.shape[1], len(masks), -1)


def lanes_of(tensors: IndexModelTensors, count: int, experts: int, frames: int, seed: int = 0) -> tuple:
    """Masks with `experts` experts, and indices (count, S, frames)."""
    random = np.random.default_rng(seed)
    masks = np.stack([random.permutation(tensors.experts) < experts for _ in range(count)])
    depth = len(tensors.codebooks_of(masks[0]))
    return masks, random.integers(0, tensors.size, (count, depth, frames))


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("sizes", [TINY, FULL], ids=["tiny", "full"])
def test_arithmetics_agree(sizes, extreme: bool) -> None:
    tensors = random_tensors(sizes, 1, extreme)
    masks, indices = lanes_of(tensors, 3, 2, 2)
    expected = all_frequencies(IndexModel(tensors), masks, indices)
    assert (expected.sum(-1) == TOTAL).all()
    assert expected.min() >= 1
    for arithmetic in FAST:
        assert np.array_equal(all_frequencies(IndexModel(tensors, arithmetic), masks, indices), expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.booleans(), st.integers(0, 3))
def test_plain_python_agrees(seed: int, extreme: bool, experts: int) -> None:
    tensors = random_tensors(TINY, seed, extreme)
    masks, indices = lanes_of(tensors, 1, experts, 3, seed)
    expected = all_frequencies(IndexModel(tensors, TorchArithmetic()), masks, indices)
    context = PlainContext(plain(tensors), np.flatnonzero(masks[0]).tolist())
    for t in range(3):
        context.next_frame()
        for s, c in enumerate(context.codebooks):
            context.predict(c)
            groups = context.group_frequencies(c)
            by_place = [f for g, total in enumerate(groups) for f in context.member_frequencies(c, g, total)]
            assert [by_place[place] for place in tensors.places[c]] == expected[t, s, 0].tolist()
            context.update(c, int(tensors.places[c, indices[0, s, t]]))


@pytest.mark.parametrize("extreme", [False, True])
def test_batch_size_threads_and_backends_do_not_matter(extreme: bool) -> None:
    tensors = random_tensors(FULL, 2, extreme)
    masks, indices = lanes_of(tensors, 300, 1, 2)
    depth = indices.shape[1]
    reference = index_intervals(IndexModel(tensors), masks[:16], list(indices[:16]))
    threads = torch.get_num_threads()
    try:
        for count, onednn in ((1, True), (2, True), (1, False)):
            torch.set_num_threads(count)
            with torch.backends.mkldnn.flags(enabled=onednn):
                for arithmetic in (Int8Arithmetic(), TorchArithmetic(), Float32Arithmetic()):
                    model = IndexModel(tensors, arithmetic)
                    for batch in BATCHES:
                        found = index_intervals(model, masks[:batch], list(indices[:batch]))
                        n = min(batch, 16)
                        for got, expected in zip(found, reference, strict=True):
                            assert np.array_equal(got[:n], expected[:n, :depth])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_reduced_precision_of_operands_does_not_matter(precision: str) -> None:
    tensors = random_tensors(FULL, 3, extreme=True)
    shapes = {tensors.context_weight.shape, tensors.feature_weight.shape}
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert is_exact(TorchArithmetic(), shapes)
    finally:
        torch.set_float32_matmul_precision(before)


def test_inexact_products_are_found() -> None:
    class Bfloat16Results(TorchArithmetic):
        def product(self, x: np.ndarray, matrix: torch.Tensor) -> np.ndarray:
            return (torch.from_numpy(x).bfloat16() @ matrix.bfloat16()).float().numpy()

    class Bfloat16ResultsOfBatches(TorchArithmetic):
        def product(self, x: np.ndarray, matrix: torch.Tensor) -> np.ndarray:
            exact = super().product(x, matrix)
            return exact if len(x) == 1 else torch.from_numpy(exact).bfloat16().float().numpy()

    assert not is_exact(Bfloat16Results(), [(32, 128)])
    assert not is_exact(Bfloat16ResultsOfBatches(), [(32, 128)])


def test_falls_back_to_wider_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Arithmetic, x: np.ndarray, matrix: object) -> np.ndarray:
        return Arithmetic.product(self, x, matrix) + 1

    def missing(self: Arithmetic, x: np.ndarray, matrix: object) -> np.ndarray:
        raise RuntimeError("not implemented for this processor")

    tensors = random_tensors(TINY, 0)
    assert type(exact_arithmetic(tensors.matrices)) in (Int8Arithmetic, TorchArithmetic)
    monkeypatch.setattr(Int8Arithmetic, "product", missing)
    assert type(exact_arithmetic(tensors.matrices)) is TorchArithmetic
    monkeypatch.setattr(TorchArithmetic, "product", missing)
    assert type(exact_arithmetic(tensors.matrices)) is Float64Arithmetic
    monkeypatch.setattr(Float64Arithmetic, "product", wrong)
    assert type(exact_arithmetic(tensors.matrices)) is Arithmetic


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.booleans())
def test_all_frames_at_once_agrees_with_steps(seed: int, extreme: bool) -> None:
    tensors = random_tensors(TINY, seed, extreme)
    model = IndexModel(tensors, Float32Arithmetic())
    masks, indices = lanes_of(tensors, 4, 2, 4, seed)
    starts, widths = index_intervals(model, masks, list(indices))
    stepwise = all_frequencies(model, masks, indices)
    for t in range(4):
        for s in range(indices.shape[1]):
            rows = np.arange(4)
            assert np.array_equal(stepwise[t, s, rows, indices[:, s, t]], widths[:, s, t])
    assert (starts >= 0).all()
    assert (starts + widths <= TOTAL).all()


def test_lanes_may_differ_in_codebooks_and_frames() -> None:
    tensors = random_tensors(TINY, 5)
    model = IndexModel(tensors, TorchArithmetic())
    masks, indices = random_blocks(tensors, 12, 5)
    starts, widths = index_intervals(model, masks, indices)
    for lane, block in enumerate(indices):
        alone = index_intervals(model, masks[lane : lane + 1], [block])
        s, t = block.shape
        assert np.array_equal(alone[0][0], starts[lane, :s, :t])
        assert np.array_equal(alone[1][0], widths[lane, :s, :t])


def test_unbounded_sums_are_refused() -> None:
    tensors = random_tensors(TINY, 0)
    for name in ("input", "gate1", "gate2", "group", "member", "context", "head"):
        bias = getattr(tensors, f"{name}_bias").copy()
        bias.flat[0] = 1 << 24
        with pytest.raises(WeightsError, match="can reach"):
            replace(tensors, **{f"{name}_bias": bias}).check()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("order", lambda x: x * 0, "permutation"),
        ("embedding", lambda x: x.astype(np.int16), "embedding is int16"),
        ("head_weight", lambda x: x[:, 1:], "head_weight is int8"),
        ("order", lambda x: x[0], "order has the shape"),
        ("order", lambda x: x[:, :0], "order has the shape"),
        ("group_weight", lambda x: x[:, :0], "group_weight has the shape"),
        ("input_mask", lambda x: x[0, 0], "input_mask has the shape"),
        ("feature_weight", lambda x: np.full_like(x, -LIMIT - 1), "-128"),
    ],
)
def test_malformed_tensors_are_refused(name: str, change, message: str) -> None:
    tensors = random_tensors(TINY, 0)
    with pytest.raises(WeightsError, match=message):
        replace(tensors, **{name: change(getattr(tensors, name))}).check()


def test_missing_tensor_is_refused() -> None:
    with pytest.raises(WeightsError, match="tensor context_bias is missing"):
        arrays = dict(vars(random_tensors(TINY, 0)))
        del arrays["context_bias"]
        IndexModelTensors.from_arrays(arrays)
