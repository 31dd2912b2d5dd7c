"""Saving, loading and describing weights files, and their fingerprint."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_models import Sizes, random_tensors
from random_waveform_models import WaveformSizes, random_waveform_tensors
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import BOTH, DAC, SPECTRAL, build, decoded, noise

from switchcodec_cli.bitstream.waveform_model import WaveformModel
from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.weights import load_weights, save_weights, to_file_names, to_state_dict
from switchcodec_cli.model.weights_info import read_weights


def contents(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(SPECTRAL), {"data": "noise"})
    return path


@pytest.mark.parametrize("name", BOTH)
def test_round_trip(name, tmp_path):
    path = tmp_path / "weights.safetensors"
    made = build(BOTH[name]).half().float()
    if name == "spectral":
        made.backbone.analysis.reset_window()  # not stored in the file, hence not rounded
    fingerprint = save_weights(path, made, {"data": "noise"})
    model, again, provenance = load_weights(path)
    assert read_weights(path).info.fingerprint == fingerprint
    assert (again, provenance, model.config) == (fingerprint, {"data": "noise"}, BOTH[name])
    assert not model.training
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]
    audio = noise(2, 40 * model.hop)
    with torch.inference_mode():
        assert torch.equal(model.backbone.encode(audio), made.backbone.encode(audio))
        z = noise(2, 9, 8)
        assert torch.equal(decoded(model, z), decoded(made, z))


def test_fingerprint_covers_all_tensors_and_the_configuration(saved, tmp_path):
    tensors, metadata = contents(saved)
    _, original, _ = load_weights(saved)
    other = tmp_path / "other.safetensors"
    for name in tensors:
        changed = dict(tensors)
        flat = tensors[name].clone().flatten()
        flat[-1] += 1
        changed[name] = flat.view_as(tensors[name])
        save_file(changed, other, metadata=metadata)
        assert load_weights(other)[1] != original, name
    config = json.loads(metadata["config"])
    config["spectral"]["phase_iterations"] += 1
    save_file(tensors, other, metadata={**metadata, "config": json.dumps(config)})
    assert load_weights(other)[1] != original
    # the provenance is not covered
    save_file(tensors, other, metadata={**metadata, "provenance": '{"data": "more noise"}'})
    assert load_weights(other)[1] == original


def test_tensors_that_do_not_match_the_model_are_refused(saved, tmp_path):
    tensors, metadata = contents(saved)
    other = tmp_path / "other.safetensors"

    def refuse(changed, pattern):
        save_file(changed, other, metadata=metadata)
        with pytest.raises(WeightsError, match=pattern):
            load_weights(other)

    name = "quantizer.router.weight"
    refuse({k: v for k, v in tensors.items() if k != name}, f"missing tensor {name}")
    refuse({**tensors, "surplus": torch.zeros(3)}, "unknown tensor surplus")
    refuse({**tensors, name: tensors[name][:, 1:].clone()}, f"{name} has shape")
    refuse({**tensors, name: tensors[name].long()}, f"{name}.*int64")
    damaged = tensors[name].clone()
    damaged[0, 0] = float("nan")
    refuse({**tensors, name: damaged}, f"{name}.*finite")


SIZES = WaveformSizes(experts=6, per_quantizer=2, size=16, bins=16)


def with_waveform_model(tmp_path, **changes):
    """A file of weights with index and waveform models."""
    model = build(SPECTRAL)
    model.index_tensors = random_tensors(Sizes(6, 2, 16, 4), 0)
    model.waveform_tensors = random_waveform_tensors(replace(SIZES, **changes), 0)
    path = tmp_path / "both.safetensors"
    return path, save_weights(path, model, {}), model


def test_waveform_model_is_stored_beside_the_index_model(tmp_path):
    path, fingerprint, made = with_waveform_model(tmp_path)
    stored = read_weights(path)
    assert stored.info.has_index_model and stored.info.has_waveform_model
    assert stored.info.fingerprint == fingerprint
    assert not any(name.startswith(("index_model.", "waveform_model.")) for name in stored.tensors)
    loaded = load_weights(path)
    assert loaded.fingerprint == fingerprint
    for first, second in (
        (loaded.model.waveform_tensors, made.waveform_tensors),
        (loaded.model.index_tensors, made.index_tensors),
        (stored.waveform_model, made.waveform_tensors),
    ):
        for name, array in second.arrays.items():
            assert np.array_equal(first.arrays[name], array) and first.arrays[name].dtype == array.dtype
    masks, indices = np.ones((1, 6), bool), [np.arange(14 * 5).reshape(14, 5) % 16]
    expected = WaveformModel(made.waveform_tensors).sizes(masks, indices)
    assert np.array_equal(loaded.model.waveform_model.sizes(masks, indices), expected)


def test_fingerprint_covers_the_waveform_model(tmp_path):
    path, fingerprint, _ = with_waveform_model(tmp_path)
    tensors, metadata = contents(path)
    tensors["waveform_model.levels"][0, 1] *= 0.99
    save_file(tensors, path, metadata=metadata)
    assert read_weights(path).info.fingerprint != fingerprint
    without = {name: tensor for name, tensor in tensors.items() if not name.startswith("waveform_model.")}
    save_file(without, path, metadata=metadata)
    stored = read_weights(path)
    assert stored.waveform_model is None and not stored.info.has_waveform_model
    assert stored.info.fingerprint != fingerprint
    with pytest.raises(WeightsError, match="these weights have no waveform model"):
        _ = load_weights(path).model.waveform_model


@pytest.mark.parametrize("changes", [{"size": 8}, {"experts": 5}, {"bins": 129}])
def test_waveform_model_of_other_weights_is_refused(tmp_path, changes):
    path, _, _ = with_waveform_model(tmp_path, **changes)
    with pytest.raises(WeightsError, match="waveform model is not for the quantizers and the hop"):
        read_weights(path)


def test_invalid_waveform_model_is_refused(tmp_path):
    path, _, _ = with_waveform_model(tmp_path)
    tensors, metadata = contents(path)
    tensors["waveform_model.offset"][0] = 256
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(
        WeightsError, match=r"both.safetensors: waveform model: offset is not within 0\.\.255"
    ):
        read_weights(path)


def test_values_beyond_the_range_of_float32_are_refused(saved, tmp_path):
    tensors, metadata = contents(saved)
    name = "quantizer.router.weight"
    double = tensors[name].double()
    other = tmp_path / "other.safetensors"
    save_file({**tensors, name: double}, other, metadata=metadata)
    load_weights(other)
    double[0, 0] = 1e300
    save_file({**tensors, name: double}, other, metadata=metadata)
    with pytest.raises(WeightsError, match=f"{name}.*finite"):
        load_weights(other)


def test_weights_that_turn_silence_into_infinity_are_refused(saved):
    tensors, metadata = contents(saved)
    tensors["analysis.deviation"].zero_()  # the encoder divides by it
    save_file(tensors, saved, metadata=metadata)
    with pytest.raises(WeightsError, match="silence"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:1] can't allocate memory"), "out of memory"),
        (OverflowError("int too large"), "int too large"),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_failures_to_build_a_model_are_errors_of_the_weights(saved, monkeypatch, error, reason):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(CodecModel, "load_state_dict", fail)
    with pytest.raises(WeightsError, match=reason) as caught:
        load_weights(saved)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4


def test_numbers_too_large_for_a_float_are_refused(saved):
    tensors, metadata = contents(saved)
    config = json.loads(metadata["config"])
    config["spectral"]["floor"] = 10**400
    save_file(tensors, saved, metadata={**metadata, "config": json.dumps(config)})
    with pytest.raises(WeightsError, match=r"spectral\.floor is too large"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"format": "switchcodec-9"}, "not SwitchCodec weights"),
        ({"config": "{"}, "invalid metadata"),
        ({"config": "[" * 100_000}, "invalid metadata"),
        ({"config": "[]"}, "must be a table"),
        ({"config": '{"colour": 1}'}, "unknown field model.colour"),
        ({"provenance": "[]"}, "invalid metadata"),
    ],
)
def test_invalid_metadata_is_refused(saved, change, pattern):
    tensors, metadata = contents(saved)
    save_file(tensors, saved, metadata={**metadata, **change})
    for read in (read_weights, load_weights):
        with pytest.raises(WeightsError, match=pattern) as caught:
            read(saved)
        assert "\n" not in str(caught.value)


def test_invalid_files_are_refused(saved, tmp_path):
    data = saved.read_bytes()
    bad = tmp_path / "bad.safetensors"
    for content in (b"", b"RIFF", data[:100], data[: len(data) // 2], b"\xff" * 64):
        bad.write_bytes(content)
        for read in (read_weights, load_weights):
            with pytest.raises(WeightsError, match=r"bad\.safetensors"):
                read(bad)
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError):
            load_weights(path)
    tensors, _ = contents(saved)
    save_file(tensors, bad)
    with pytest.raises(WeightsError, match="not SwitchCodec weights"):
        load_weights(bad)


def test_names_of_the_tensors_of_dac(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, build(DAC), {})
    names = contents(path)[0].keys()
    assert "quantizer.experts.4.codebooks.0.project_in.weight" in names
    assert not any(name.startswith("analysis") for name in names)


def test_prefix_of_the_backbone_is_not_stored():
    state = {"backbone.encoder.weight": torch.ones(2), "quantizer.router.weight": torch.zeros(3)}
    stored = to_file_names(state)
    assert list(stored) == ["encoder.weight", "quantizer.router.weight"]
    restored = to_state_dict({name: tensor.half().numpy() for name, tensor in stored.items()}, state)
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[name], tensor) for name, tensor in state.items())
