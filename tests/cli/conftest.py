"""Small random weights, streams encoded with them, and ways to call the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from layered_streams import stream_with_layers
from random_models import Sizes, random_tensors
from random_waveform_models import WaveformSizes, random_waveform_tensors

from switchcodec_cli import Codec
from switchcodec_cli.cli import cli
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.config import ModelConfig, SpectralConfig
from switchcodec_cli.model.weights import load_weights, save_weights

RATE = 44100


def make_weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    spectral = SpectralConfig(width=16, encoder_blocks=1, decoder_blocks=1, phase_iterations=2)
    model = CodecModel(ModelConfig(latent_dimension=8, spectral=spectral))
    for name, values in model.named_buffers():
        if "codewords" in name:
            values.normal_(0, 0.3)
    model.backbone.analysis.mean.fill_(-2)
    save_weights(path, model, {"made": "by a test"})
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", seed=0)


@pytest.fixture(scope="session")
def modelled_weights(weights, tmp_path_factory) -> Path:
    """The same weights with an index model of random integers."""
    model = load_weights(weights).model
    quantizer = model.config.quantizer
    sizes = Sizes(quantizer.experts, quantizer.codebooks, quantizer.codebook_size, 4)
    model.index_tensors = random_tensors(sizes, 0)
    path = tmp_path_factory.mktemp("weights") / "modelled.safetensors"
    save_weights(path, model, {})
    return path


@pytest.fixture(scope="session")
def layered_weights(modelled_weights, tmp_path_factory) -> Path:
    """The same weights with a waveform model of random integers too."""
    model = load_weights(modelled_weights).model
    quantizer = model.config.quantizer
    sizes = WaveformSizes(quantizer.experts, quantizer.codebooks, quantizer.codebook_size, bins=16)
    model.waveform_tensors = random_waveform_tensors(sizes, 0)
    path = tmp_path_factory.mktemp("weights") / "layered.safetensors"
    save_weights(path, model, {})
    return path


@pytest.fixture(scope="session")
def layered_data(layered_weights) -> bytes:
    """A stream of three seconds, which is three windows, with random waveform layers."""
    codec = Codec.load(str(layered_weights), "cpu")
    data = codec.encode(sound(3.0), RATE, effort=0, experts=4)
    return stream_with_layers(data, codec.model.index_model, codec.model.waveform_model)


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", seed=1)


@pytest.fixture
def modelled(modelled_weights: Path) -> str:
    """Weights with an index model of random integers."""
    return str(modelled_weights)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder."""
    monkeypatch.chdir(tmp_path)


def sound(seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    """A rising tone with noise, different in every channel. # (frames, channels)"""
    time = np.arange(round(seconds * rate))[:, None] / rate
    tone = np.sin(2 * np.pi * (220 + 30 * np.arange(channels)) * time * (1 + 0.1 * time))
    noise = np.random.default_rng(channels).standard_normal(tone.shape)
    return (0.3 * tone + 0.02 * noise).astype(np.float32)


def write_sound(name: str, seconds: float = 1.5, channels: int = 1, rate: int = RATE, **options) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seconds, channels, rate), rate, **options)
    return path


@pytest.fixture(scope="session")
def swc(weights):
    """Call a command in this process; encode, decode and eval use the random weights."""
    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # from click 8.2 on they are always separate
        runner = CliRunner()

    def run(*arguments, code: int | None = 0, input: bytes | None = None, own_weights: bool = True):
        words = [str(argument) for argument in arguments]
        if (
            own_weights
            and words
            and words[0] in ("encode", "decode", "eval", "tokens")
            and "--weights" not in words
        ):
            words += ["--weights", str(weights)]
        result = runner.invoke(cli, words, input=input)
        lines = result.stdout_bytes.decode(errors="replace").splitlines()
        outcome = SimpleNamespace(
            code=result.exit_code,
            data=result.stdout_bytes,
            out=result.stdout_bytes.decode(errors="replace"),
            err=result.stderr,
            records=[json.loads(line) for line in lines] if "--json" in words else [],
        )
        if code is not None:
            assert outcome.code == code, (outcome.err, outcome.out[:2000], result.exception)
        assert "Traceback" not in outcome.err
        return outcome

    return run


@pytest.fixture(scope="session")
def process():
    """Start the command line in a process of its own."""

    def start(*arguments, **options) -> subprocess.Popen:
        folder = Path(__file__).parents[2]
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-m", "switchcodec_cli", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment} | options
        return subprocess.Popen(command, **options)

    return start


@pytest.fixture(scope="session")
def stream(swc, weights, tmp_path_factory) -> bytes:
    """A stereo stream of 4.2 seconds, which is five windows."""
    folder = tmp_path_factory.mktemp("stream")
    path = folder / "in.wav"
    soundfile.write(path, sound(4.2, 2), RATE)
    swc("encode", path, folder / "out.swc", "--kbps", "5.33", "--tag", "title=A test")
    return (folder / "out.swc").read_bytes()


@pytest.fixture
def files() -> SimpleNamespace:
    """Functions that create audio files."""
    return SimpleNamespace(sound=sound, write=write_sound)
