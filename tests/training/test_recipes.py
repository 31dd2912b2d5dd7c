"""Every recipe that is shipped can be read, and says what its head claims."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.config import ModelConfig
from switchcodec_cli.training.config import TrainingConfig, read_config
from switchcodec_cli.training.discriminators import build_discriminators

RECIPES = sorted((Path(__file__).parents[2] / "examples" / "recipes").glob("*.toml"))


def test_there_are_recipes():
    assert {"cpu", "paper"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_build(path):
    config = read_config(path)
    with torch.device("meta"):
        CodecModel(config.model)
        build_discriminators(config.discriminator.kinds, config.discriminator.width)
    assert len(config.codebook.active) in (0, config.model.quantizer.experts + 1)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.model.to_dict()))) == config.model
    json.dumps(asdict(config))  # goes into the metadata of the weights


def test_the_papers_recipe():
    config = read_config(next(path for path in RECIPES if path.stem == "paper"))
    model = config.model
    assert model.backbone == "dac" and model.hop == 512 and model.latent_dimension == 1024
    assert (model.dac.encoder_width, model.dac.decoder_width) == (64, 1536)
    assert (model.quantizer.form, model.quantizer.code_dimension) == ("factorised", 8)
    assert config.data.batch == 32
    assert config.data.segment_frames * model.hop / model.sample_rate == pytest.approx(0.38, abs=0.006)
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.beta1, optimizer.beta2) == (1e-4, 0.8, 0.9)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in CodecModel(model).parameters())
    assert 76e6 < parameters < 77e6


def test_no_recipe_means_the_defaults():
    assert read_config(None) == TrainingConfig()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[modl]", "unknown field recipe.modl"),
        ("[data]\nbatch = 'many'", "recipe.data.batch must be int"),
        ("[loss]\nmel_bands = [80, 'x']", "mel_bands"),
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
