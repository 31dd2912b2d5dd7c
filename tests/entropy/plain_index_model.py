"""The index model and its coder in plain Python: a slow reader of Sections 13 and 14 of the specification."""

from __future__ import annotations

import json
import struct
from operator import mul
from pathlib import Path

FORMATS = {"I8": "b", "I16": "h", "I32": "i", "F32": "f"}


class Damage(Exception):
    """A payload is not one that an encoder writes."""


def read_tensors(path: Path, prefix: str = "index_model.") -> dict[str, list]:
    """The tensors of a safetensors file whose names have a prefix, as nested lists, without the prefix."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__" or not name.startswith(prefix):
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        code = FORMATS[entry["dtype"]]
        flat = list(struct.unpack(f"<{(end - begin) // struct.calcsize(code)}{code}", data[begin:end]))
        tensors[name.removeprefix(prefix)] = nested(flat, entry["shape"])
    return tensors


def nested(flat: list[int], shape: list[int]) -> list:
    """A flat list as nested lists of a shape."""
    if len(shape) == 1:
        return flat
    size = len(flat) // shape[0]
    return [nested(flat[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def clamp(x: int, low: int, high: int) -> int:
    """x within low ... high."""
    return max(low, min(high, x))


def product(matrix: list[list[int]], x: list[int]) -> list[int]:
    """A matrix times a vector."""
    return [sum(map(mul, row, x)) for row in matrix]


def add(*vectors: list[int]) -> list[int]:
    """The sum of vectors."""
    return [sum(values) for values in zip(*vectors, strict=True)]


def activations(sums: list[int], low: int) -> list[int]:
    """Sums in units of 1/8192 as activations in units of 1/64."""
    return [clamp((x + 64) >> 7, low, 127) for x in sums]


def power(d: int) -> int:
    """2^(15 - d / 16) rounded to the nearest integer, by bisection in integers."""
    low, high = 0, 1 << 15  # the greatest n with (2 n - 1)^16 <= 2^(256 - d)
    while low < high:
        middle = (low + high + 1) // 2
        if (2 * middle - 1) ** 16 <= 1 << (256 - d):
            low = middle
        else:
            high = middle - 1
    return low


POWERS = [power(d) for d in range(256)]


def frequencies(sums: list[int], least: int, total: int) -> list[int]:
    """Frequencies of at least `least` that add up to `total`."""
    logits = [(x + 32) >> 6 for x in sums]
    greatest = max(logits)
    weights = [POWERS[min(greatest - x, 255)] for x in logits]
    whole = sum(weights)
    found = [least + w * (total - least * len(logits)) // whole for w in weights]
    found[logits.index(greatest)] += total - sum(found)
    return found


def symbol(found: list[int], slot: int) -> tuple[int, int]:
    """The symbol that a slot lies in, and where the symbol starts."""
    start = 0
    for number, frequency in enumerate(found):
        if slot < start + frequency:
            return number, start
        start += frequency
    raise AssertionError("the slot is not below the total")


class PlainContext:
    """What the model knows of one block."""

    def __init__(self, tensors: dict[str, list], mask: list[int]) -> None:
        self.t = tensors
        self.groups = len(tensors["group_weight"][0])
        self.members = len(tensors["order"][0]) // self.groups
        per_quantizer = len(tensors["order"]) // (len(tensors["input_mask"]) + 1)
        quantizers = [0] + [expert + 1 for expert in mask]
        self.codebooks = [q * per_quantizer + s for q in quantizers for s in range(per_quantizer)]
        self.rank = {c: max(0, i // per_quantizer - 1) for i, c in enumerate(self.codebooks)}
        self.dimension = len(tensors["embedding"][0][0])
        self.input_bias = add(tensors["input_bias"], *(tensors["input_mask"][e] for e in mask))
        self.context_bias = add(tensors["context_bias"], *(tensors["context_mask"][e] for e in mask))
        width = len(self.input_bias)
        self.first, self.second = [0] * width, [0] * width
        self.zero = [0] * self.dimension
        self.sum, self.before, self.preceding = self.zero, self.zero, self.zero
        self.previous = dict.fromkeys(self.codebooks, self.zero)
        self.context: list[int] = []
        self.features: list[int] = []

    def vector(self) -> list[int]:
        """The sum of the embeddings of the frame so far."""
        return [clamp(x, -127, 127) for x in self.sum]

    def recurrence(self, state: list[int], x: list[int], name: str) -> list[int]:
        """The next state."""
        sums = add(product(self.t[f"{name}_weight"], x), self.t[f"{name}_bias"])
        width = len(state)
        result = []
        for h, gate, candidate in zip(state, sums[:width], sums[width:], strict=True):
            z = clamp(64 + ((gate + 32) >> 6), 0, 128)
            c = clamp((candidate + 64) >> 7, -127, 127) << 6
            result.append(h + ((z * (c - h) + 64) >> 7))
        return result

    def next_frame(self) -> None:
        """Begin a frame."""
        earlier, self.before = self.before, self.vector()
        self.sum, self.preceding = self.zero, self.zero
        x = activations(add(product(self.t["input_weight"], self.before + earlier), self.input_bias), 0)
        self.first = self.recurrence(self.first, x, "gate1")
        first = [(h + 32) >> 6 for h in self.first]
        self.second = self.recurrence(self.second, x + first, "gate2")
        second = [(h + 32) >> 6 for h in self.second]
        self.context = add(product(self.t["context_weight"], self.before + first + second), self.context_bias)

    def predict(self, c: int) -> None:
        """Features for the index of codebook c."""
        local = self.vector() + self.previous[c] + self.preceding
        sums = add(self.context, product(self.t["head_weight"], local), self.t["head_bias"][c][self.rank[c]])
        hidden = len(self.t["feature_weight"][0])
        units = activations(sums[:hidden], 0)
        self.features = activations(add(product(self.t["feature_weight"], units), sums[hidden:]), -127)

    def group_frequencies(self, c: int) -> list[int]:
        """Frequencies of the groups of codebook c."""
        sums = add(product(self.t["group_weight"][c], self.features), self.t["group_bias"][c][self.rank[c]])
        return frequencies(sums, self.members, 1 << 16)

    def member_frequencies(self, c: int, group: int, total: int) -> list[int]:
        """Frequencies of the members of a group."""
        rows = slice(group * self.members, (group + 1) * self.members)
        bias = self.t["member_bias"][c][self.rank[c]][rows]
        sums = add(product(self.t["member_weight"][c][rows], self.features), bias)
        return frequencies(sums, 1, total)

    def update(self, c: int, place: int) -> None:
        """Take the place of the index of codebook c."""
        self.sum = add(self.sum, self.t["embedding"][c][place])
        self.previous[c] = self.t["previous"][c][place]
        self.preceding = self.t["preceding"][c][place]


class PlainDecoder:
    """The rANS decoder of one payload."""

    def __init__(self, payload: bytes) -> None:
        length = 3 if len(payload) % 2 else 4
        self.state = int.from_bytes(payload[:length], "little")
        lowest = 1 << (16 if length == 3 else 24)
        if len(payload) < length or self.state < lowest:
            raise Damage("no state of the coder")
        self.payload, self.at = payload, length

    def slot(self) -> int:
        """The next symbol's slot."""
        return self.state & 0xFFFF

    def advance(self, start: int, frequency: int) -> None:
        """Take a symbol."""
        self.state = frequency * (self.state >> 16) + (self.state & 0xFFFF) - start
        if self.state < 1 << 16:
            if self.at == len(self.payload):
                raise Damage("the payload is too short")
            self.state = (self.state << 16) | int.from_bytes(self.payload[self.at : self.at + 2], "little")
            self.at += 2

    def tail(self) -> int:
        """Check the end, and return the tail."""
        if self.at != len(self.payload) or self.state >= 1 << 17:
            raise Damage("the coder does not end in an end state")
        return self.state - (1 << 16)


def decode_block(tensors: dict[str, list], mask: list[int], frames: int, payload: bytes) -> list[list[int]]:
    """Indices of a block, by codebook and frame.

    Args:
        tensors: Of the model.
        mask: The block's experts, ascending.
        frames: Number of frames.
        payload: The block's bytes.
    """
    context, decoder = PlainContext(tensors, mask), PlainDecoder(payload)
    indices: list[list[int]] = [[] for _ in context.codebooks]
    size = len(tensors["order"][0])
    for frame in range(frames):
        context.next_frame()
        for row, c in zip(indices, context.codebooks, strict=True):
            if frame == frames - 1 and c == context.codebooks[-1]:
                break
            context.predict(c)
            of_groups = context.group_frequencies(c)
            group, start = symbol(of_groups, decoder.slot())
            of_members = context.member_frequencies(c, group, of_groups[group])
            member, offset = symbol(of_members, decoder.slot() - start)
            decoder.advance(start + offset, of_members[member])
            place = group * context.members + member
            context.update(c, place)
            row.append(tensors["order"][c][place])
    last, rest = divmod(decoder.tail(), (1 << 16) // size)
    if rest or last >= size:
        raise Damage("the last index is followed by bits that are not zero")
    indices[-1].append(last)
    return indices
