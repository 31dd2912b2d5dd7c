"""Weights files with matrices in eight bits."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import SPECTRAL, build

from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model import eight_bit_storage
from switchcodec_cli.model.eight_bit_storage import from_eight_bits, to_eight_bits
from switchcodec_cli.model.weights import load_weights, save_weights
from switchcodec_cli.model.weights_info import count_parameters, read_weights

SUFFIX = eight_bit_storage.SCALE_SUFFIX


def matrix(rows, columns):
    values = np.random.default_rng(0).normal(size=(rows, columns))
    return (values * np.logspace(-3, 1, rows)[:, None]).astype(np.float32)


@pytest.fixture
def small(monkeypatch):
    """Small tensors count as large ones."""
    monkeypatch.setattr(eight_bit_storage, "LEAST_VALUES", 100)


@pytest.mark.parametrize("columns", [128, 300])
def test_values_are_near(columns):
    original = matrix(520, columns)
    stored = to_eight_bits({"encoder.a": original}, ["encoder."])
    assert stored["encoder.a"].dtype == np.int8
    restored = from_eight_bits(stored)["encoder.a"]
    assert restored.dtype == np.float32 and restored.shape == original.shape
    largest = np.abs(original).max(1, keepdims=True)
    assert (np.abs(restored - original) <= largest / 252).all()


def test_only_large_matrices_with_a_prefix():
    tensors = {
        "encoder.large": matrix(256, 300),
        "encoder.small": matrix(10, 10),
        "encoder.vector": np.zeros(70_000, np.float32),
        "decoder.large": matrix(256, 300),
    }
    stored = to_eight_bits(tensors, ["encoder.", "refiner."])
    assert set(stored) == {*tensors, "encoder.large" + SUFFIX}
    assert {name for name, tensor in stored.items() if tensor.dtype == np.int8} == {"encoder.large"}


def test_zeros_and_three_dimensions():
    original = np.zeros((4, 130, 200), np.float32)
    original[1, 5, 7] = -2
    restored = from_eight_bits(to_eight_bits({"a": original}, ["a"]))["a"]
    assert restored.shape == original.shape and np.isclose(restored, original, rtol=1e-3, atol=0).all()


def test_saving_again_gives_the_same_file(tmp_path, small):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    made = build(SPECTRAL)
    fingerprint = save_weights(first, made, {}, eight_bits=["encoder."])
    model, again, provenance = load_weights(first)
    assert again == fingerprint
    assert save_weights(second, model, provenance, eight_bits=["encoder."]) == fingerprint
    assert first.stat().st_size == second.stat().st_size
    assert read_weights(first).info.parameters == count_parameters(read_weights(second).tensors)


def test_only_what_is_stored_in_eight_bits_changes(tmp_path, small):
    path, made = tmp_path / "weights.safetensors", build(SPECTRAL).half().float()
    save_weights(path, made, {}, eight_bits=["encoder."])
    with safe_open(path, framework="np") as file:
        eight_bits = {name for name in file.keys() if file.get_tensor(name).dtype == np.int8}  # noqa: SIM118
    assert eight_bits and all(name.startswith("encoder.") for name in eight_bits)
    before, after = made.state_dict(), load_weights(path).model.state_dict()
    for name, value in before.items():
        stored = name.removeprefix("backbone.")
        if stored not in eight_bits and not name.startswith("backbone.analysis"):
            assert torch.equal(after[name], value), name


def test_scales_that_do_not_fit_are_refused(tmp_path, small):
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(SPECTRAL), {}, eight_bits=["encoder."])
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = next(name for name in tensors if name.endswith(SUFFIX))
    of = name.removesuffix(SUFFIX)
    for changed in (
        {**tensors, name: tensors[name][:-1].clone()},
        {**tensors, name: tensors[name].half()},
        {**tensors, of: tensors[of].half()},
        {key: value for key, value in tensors.items() if key != of},
    ):
        save_file(changed, path, metadata=metadata)
        with pytest.raises(WeightsError, match=SUFFIX):
            read_weights(path)
    save_file({k: v for k, v in tensors.items() if k != name}, path, metadata=metadata)
    with pytest.raises(WeightsError, match="int8"):
        load_weights(path)
