"""The index model: frequencies of the next codebook index of a block, in integers throughout.

The model reads the frames so far of the same block and the indices so far of the frame. A codebook of K
indices is divided into G groups of M = K / G members; an *order* maps each index to its place, which is
group * M + member, and the model works with places only. Coding an index takes the frequencies of the groups,
then those of the members of its group. Together they give each index a frequency of at least 1 out of 2^16.

Every operation is exact in integers, and also in float32: a sum of products stays below 2^24 (see
`IndexModelTensors.check`), shifts are multiplications by powers of two and rounding down. `Arithmetic` does
these operations in int64 and is the reference; subclasses do the same faster.

Activations are integers in units of 1/64, weights in units of 1/128, and sums in units of 1/8192.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..errors import WeightsError
from .rans import TOTAL, Lanes

Numbers = npt.NDArray[Any]
"""Integers, held in the type that the arithmetic works with."""
Integers = npt.NDArray[np.int64]
Masks = npt.NDArray[np.bool_]

LIMIT = 127  # greatest magnitude of weights and activations
ROOM = (1 << 24) - (
    1 << 13
)  # float32 holds every integer up to 2^24; 2^13 are left for constants of rounding
ACTIVATION_SHIFT = 7
GATE_SHIFT = 6
GATE_ONE = 128  # a gate of 1
STATE_SHIFT = 6  # states of the recurrences are finer than activations
LOGIT_SHIFT = 6
LOGIT_STEPS = 16  # steps of a logit per bit
POWER_BITS = 15

# Of the tensors whose shapes give the sizes of a model
_DIMENSIONS = {
    "order": 2,
    "embedding": 3,
    "input_bias": 1,
    "input_mask": 2,
    "feature_weight": 2,
    "group_weight": 3,
}


def _powers() -> npt.NDArray[np.int64]:
    """Table of 2^(15 - d / 16), rounded to the nearest integer, for d = 0 ... 255; the last is 1.

    Exact roots in integers: floor(2^(15 - d / 16) + 1/2) is the greatest n with (2 n - 1)^16 <= 2^(256 - d).
    """
    table, n = [], 1 << POWER_BITS
    for d in range((POWER_BITS + 1) * LOGIT_STEPS):
        while (2 * n - 1) ** LOGIT_STEPS > 1 << (LOGIT_STEPS * (POWER_BITS + 1) - d):
            n -= 1
        table.append(n)
    return np.array(table, np.int64)


POWERS = _powers()


def frequencies(logits: Integers, least: int, total: Integers | int) -> Integers:
    """Frequencies of symbols by their logits.

    With w = POWERS[min(greatest logit - logit, 255)] and n symbols, a frequency is
    least + w * (total - n * least) div (sum of all w); what is missing to the total goes to the first symbol
    of the greatest logit.

    Args:
        logits: In steps of 1/16 bit. # (lanes, n)
        least: The least frequency.
        total: Sum of the frequencies, of each lane or of all; at least n * least, at most 2^16.

    Returns:
        Frequencies of at least `least`, whose sum is exactly the total. # (lanes, n)
    """
    greatest = logits.argmax(1)
    rows = np.arange(len(logits))
    distance = logits[rows, greatest][:, None] - logits
    weights = POWERS.take(distance, mode="clip")
    shared = np.asarray(total) - least * logits.shape[1]
    # weights * shared < 2^15 * 2^16 = 2^31
    result: Integers = weights * shared[..., None] // weights.sum(1, keepdims=True)
    result += least
    result[rows, greatest] += total - result.sum(1)
    return result


@dataclass(frozen=True)
class IndexModelTensors:
    """The integers of an index model. All weights and tables are int8, biases int32.

    C codebooks of K indices in the order in which quantizers are applied, Nr experts, E dimensions of an
    embedding, H of a state, A hidden units, R features, G groups, and N = max(1, Nr) ranks: the rank of an
    index is the number of experts that come before its quantizer in the frame.
    """

    order: npt.NDArray[np.int32]  # index at each place, (C, K)
    embedding: npt.NDArray[np.int8]  # of places, for the frame so far, (C, K, E)
    previous: npt.NDArray[np.int8]  # of places, for the codebook's index in the frame before, (C, K, E)
    preceding: npt.NDArray[np.int8]  # of places, for the index just before in the frame, (C, K, E)
    input_weight: npt.NDArray[np.int8]  # (H, 2 E)
    input_bias: npt.NDArray[np.int32]  # (H,)
    input_mask: npt.NDArray[np.int32]  # added for each expert of the mask, (Nr, H)
    gate1_weight: npt.NDArray[np.int8]  # (2 H, H)
    gate1_bias: npt.NDArray[np.int32]  # (2 H,)
    gate2_weight: npt.NDArray[np.int8]  # (2 H, 2 H)
    gate2_bias: npt.NDArray[np.int32]  # (2 H,)
    context_weight: npt.NDArray[np.int8]  # (A + R, E + 2 H)
    context_bias: npt.NDArray[np.int32]  # (A + R,)
    context_mask: npt.NDArray[np.int32]  # (Nr, A + R)
    head_weight: npt.NDArray[np.int8]  # (A + R, 3 E)
    head_bias: npt.NDArray[np.int32]  # (C, N, A + R)
    feature_weight: npt.NDArray[np.int8]  # (R, A)
    group_weight: npt.NDArray[np.int8]  # (C, G, R)
    group_bias: npt.NDArray[np.int32]  # (C, N, G)
    member_weight: npt.NDArray[np.int8]  # by place, (C, K, R)
    member_bias: npt.NDArray[np.int32]  # (C, N, K)

    @classmethod
    def load(cls, path: Path) -> IndexModelTensors:
        """Read and check a safetensors file.

        Raises:
            WeightsError: The file is not an index model.
        """
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
        return cls.from_arrays(tensors)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Numbers]) -> IndexModelTensors:
        """Check arrays by name.

        Raises:
            WeightsError: They are not an index model.
        """
        names = [field.name for field in fields(cls)]
        if missing := sorted(set(names) - arrays.keys()):
            raise WeightsError(f"index model: tensor {missing[0]} is missing")
        tensors = cls(**{name: arrays[name] for name in names})
        tensors.check()
        return tensors

    @property
    def arrays(self) -> dict[str, Numbers]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def codebooks(self) -> int:
        """C."""
        return len(self.order)

    @property
    def size(self) -> int:
        """K."""
        return int(self.order.shape[1])

    @property
    def experts(self) -> int:
        """Nr."""
        return len(self.input_mask)

    @property
    def groups(self) -> int:
        """G."""
        return int(self.group_weight.shape[1])

    @property
    def ranks(self) -> int:
        """N."""
        return max(1, self.experts)

    @property
    def members(self) -> int:
        """M."""
        return self.size // self.groups

    @property
    def hidden(self) -> int:
        """A."""
        return int(self.feature_weight.shape[1])

    @property
    def matrices(self) -> tuple[npt.NDArray[np.int8], ...]:
        """A matrix of each shape that products are taken with, a typical one first."""
        return (
            self.gate2_weight,
            self.input_weight,
            self.gate1_weight,
            self.context_weight,
            self.head_weight,
            self.feature_weight,
            self.group_weight[0],
            self.member_weight[0, : self.members],
        )

    @cached_property
    def places(self) -> Integers:
        """Place of each index. # (C, K)"""
        return np.argsort(self.order, axis=1)

    def codebooks_of(self, mask: npt.NDArray[np.bool_]) -> Integers:
        """The codebooks that a block with this mask uses, in the order of their indices."""
        per_quantizer = self.codebooks // (self.experts + 1)
        return np.flatnonzero(np.repeat(np.concatenate([[True], mask]), per_quantizer))

    def check(self) -> None:
        """Check types, shapes and the bounds that make every operation exact.

        Inputs of products are at most 127 in magnitude, so a sum of products is at most 127 * sum |w|; with
        its biases it must stay below 2^24 - 2^13. Everything else stays far below: the product of a gate and
        a difference of states is at most 128 * 2 * 127 * 64 < 2^21, a sum of embeddings 127 * C.

        Raises:
            WeightsError: A check failed.
        """
        for name, dimensions in _DIMENSIONS.items():
            shape = getattr(self, name).shape
            empty = 0 in shape[1:] if name == "input_mask" else 0 in shape  # there may be no experts
            if len(shape) != dimensions or empty:
                raise WeightsError(f"index model: {name} has the shape {shape}")
        c, size = self.order.shape
        e, h = self.embedding.shape[-1], len(self.input_bias)
        features, hidden = self.feature_weight.shape
        head, experts, groups = hidden + features, self.experts, self.groups
        shapes = {
            "order": (c, size),
            "embedding": (c, size, e),
            "previous": (c, size, e),
            "preceding": (c, size, e),
            "input_weight": (h, 2 * e),
            "input_bias": (h,),
            "input_mask": (experts, h),
            "gate1_weight": (2 * h, h),
            "gate1_bias": (2 * h,),
            "gate2_weight": (2 * h, 2 * h),
            "gate2_bias": (2 * h,),
            "context_weight": (head, e + 2 * h),
            "context_bias": (head,),
            "context_mask": (experts, head),
            "head_weight": (head, 3 * e),
            "head_bias": (c, self.ranks, head),
            "feature_weight": (features, hidden),
            "group_weight": (c, groups, features),
            "group_bias": (c, self.ranks, groups),
            "member_weight": (c, size, features),
            "member_bias": (c, self.ranks, size),
        }
        for name, shape in shapes.items():
            tensor = getattr(self, name)
            expected = np.int32 if name == "order" or name.endswith(("_bias", "_mask")) else np.int8
            if tensor.shape != shape or tensor.dtype != expected:
                raise WeightsError(
                    f"index model: {name} is {tensor.dtype} {tensor.shape}, not {np.dtype(expected)} {shape}"
                )
            if expected == np.int8 and tensor.size and int(tensor.min()) < -LIMIT:
                raise WeightsError(f"index model: {name} holds -128")
        if c % (experts + 1) or size % groups or size * groups > TOTAL:
            raise WeightsError(f"index model: {c} codebooks of {size} indices in {groups} groups do not fit")
        if (np.sort(self.order, axis=1) != np.arange(size)).any():
            raise WeightsError("index model: the order of a codebook is not a permutation")
        masks = {
            name: np.abs(getattr(self, name).astype(np.int64)).sum(0)
            for name in ("input_mask", "context_mask")
        }
        head_bound = bound_of_sums(self.context_weight, self.context_bias) + masks["context_mask"]
        head_bound = head_bound + bound_of_sums(self.head_weight, self.head_bias).max((0, 1))
        head_bound[hidden:] += bound_of_sums(self.feature_weight, np.zeros(features, np.int32))
        bounds = {
            "input": bound_of_sums(self.input_weight, self.input_bias) + masks["input_mask"],
            "gate1": bound_of_sums(self.gate1_weight, self.gate1_bias),
            "gate2": bound_of_sums(self.gate2_weight, self.gate2_bias),
            "head": head_bound,
            "group": bound_of_sums(self.group_weight[:, None], self.group_bias),
            "member": bound_of_sums(self.member_weight[:, None], self.member_bias),
        }
        for name, bound in bounds.items():
            if bound.max() >= ROOM:
                raise WeightsError(
                    f"index model: sums of layer {name} can reach {bound.max()}, {ROOM} or more"
                )


def bound_of_sums(weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32]) -> Integers:
    """Greatest magnitude of weight @ x + bias for |x| <= 127."""
    products: Integers = LIMIT * np.abs(weight.astype(np.int64)).sum(-1)
    return products + np.abs(bias.astype(np.int64))


def _sum_before(frequencies: Integers, symbols: Integers) -> Integers:
    """Sums of the frequencies before symbols, (n, .) and (n,) -> (n,)."""
    total: Integers = (frequencies * (np.arange(frequencies.shape[1]) < symbols[:, None])).sum(1)
    return total


class Arithmetic:
    """The operations of the model in int64 numpy: the reference."""

    dtype: npt.DTypeLike = np.int64

    def load(self, tensor: Numbers) -> Numbers:
        """Biases or activations in the type of the arithmetic."""
        return np.ascontiguousarray(tensor.astype(self.dtype))

    def load_matrix(self, weight: npt.NDArray[np.int8]) -> Any:
        """A weight matrix in the form that `product` takes. # (rows, columns)"""
        return self.load(weight)

    def product(self, x: Numbers, matrix: Any) -> Numbers:
        """Products of activations with the rows of a loaded matrix, (n, columns) -> (n, rows)."""
        result: Numbers = x @ matrix.T
        return result

    def products(self, x: Numbers, weights: npt.NDArray[np.int8]) -> Numbers:
        """Products with a matrix of each lane, (n, columns) and (n, rows, columns) -> (n, rows)."""
        result: Numbers = np.matmul(weights.astype(self.dtype), x[:, :, None])[:, :, 0]
        return result

    def shift(self, x: Numbers, bits: int) -> Numbers:
        """x / 2^bits, rounded down; x may be overwritten."""
        return x >> bits

    def clip(self, x: Numbers, low: int, high: int) -> Numbers:
        """x within low ... high; x may be overwritten."""
        return np.clip(x, low, high, out=x)


class Float32Arithmetic(Arithmetic):
    """The same operations in float32, exact because all results are integers below 2^24."""

    dtype = np.float32

    def shift(self, x: Numbers, bits: int) -> Numbers:
        """x / 2^bits, rounded down; x is overwritten."""
        x *= np.float32(2.0**-bits)
        return np.floor(x, out=x)

    def clip(self, x: Numbers, low: int, high: int) -> Numbers:
        """x within low ... high; x is overwritten."""
        np.maximum(x, low, out=x)
        return np.minimum(x, high, out=x)


class Float64Arithmetic(Float32Arithmetic):
    """The same operations in float64, which holds all results with room to spare on any machine."""

    dtype = np.float64


class IndexModel:
    """Tensors of an index model together with an arithmetic.

    Args:
        tensors: The integers.
        arithmetic: How to calculate.
    """

    def __init__(self, tensors: IndexModelTensors, arithmetic: Arithmetic | None = None) -> None:
        self.tensors = tensors
        self.arithmetic = Arithmetic() if arithmetic is None else arithmetic
        load, load_matrix = self.arithmetic.load, self.arithmetic.load_matrix
        c, g, m = tensors.codebooks, tensors.groups, tensors.members
        rounding = 1 << (ACTIVATION_SHIFT - 1)
        h, half_gate = len(tensors.input_bias), (GATE_ONE // 2 << GATE_SHIFT) + (1 << (GATE_SHIFT - 1))
        gate_rounding = np.concatenate([np.full(h, half_gate), np.full(h, rounding)])
        e = tensors.embedding.shape[-1]
        # by codebook * K + place
        self.embedding, self.previous, self.preceding = (
            load(x).reshape(-1, e) for x in (tensors.embedding, tensors.previous, tensors.preceding)
        )
        self.input_weight = load_matrix(tensors.input_weight)
        self.input_bias, self.input_mask = load(tensors.input_bias + rounding), tensors.input_mask
        self.gate1_weight, self.gate1_bias = (
            load_matrix(tensors.gate1_weight),
            load(tensors.gate1_bias + gate_rounding),
        )
        self.gate2_weight, self.gate2_bias = (
            load_matrix(tensors.gate2_weight),
            load(tensors.gate2_bias + gate_rounding),
        )
        self.context_weight = load_matrix(tensors.context_weight)
        self.context_bias, self.context_mask = load(tensors.context_bias + rounding), tensors.context_mask
        # biases of the head and of the last layers by codebook * N + rank
        self.head_weight = load_matrix(tensors.head_weight)
        self.head_bias = load(tensors.head_bias).reshape(c * tensors.ranks, -1)
        self.feature_weight = load_matrix(tensors.feature_weight)
        logit_rounding = 1 << (LOGIT_SHIFT - 1)
        self.group_weight = tensors.group_weight
        self.group_bias = load(tensors.group_bias + logit_rounding).reshape(c * tensors.ranks, g)
        self.member_weight = tensors.member_weight.reshape(c * g, m, -1)
        self.member_bias = load(tensors.member_bias + logit_rounding).reshape(c * tensors.ranks * g, m)

    def start(self, masks: Masks) -> IndexContext:
        """A context before the first frame.

        Args:
            masks: Of blocks. # (lanes, Nr)
        """
        return IndexContext(self, masks)

    def input(self, before: Numbers, earlier: Numbers, mask_bias: Numbers) -> Numbers:
        """Inputs of the recurrences from the vectors of two frames, (n, E) twice -> (n, H)."""
        acc = self.arithmetic.product(np.concatenate([before, earlier], 1), self.input_weight)
        return self._activation(acc + mask_bias, 0)

    def gates(self, x: Numbers, weight: Any, bias: Numbers) -> tuple[Numbers, Numbers]:
        """Gate and candidate of a recurrence, (n, .) -> (n, H) twice."""
        acc = self.arithmetic.product(x, weight)
        acc += bias
        width = acc.shape[1] // 2
        gate = self.arithmetic.clip(self.arithmetic.shift(acc[:, :width], GATE_SHIFT), 0, GATE_ONE)
        candidate = self._activation(acc[:, width:], -LIMIT)
        candidate *= 1 << STATE_SHIFT
        return gate, candidate

    def step(self, state: Numbers, gate: Numbers, candidate: Numbers) -> Numbers:
        """Next state h + ((gate * (candidate - h) + 64) >> 7), (n, H) -> (n, H)."""
        change = candidate - state
        change *= gate
        change += GATE_ONE // 2
        change = self.arithmetic.shift(change, 7)
        change += state
        return change

    def output(self, state: Numbers) -> Numbers:
        """States as activations."""
        return self.arithmetic.shift(state + (1 << (STATE_SHIFT - 1)), STATE_SHIFT)

    def context(self, before: Numbers, first: Numbers, second: Numbers, mask_bias: Numbers) -> Numbers:
        """The part of the head's sums that depends on earlier frames only, (n, A + R)."""
        acc = self.arithmetic.product(np.concatenate([before, first, second], 1), self.context_weight)
        acc += mask_bias
        return acc

    def features(self, context: Numbers, local: Numbers, head_bias: Numbers) -> Numbers:
        """Features of the next index, (n, A + R), (n, 3 E) and (n, A + R) -> (n, R)."""
        acc = self.arithmetic.product(local, self.head_weight)
        acc += context
        acc += head_bias
        hidden = self.tensors.hidden
        units = self._activation(acc[:, :hidden].copy(), 0)
        sums = self.arithmetic.product(units, self.feature_weight)
        sums += acc[:, hidden:]
        return self._activation(sums, -LIMIT)

    def group_frequencies(self, features: Numbers, codebooks: Integers, biases: Integers) -> Integers:
        """Frequencies of groups, at least M each, with a sum of 2^16.

        Args:
            features: # (n, R)
            codebooks: # (n,)
            biases: codebook * N + rank. # (n,)

        Returns:
            Frequencies. # (n, G)
        """
        sums = self.arithmetic.products(features, self.group_weight.take(codebooks, 0))
        sums += self.group_bias.take(biases, 0)
        return frequencies(self._logits(sums), self.tensors.members, TOTAL)

    def member_frequencies(
        self, features: Numbers, codebooks: Integers, biases: Integers, groups: Integers, totals: Integers
    ) -> Integers:
        """Frequencies of the members of one group for each lane, at least 1 each.

        Args:
            features: # (n, R)
            codebooks: # (n,)
            biases: codebook * N + rank. # (n,)
            groups: # (n,)
            totals: The groups' frequencies, which the members' add up to. # (n,)

        Returns:
            Frequencies. # (n, M)
        """
        count = self.tensors.groups
        sums = self.arithmetic.products(features, self.member_weight.take(codebooks * count + groups, 0))
        sums += self.member_bias.take(biases * count + groups, 0)
        return frequencies(self._logits(sums), 1, totals)

    def intervals(self, masks: Masks, places: Integers) -> tuple[Integers, Integers]:
        """Intervals of indices that are known, all frames at once.

        Args:
            masks: Of blocks. # (n, Nr)
            places: Of all codebooks; those that a block does not use are ignored. # (n, C, T)

        Returns:
            The starts and the frequencies of the indices, meaningless for unused codebooks. # (n, C, T)
        """
        tensors, dtype = self.tensors, self.arithmetic.dtype
        n, _, t = places.shape
        used = np.stack([np.isin(np.arange(tensors.codebooks), tensors.codebooks_of(m)) for m in masks])
        places_of_all = places + tensors.size * np.arange(tensors.codebooks)[:, None]
        vectors = np.zeros((n, t, self.embedding.shape[-1]), dtype)
        for c, lanes in enumerate(used.T):
            vectors[lanes] += self.embedding[places_of_all[lanes, c]]
        context = self._contexts(masks, self.vector(vectors))
        sums, preceding = np.zeros_like(vectors), np.zeros_like(vectors)
        per_quantizer = tensors.codebooks // (tensors.experts + 1)
        starts, widths = np.zeros_like(places), np.ones_like(places)
        for c, lanes in enumerate(used.T):
            if not lanes.any():
                continue
            at = places_of_all[lanes, c]  # (m, T)
            previous = np.zeros((*at.shape, vectors.shape[-1]), dtype)
            previous[:, 1:] = self.previous[at[:, :-1]]
            local = np.concatenate([self.vector(sums[lanes]), previous, preceding[lanes]], 2)
            rows = at.size
            ranks = masks[lanes, : max(0, c // per_quantizer - 1)].sum(1)
            biases = np.repeat(c * tensors.ranks + ranks, at.shape[1])
            features = self.features(
                context[lanes].reshape(rows, -1), local.reshape(rows, -1), self.head_bias[biases]
            )
            found = self._intervals_of_codebook(c, biases, features, places[lanes, c].ravel())
            starts[lanes, c], widths[lanes, c] = found[0].reshape(at.shape), found[1].reshape(at.shape)
            sums[lanes] += self.embedding[at]
            preceding[lanes] = self.preceding[at]
        return starts, widths

    def _contexts(self, masks: Masks, vectors: Numbers) -> Numbers:
        """`context` of all frames, from the vectors (n, T, E) of all frames. # (n, T, A + R)"""
        n, t, e = vectors.shape
        padded = np.concatenate([np.zeros((n, 2, e), vectors.dtype), vectors], 1)
        before = padded[:, 1 : t + 1].reshape(n * t, e)
        input_bias = np.repeat(self.mask_bias(masks, self.input_mask, self.input_bias), t, 0)
        x = self.input(before, padded[:, :t].reshape(n * t, e), input_bias)
        first = self._recurrence(n, *self.gates(x, self.gate1_weight, self.gate1_bias))
        both = np.concatenate([x, first], 1)
        second = self._recurrence(n, *self.gates(both, self.gate2_weight, self.gate2_bias))
        context_bias = np.repeat(self.mask_bias(masks, self.context_mask, self.context_bias), t, 0)
        return self.context(before, first, second, context_bias).reshape(n, t, -1)

    def _recurrence(self, n: int, gate: Numbers, candidate: Numbers) -> Numbers:
        """States of a recurrence as activations, from gates and candidates of all frames. # (n * T, H)"""
        gate, candidate = (x.reshape(n, -1, x.shape[-1]) for x in (gate, candidate))
        states, state = np.empty_like(candidate), np.zeros_like(candidate[:, 0])
        for t in range(candidate.shape[1]):
            state = self.step(state, gate[:, t], candidate[:, t])
            states[:, t] = state
        return self.output(states.reshape(-1, states.shape[-1]))

    def _intervals_of_codebook(
        self, codebook: int, biases: Integers, features: Numbers, places: Integers
    ) -> tuple[Integers, Integers]:
        """Starts and frequencies of indices of one codebook, (n,), (n, R) and (n,) -> (n,) twice."""
        tensors, arithmetic = self.tensors, self.arithmetic
        group, member = np.divmod(places, tensors.members)
        rows = np.arange(len(places))
        group_weight = arithmetic.load_matrix(self.group_weight[codebook])
        sums = arithmetic.product(features, group_weight) + self.group_bias[biases]
        of_groups = frequencies(self._logits(sums), tensors.members, TOTAL)
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(tensors.groups + 1))
        sums = np.empty((len(places), tensors.members), arithmetic.dtype)
        for g in np.flatnonzero(np.diff(bounds)).tolist():
            chosen, row = order[bounds[g] : bounds[g + 1]], codebook * tensors.groups + g
            weight = arithmetic.load_matrix(self.member_weight[row])
            sums[chosen] = arithmetic.product(features[chosen], weight)
        sums += self.member_bias[biases * tensors.groups + group]
        of_members = frequencies(self._logits(sums), 1, of_groups[rows, group])
        before = _sum_before(of_groups, group) + _sum_before(of_members, member)
        return before, of_members[rows, member]

    def _logits(self, sums: Numbers) -> Integers:
        """Sums of the last layer as logits in steps of 1/16 bit."""
        return self.arithmetic.shift(sums, LOGIT_SHIFT).astype(np.int64)

    def vector(self, sums: Numbers) -> Numbers:
        """Sums of embeddings as activations."""
        return np.minimum(np.maximum(sums, -LIMIT), LIMIT)

    def mask_bias(self, masks: Masks, table: npt.NDArray[np.int32], bias: Numbers) -> Numbers:
        """A bias plus the rows of a table for the experts of each mask. # (lanes, .)"""
        return self.arithmetic.load(masks.astype(np.int64) @ table.astype(np.int64)) + bias

    def _activation(self, acc: Numbers, low: int) -> Numbers:
        return self.arithmetic.clip(self.arithmetic.shift(acc, ACTIVATION_SHIFT), low, LIMIT)


class IndexContext:
    """What the model knows of some lanes: a block each, all at the same frame.

    Call `next_frame` once for each frame; then for each of the frame's indices `predict`,
    `group_frequencies`, `member_frequencies` and `update`. Calls name the lanes that they are for, so that
    blocks may differ in codebooks and frames.

    Args:
        model: The model.
        masks: Of the blocks. # (lanes, Nr)
    """

    def __init__(self, model: IndexModel, masks: Masks) -> None:
        self.model = model
        tensors, dtype = model.tensors, model.arithmetic.dtype
        lanes, e, h = len(masks), tensors.embedding.shape[-1], len(tensors.input_bias)
        self._input_bias = model.mask_bias(masks, model.input_mask, model.input_bias)
        self._context_bias = model.mask_bias(masks, model.context_mask, model.context_bias)
        self._rows = np.arange(lanes)
        self._first, self._second = np.zeros((lanes, h), dtype), np.zeros((lanes, h), dtype)
        self._sum = np.zeros((lanes, e), dtype)  # of the embeddings of the frame so far
        self._preceding = np.zeros((lanes, e), dtype)  # embedding of the index just before in the frame
        self._before = np.zeros((lanes, e), dtype)  # vector of the frame before
        self._previous = np.zeros((lanes * tensors.codebooks, e), dtype)  # by lane * C + codebook
        self._context = np.zeros((0, 0), dtype)
        # of the indices that were predicted last
        self._features = np.zeros((0, 0), dtype)
        self._lanes: Lanes = slice(0, 0)
        self._codebooks = np.zeros(0, np.int64)
        self._biases = np.zeros(0, np.int64)  # rows of biases
        self._entries = np.zeros(0, np.int64)  # of `_previous`

    def next_frame(self) -> None:
        """Begin the next frame, the first one included."""
        model = self.model
        earlier, self._before = self._before, model.vector(self._sum)
        self._sum, self._preceding = np.zeros_like(self._before), np.zeros_like(self._before)
        x = model.input(self._before, earlier, self._input_bias)
        self._first = model.step(self._first, *model.gates(x, model.gate1_weight, model.gate1_bias))
        first = model.output(self._first)
        both = np.concatenate([x, first], 1)
        self._second = model.step(self._second, *model.gates(both, model.gate2_weight, model.gate2_bias))
        self._context = model.context(self._before, first, model.output(self._second), self._context_bias)

    def predict(self, lanes: Lanes, codebooks: Integers, rank: int) -> None:
        """Calculate the features of the next index of some lanes.

        Args:
            lanes: Numbers of the lanes, each at most once. # (n,)
            codebooks: Of the index; they ascend within the frame of a lane. # (n,)
            rank: Number of experts that come before the quantizers of these codebooks in the frame.
        """
        model = self.model
        self._lanes, self._codebooks = lanes, codebooks
        self._biases = codebooks * model.tensors.ranks + rank
        self._entries = self._rows[lanes] * model.tensors.codebooks + codebooks
        previous = self._previous.take(self._entries, 0)
        local = np.concatenate([model.vector(self._sum[lanes]), previous, self._preceding[lanes]], 1)
        self._features = model.features(self._context[lanes], local, model.head_bias.take(self._biases, 0))

    def group_frequencies(self) -> Integers:
        """Frequencies of the groups of the index predicted last. # (n, G)"""
        return self.model.group_frequencies(self._features, self._codebooks, self._biases)

    def member_frequencies(self, groups: Integers, totals: Integers) -> Integers:
        """Frequencies of the members of one group for each lane.

        Args:
            groups: # (n,)
            totals: Frequencies of these groups. # (n,)

        Returns:
            Frequencies. # (n, M)
        """
        return self.model.member_frequencies(self._features, self._codebooks, self._biases, groups, totals)

    def frequencies(self, lanes: Lanes, codebooks: Integers, rank: int) -> Integers:
        """Frequencies of all indices of one codebook for each of some lanes.

        Args:
            lanes: # (n,)
            codebooks: # (n,)
            rank: As for `predict`.

        Returns:
            Frequencies in the order of indices, each at least 1, with a sum of 2^16. # (n, K)
        """
        self.predict(lanes, codebooks, rank)
        totals, tensors = self.group_frequencies(), self.model.tensors
        by_group = [
            self.member_frequencies(np.full(len(codebooks), g), totals[:, g]) for g in range(tensors.groups)
        ]
        return np.take_along_axis(np.concatenate(by_group, 1), tensors.places[codebooks], 1)

    def update(self, places: Integers) -> None:
        """Take the places of the indices predicted last. # (n,)"""
        model = self.model
        rows = self._codebooks * model.tensors.size + places
        self._sum[self._lanes] += model.embedding.take(rows, 0)
        self._previous[self._entries] = model.previous.take(rows, 0)
        self._preceding[self._lanes] = model.preceding.take(rows, 0)
