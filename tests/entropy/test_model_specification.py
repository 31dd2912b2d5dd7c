"""The models and their coder as bitstream_spec.md has them, and its examples of streams that use them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_index_model import POWERS, decode_block, nested
from plain_waveform import decode_layer

from switchcodec_cli.bitstream import StreamReader, Window
from switchcodec_cli.bitstream import index_model as index_model_module
from switchcodec_cli.bitstream import waveform_model as waveform_model_module
from switchcodec_cli.bitstream.index_model import IndexModel, IndexModelTensors
from switchcodec_cli.bitstream.modelled_payload import model_indices, restore_indices, restore_layers
from switchcodec_cli.bitstream.waveform_layer import LARGEST_STEP, encode_layers
from switchcodec_cli.bitstream.waveform_model import WaveformModel, WaveformModelTensors
from switchcodec_cli.model.dsp.mdct import mdct, mdct_basis

TEXT = (Path(__file__).parents[2] / "bitstream_spec.md").read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())
SIZES = {"Nr": 4, "S": 1, "C": 5, "K": 16, "G": 4, "E": 2, "H": 3, "A": 4, "R": 3, "N": 4}  # of the example


WAVEFORM_SIZES = {"C": 5, "K": 16, "E": 2, "R": 1, "A": 3, "D": 3, "B": 4, "G": 3, "Q": 2}


def size_of(expression: str, sizes: dict[str, int] = SIZES) -> int:
    """The value of one entry of a shape such as 2E, (A + R) or (2R + 1)E."""
    inner, name = re.fullmatch(r"\(?([^()]+)\)?(\w)?", expression.strip()).groups()
    total = 0
    for term in inner.split("+"):
        factor, symbol = re.fullmatch(r"(\d*)(\w*)", term.strip()).groups()
        total += int(factor or 1) * sizes.get(symbol, 1)
    return total * sizes.get(name, 1)


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


def waveform_shapes() -> dict[str, tuple[list[int], str]]:
    """Names, shapes and types of the tensors in the table of Section 15.1, in its order."""
    table = TEXT[TEXT.index("### 15.1") : TEXT.index("### 15.2")]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (\w+) \|$", table, re.MULTILINE)
    return {
        name: ([size_of(entry, WAVEFORM_SIZES) for entry in shape.split("×")], kind)
        for name, shape, kind in rows
    }


def rows_of(name: str) -> list[list[float]]:
    """The rows of a tensor that Section 11.5 gives."""
    text = " ".join(TEXT[TEXT.index("### 11.5") : TEXT.index("## 12.")].split())
    numbers = re.search(rf"(?:rows of `{name}`|Those of `{name}`) are ([\d., ;and]+)\. ", text)[1]
    return [[float(x) for x in re.findall(r"[\d.]+", row)] for row in numbers.split(";")]


def waveform_tensors() -> dict[str, np.ndarray]:
    """The model of the example, by the rule of Section 11.5."""
    rules = {
        "embedding": lambda r, i: 16 * r,
        "output_bias": lambda r, i: 32 * r + 5120,
        "offset": lambda r, i: 2 * i,
    }
    tensors = {}
    for number, (name, (shape, kind)) in enumerate(waveform_shapes().items()):
        if name in ("frequencies", "levels"):
            tensors[name] = np.array(rows_of(name), kind)
            assert list(tensors[name].shape) == shape
            continue
        rule = rules.get(name, (lambda r, i: 32 * r) if name.endswith("_bias") else lambda r, i: r)
        values = [
            rule(((i + 1) * (i + 7 * number + 3) * 40503 // 256) % 255 - 127, i)
            for i in range(int(np.prod(shape)))
        ]
        tensors[name] = np.array(values, kind).reshape(shape)
    return tensors


def example(heading: str = "### 11.4") -> tuple[bytes, list[dict]]:
    """The bytes of an example, and its windows."""
    part = TEXT[TEXT.index(heading) :]
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


def test_waveform_tensors_are_those_of_the_package() -> None:
    assert list(waveform_shapes()) == list(WaveformModelTensors.__dataclass_fields__)
    tensors = WaveformModelTensors.from_arrays(waveform_tensors())
    assert (tensors.codebooks, tensors.reach, tensors.bins, tensors.classes, tensors.largest) == (
        5,
        1,
        4,
        3,
        2,
    )
    limits = f"G ≤ {waveform_model_module.LARGEST_CLASSES} of classes, and the largest value Q ≤ "
    assert limits + str(waveform_model_module.LARGEST_VALUE) in PROSE
    assert f"output_bias) >> 7, 0, {waveform_model_module.LARGEST_SIZE})" in PROSE
    assert f"its step s, one byte of 1..{LARGEST_STEP}" in PROSE


def test_example_of_waveform_layers_decodes() -> None:
    """By the plain reader and by the package; and the package writes the same layer."""
    arrays = waveform_tensors()
    tensors = WaveformModelTensors.from_arrays(arrays)
    lists = {name: nested(array.ravel().tolist(), list(array.shape)) for name, array in arrays.items()}
    data, expected = example("### 11.5")
    reader = StreamReader(io.BytesIO(data))
    windows = list(reader)
    restored = restore_layers(reader.header, WaveformModel(tensors), windows, 0)
    layers = 0
    for window, content in zip(restored, expected, strict=True):
        assert isinstance(window, Window)
        for block, signal in zip(window.blocks, content["signals"], strict=True):
            if not block.waveform:
                assert block.coefficients is None and "layer" not in signal
                continue
            layers += 1
            flat = [codebook for quantizer in signal["indices"] for codebook in quantizer]
            integers, values = decode_layer(lists, list(block.experts), flat, block.waveform)
            assert integers == signal["values"]
            np.testing.assert_allclose(block.coefficients, values, rtol=1e-6)
            assert values[0][0] == pytest.approx(2**0.5)
            mask = np.isin(np.arange(4), block.experts)
            (sizes,) = WaveformModel(tensors).sizes(mask[None], [np.array(flat)])
            assert sizes.tolist() == [[64, 7, 35, 18], [64, 7, 35, 18], [52, 0, 50, 49]]
            step = block.waveform[0]
            assert encode_layers(tensors, [sizes], [step], [np.array(integers)]) == [block.waveform]
    assert layers == 1


def test_mdct_of_the_specification() -> None:
    """The formulas of Sections 15.4 and 15.5 are the transform of the package, and invert each other."""
    hop, frames = 8, 6
    signal = np.random.default_rng(0).normal(size=hop * frames)
    n, b = np.arange(2 * hop), np.arange(hop)
    window = np.sin(np.pi * (n + 0.5) / (2 * hop))
    cosine = np.cos(np.pi / hop * (n[:, None] + 0.5 + hop / 2) * (b + 0.5))
    basis = np.sqrt(2 / hop) * window[:, None] * cosine
    np.testing.assert_allclose(mdct_basis(hop, hop).numpy(), basis, atol=1e-6)
    padded = np.pad(signal, (hop // 2, hop // 2))  # frame f begins with sample f H - H / 2
    coefficients = [padded[f * hop : (f + 2) * hop] @ basis for f in range(frames)]
    found = mdct(torch.from_numpy(signal[None]).float(), mdct_basis(hop, hop))[0].numpy()
    np.testing.assert_allclose(found, coefficients, atol=1e-5)
    inverse = np.zeros_like(padded)
    for f, x in enumerate(coefficients):
        inverse[f * hop : (f + 2) * hop] += basis @ x
    whole = slice(hop, -hop)  # that two frames cover
    np.testing.assert_allclose(inverse[whole], padded[whole], atol=1e-10)


def test_bound_of_the_package() -> None:
    assert "127 × Σ|w| + Σ|b| < 2^24 − 2^13" in PROSE
    assert index_model_module.ROOM == 2**24 - 2**13


def test_powers() -> None:
    assert "P[0] = 32768, P[16] = 16384, P[255] = 1" in PROSE
    assert index_model_module.POWERS.tolist() == POWERS
    assert (POWERS[0], POWERS[16], POWERS[255]) == (32768, 16384, 1)
