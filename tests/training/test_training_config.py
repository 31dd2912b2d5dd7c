"""Recipes: those that are shipped, and the refusal of faulty ones."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.config import ModelConfig
from switchcodec_cli.training.config import DataConfig, LossConfig, TrainingConfig, read_config
from switchcodec_cli.training.discriminators import build_discriminator

RECIPES = sorted((Path(__file__).parents[2] / "examples" / "recipes").glob("*.toml"))


def test_recipes_are_found():
    assert {"cpu", "paper"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_networks_of_every_recipe_can_be_built(path):
    config = read_config(path)
    with torch.device("meta"):
        CodecModel(config.model)
        for kind in config.discriminator.kinds:
            build_discriminator(kind, config.discriminator.width)
    assert len(config.codebook.expert_count_weights) in (0, config.model.quantizer.experts + 1)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.model.to_dict()))) == config.model
    json.dumps(asdict(config))  # goes into the metadata of the weights


def test_paper_recipe_has_the_published_values():
    config = read_config(next(path for path in RECIPES if path.stem == "paper"))
    model = config.model
    assert model.backbone == "dac" and model.hop == 512 and model.latent_dimension == 1024
    assert (model.dac.encoder_width, model.dac.decoder_width) == (64, 1536)
    assert (model.quantizer.form, model.quantizer.code_dimension) == ("factorised", 8)
    assert config.data.batch_size == 32
    assert config.data.segment_frames * model.hop / model.sample_rate == pytest.approx(0.38, abs=0.006)
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.beta1, optimizer.beta2) == (1e-4, 0.8, 0.9)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in CodecModel(model).parameters())
    assert 76e6 < parameters < 77e6


def test_no_recipe_gives_the_defaults():
    assert read_config(None) == TrainingConfig()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[modl]", "unknown field recipe.modl"),
        ("[data]\nbatch_size = 'many'", "recipe.data.batch_size must be int"),
        ("[data]\nbatch_size = 0", "recipe.data.batch_size must be 1 to 65536"),
        ("[data]\nspeech_share = 0\nmusic_share = 0\nsound_share = 0", "recipe.data: one of the shares"),
        ("[loss]\nmel_bands = [80, 'x']", "mel_bands"),
        ("[loss]\nmel_bands = []", "mel_bands must not be empty"),
        ("[loss]\nmel_weight = nan", "recipe.loss.mel_weight must be 0 to"),
        ("[loss]\nbin_edges = [1000.0]", "bin_band_weights must be 2 weights"),
        ("[loss]\nbin_edges = [2000.0, 1000.0]", "bin_edges must ascend"),
        ("[optimizer]\nwarmup_steps = 0", "recipe.optimizer.warmup_steps must be 1 to"),
        ("[codebook]\nexpert_count_weights = [0.0, 0.0]", "must not all be zero"),
        ("[codebook]\noutput_distortion_share = 1.5", "output_distortion_share must be 0 to 1"),
        ("[discriminator]\nwidth = 0", "recipe.discriminator.width must be 1 to"),
        ("[model.spectral]\nkernel = 4", "kernel must be odd"),
        ("[data", "recipe.toml"),
        (None, "recipe.toml"),
    ],
)
def test_faulty_recipes_are_refused_in_one_line(tmp_path, text, word):
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=word) as caught:
        read_config(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_impossible_values_are_refused_in_code_too():
    with pytest.raises(UsageError, match="min_gain_db"):
        TrainingConfig(data=DataConfig(min_gain_db=3.0))
    with pytest.raises(UsageError, match="phase_iterations"):
        TrainingConfig(loss=LossConfig(phase_iterations=-1))
