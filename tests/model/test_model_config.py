"""Model configurations: JSON, and the refusal of unknown, ill-typed and impossible values."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from tiny_models import BOTH, DAC, SPECTRAL

from switchcodec_cli.errors import WeightsError
from switchcodec_cli.model.config import DacConfig, ModelConfig, QuantizerConfig, SpectralConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("config", [ModelConfig(), *BOTH.values()])
def test_round_trip_through_json(config):
    again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.hop == config.hop


def test_hop_of_each_backbone():
    assert ModelConfig().hop == 1024
    assert ModelConfig(backbone="dac").hop == 512
    assert SPECTRAL.hop == 128
    assert DAC.hop == 8


@pytest.mark.parametrize(
    ("path", "younger_fields"),
    [
        ("weights/default.safetensors", ()),
        ("tests/golden/dac.safetensors", ()),
        ("tests/golden/spectral.safetensors", ("output_floor",)),
    ],
)
def test_json_of_kept_weights_is_stable(path, younger_fields):
    """The fingerprint of weights covers this text: other names or values would change it on saving."""
    with safe_open(ROOT / path, framework="pt") as file:
        text = file.metadata()["config"]
    config = ModelConfig.from_dict(json.loads(text))
    written = config.to_dict()
    for name in younger_fields:
        del written[config.backbone][name]
    assert json.dumps(written, sort_keys=True) == text


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": 1}, "unknown field model.colour"),
        ({"spectral": {"widht": 1}}, "unknown field model.spectral.widht"),
        ({"sample_rate": "44100"}, "model.sample_rate must be int"),
        ({"sample_rate": 44100.0}, "model.sample_rate must be int"),
        ({"sample_rate": True}, "model.sample_rate must be int"),
        ({"quantizer": []}, "model.quantizer must be a table"),
        ({"quantizer": {"experts": None}}, "model.quantizer.experts must be int"),
        ({"backbone": "transformer"}, "backbone"),
        ({"quantizer": {"form": "lattice"}}, "form"),
        ({"backbone": "dac", "dac": {"strides": 2}}, "strides"),
        ({"backbone": "dac", "dac": {"strides": ["2"]}}, "strides"),
    ],
)
def test_unknown_and_ill_typed_fields_are_refused(change, word):
    with pytest.raises(WeightsError, match=word):
        ModelConfig.from_dict(change)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 0},
        {"latent_dimension": 0},
        {"latent_dimension": 10**9},
        {"frames_per_window": -1},
        {"quantizer": {"experts": 10**9}},
        {"quantizer": {"experts": 0}},
        {"quantizer": {"codebook_size": 1}},
        {"quantizer": {"codebooks": 0}},
        {"quantizer": {"codebooks": 10**9}},
        {"quantizer": {"form": "factorised", "code_dimension": 0}},
        {"spectral": {"hop_length": 500}},
        {"spectral": {"hop_length": 2048}},
        {"spectral": {"kernel": 6}},
        {"spectral": {"width": -4}},
        {"spectral": {"encoder_blocks": 10**9}},
        {"spectral": {"spectra_per_frame": 0}},
        {"spectral": {"phase_iterations": -1}},
        {"spectral": {"phase_iterations": 10**9}},
        {"spectral": {"floor": 0.0}},
        {"spectral": {"floor": float("nan")}},
        {"spectral": {"phase_momentum": float("inf")}},
        {"backbone": "dac", "dac": {"strides": []}},
        {"backbone": "dac", "dac": {"strides": [3, 2]}},
        {"backbone": "dac", "dac": {"strides": [0]}},
        {"backbone": "dac", "dac": {"decoder_width": 24}},
        {"backbone": "dac", "dac": {"encoder_width": 10**9}},
    ],
)
def test_impossible_values_are_refused(change):
    with pytest.raises(WeightsError, match="configuration"):
        ModelConfig.from_dict(change)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        # networks that see 32,512 latent frames to either side of windows of 43
        ({"spectral": {"decoder_blocks": 256, "kernel": 255, "width": 1}}, "latent frames to either side"),
        ({"spectral": {"encoder_blocks": 256, "kernel": 255, "width": 1}}, "latent frames to either side"),
        # windows of 95 s with wide layers: gigabytes in a run of the network
        ({"frames_per_window": 4096, "spectral": {"width": 16384}}, "too long for networks"),
        ({"frames_per_window": 65535, "backbone": "dac", "dac": {"strides": [2, 4, 8]}}, "too long"),
        ({"frames_per_window": 4096, "latent_dimension": 65536}, "too long for networks"),
        # spectra that take long or much memory
        ({"spectral": {"phase_iterations": 1000}}, "phase_iterations"),
        ({"sample_rate": 768_000, "spectral": {"phase_iterations": 3}}, "phase_iterations"),
        ({"sample_rate": 1000, "spectral": {"window_length": 65536, "hop_length": 4096,
          "spectra_per_frame": 1, "phase_iterations": 100}}, "phase_iterations"),
        ({"spectral": {"window_length": 2048, "hop_length": 2}}, "at most 16 times hop_length"),
        ({"spectral": {"window_length": 9, "hop_length": 3}}, "hop_length is too short"),
        ({"backbone": "dac", "dac": {"strides": [2] * 100_000}}, "strides are too many"),
    ],
)  # fmt: skip
def test_configurations_that_cost_too_much_are_refused(change, word):
    with pytest.raises(WeightsError, match=word):
        ModelConfig.from_dict(change)


def test_recipes_of_the_examples_are_within_the_limits():
    recipes = sorted((ROOT / "examples" / "recipes").glob("*.toml"))
    assert len(recipes) >= 3
    for path in recipes:
        ModelConfig.from_dict(tomllib.loads(path.read_text()).get("model", {}))
    # with room for more iterations than the default's, and windows of four seconds
    ModelConfig.from_dict({"frames_per_window": 172, "spectral": {"phase_iterations": 40}})


def test_section_of_the_unused_backbone_is_neither_stored_nor_checked():
    assert "dac" not in SPECTRAL.to_dict()
    assert "spectral" not in DAC.to_dict()
    ModelConfig(dac=DacConfig(decoder_width=3))
    ModelConfig(backbone="dac", spectral=SpectralConfig(kernel=2))


def test_values_are_checked_on_construction():
    with pytest.raises(WeightsError):
        replace(SPECTRAL, quantizer=QuantizerConfig(experts=33))
