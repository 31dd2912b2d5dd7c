"""The index model and its coder as bitstream_spec.md has them, and its example of an entropy-coded stream."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
from plain_index_model import POWERS, decode_block, nested

from switchcodec_cli.bitstream import StreamReader, Window
from switchcodec_cli.bitstream import index_model as index_model_module
from switchcodec_cli.bitstream.index_model import IndexModel, IndexModelTensors
from switchcodec_cli.bitstream.modelled_payload import model_indices, restore_indices

TEXT = (Path(__file__).parents[2] / "bitstream_spec.md").read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())
SIZES = {"Nr": 4, "S": 1, "C": 5, "K": 16, "G": 4, "E": 2, "H": 3, "A": 4, "R": 3, "N": 4}  # of the example


def size_of(expression: str) -> int:
    """The value of one entry of a shape such as 2E or (A + R)."""
    total = 0
    for term in expression.strip(" ()").split("+"):
        factor, name = re.fullmatch(r"(\d*)(\w+)", term.strip()).groups()
        total += int(factor or 1) * SIZES[name]
    return total


def shapes() -> dict[str, list[int]]:
    """Names and shapes of the tensors in the table of Section 13.2, in its order."""
    table = TEXT[TEXT.index("### 13.2") : TEXT.index("### 13.3")]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| int(?:8|32) \|$", table, re.MULTILINE)
    return {name: [size_of(entry) for entry in shape.split("×")] for name, shape in rows}


def example_tensors() -> dict[str, np.ndarray]:
    """The model of the example, by the rule of Section 11.4."""
    tensors = {}
    for number, (name, shape) in enumerate(shapes().items()):
        values = []
        for i in range(int(np.prod(shape))):
            if name == "order":
                values.append((5 * (i % SIZES["K"]) + i // SIZES["K"]) % SIZES["K"])
                continue
            r = ((i + 1) * (i + 7 * number + 3) * 40503 // 256) % 255 - 127
            values.append(32 * r if name.endswith(("_bias", "_mask")) else r)
        wide = name == "order" or name.endswith(("_bias", "_mask"))
        tensors[name] = np.array(values, np.int32 if wide else np.int8).reshape(shape)
    return tensors


def example() -> tuple[bytes, list[dict]]:
    """The bytes of the example, and its windows."""
    part = TEXT[TEXT.index("### 11.4") :]
    dump, content = re.search(r"```hex\n(.*?)```\n\n```json\n(.*?)```", part, re.DOTALL).groups()
    data = b"".join(bytes.fromhex(line[6:53].split("   ")[0]) for line in dump.splitlines())
    return data, json.loads(content)["windows"]


def test_tensors_are_those_of_the_package() -> None:
    assert list(shapes()) == list(IndexModelTensors.__dataclass_fields__)
    IndexModelTensors.from_arrays(example_tensors())


def test_example_decodes() -> None:
    """By the plain reader and by the package; and the package writes the same payload."""
    tensors = example_tensors()
    model = IndexModel(IndexModelTensors.from_arrays(tensors))
    lists = {name: nested(array.ravel().tolist(), list(array.shape)) for name, array in tensors.items()}
    data, expected = example()
    reader = StreamReader(io.BytesIO(data))
    windows = list(reader)
    restored = restore_indices(reader.header, model, windows, 0)
    modelled = 0
    for window, plain, content in zip(windows, restored, expected, strict=True):
        assert isinstance(window, Window) and isinstance(plain, Window)
        for block, signal in zip(window.blocks, content["signals"], strict=True):
            if not block.modelled:
                continue
            modelled += 1
            found = decode_block(lists, list(block.experts), window.frames, block.modelled)
            assert [[row] for row in found] == signal["indices"] == plain.blocks[0].indices.tolist()
    assert modelled == 1
    assert model_indices(reader.header.parameters, model, restored[:1]) == windows[:1]


def test_bound_of_the_package() -> None:
    assert "127 × Σ|w| + Σ|b| < 2^24 − 2^13" in PROSE
    assert index_model_module.ROOM == 2**24 - 2**13


def test_powers() -> None:
    assert "P[0] = 32768, P[16] = 16384, P[255] = 1" in PROSE
    assert index_model_module.POWERS.tolist() == POWERS
    assert (POWERS[0], POWERS[16], POWERS[255]) == (32768, 16384, 1)
