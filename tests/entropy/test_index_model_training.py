"""Training of the index model, and its export to integers."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from switchcodec_cli.bitstream.index_model import IndexModel, IndexModelTensors
from switchcodec_cli.bitstream.modelled_payload import index_intervals
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.model.weights import load_weights
from switchcodec_cli.training.data import PoolIndex, Recording
from switchcodec_cli.training.index_data import (
    CodedWindows,
    code_windows,
    extract_indices,
    index_files,
)
from switchcodec_cli.training.index_model import (
    IndexModelConfig,
    TrainingOptions,
    export,
    group_codewords,
    initial_network,
    reorder,
    restore,
    save,
    train,
)

torch.set_num_threads(1)
WEIGHTS = Path(__file__).parent.parent / "golden" / "spectral.safetensors"
CONFIG = IndexModelConfig(18, 16, 8, embedding=8, width=16, hidden=24, features=16)


@lru_cache
def codec() -> CodecModel:
    """The tiny golden model."""
    return load_weights(WEIGHTS)[0]


def swelling_noise(seconds: float, rate: int) -> torch.Tensor:
    """Noise whose level changes slowly, so that a frame tells something of the next."""
    time = torch.arange(int(seconds * rate)) / rate
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return 0.2 * noise * torch.sin(2 * torch.pi * time).square()


@lru_cache
def windows() -> CodedWindows:
    """Windows with 0 to 8 experts."""
    model = codec()
    size = model.config.frames_per_window * model.hop
    audio = swelling_noise(60, model.config.sample_rate)
    counts = torch.arange(len(audio) // size) % 9
    return code_windows(model, audio, counts)


def bits_of(tensors: IndexModelTensors, data: CodedWindows) -> float:
    """Mean bits per index by the integer model."""
    blocks = [
        row[tensors.codebooks_of(mask)].astype(np.int64)
        for mask, row in zip(data.masks, data.indices, strict=True)
    ]
    _, frequencies = index_intervals(IndexModel(tensors), data.masks, blocks)
    bits = 16 - np.log2(frequencies)
    return float(
        sum(b[: len(block)].sum() for b, block in zip(bits, blocks, strict=True))
        / sum(block.size for block in blocks)
    )


def test_groups_are_equal_and_near() -> None:
    codewords = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    order = group_codewords(codewords, 8)
    assert sorted(order.tolist()) == list(range(64))
    grouped = codewords[order].view(8, 8, 5)
    assert grouped.var(1).mean() < 0.6 * codewords.var(0).mean()


@pytest.mark.parametrize(("size", "groups"), [(1024, 32), (64, 8), (32, 8), (16, 4)])
def test_number_of_groups(size: int, groups: int) -> None:
    assert IndexModelConfig(2, size, 0).groups == groups


def test_trained_model_saves_bits_and_survives_quantization(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = windows()
    network, order = initial_network(codec(), CONFIG, data)
    before = bits_of(export(network, order), data)
    train(network, data, order.argsort(1), TrainingOptions(minutes=0.1, batch=16), report=lambda _: None)
    tensors = export(network, order)
    after = bits_of(tensors, data)
    assert after < before - 0.1
    assert after < 3.9  # 4 bits when plain
    with torch.no_grad():
        simulated, _, _ = network(
            torch.from_numpy(data.masks).float(), torch.from_numpy(reorder(data.indices, order.argsort(1)))
        )
        network.quantized = False
        real, _, _ = network(
            torch.from_numpy(data.masks).float(), torch.from_numpy(reorder(data.indices, order.argsort(1)))
        )
    assert abs(simulated.mean().item() - after) < 0.01
    assert abs(real.mean().item() - after) < 0.05
    path = tmp_path / "model.safetensors"
    save(tensors, path)
    loaded = IndexModelTensors.load(path)
    again = export(restore(loaded), loaded.order.astype(np.int64))
    assert all(np.array_equal(getattr(tensors, f.name), getattr(again, f.name)) for f in fields(tensors))


def test_windows_are_coded_as_by_effort_0() -> None:
    model, data = codec(), windows()
    assert data.masks.shape[1] == 8
    assert data.indices.shape[1:] == (18, model.config.frames_per_window)
    assert np.array_equal(data.masks.sum(1), np.arange(len(data)) % 9)
    unused = np.repeat(~data.masks, 2, 1)
    assert (data.indices[:, 2:][unused] == 0).all()


def test_silent_windows_are_left_out() -> None:
    model = codec()
    size = model.config.frames_per_window * model.hop
    audio = torch.cat([torch.zeros(size), swelling_noise(2, model.config.sample_rate)[:size]])
    assert len(code_windows(model, audio, torch.tensor([1, 2]))) == 1


def test_extraction_resumes(tmp_path: Path) -> None:
    model = codec()
    audio = swelling_noise(20, model.config.sample_rate)
    (audio.clamp(-1, 1) * 32767).to(torch.int16).numpy().tofile(tmp_path / "pool.i16")
    PoolIndex(model.config.sample_rate, (Recording("a.wav", 0, 0, 0, len(audio)),)).write(tmp_path)
    reports: list[str] = []
    folder = tmp_path / "indices"
    extract_indices(model, tmp_path, folder, minutes=0, report=reports.append)
    assert list(index_files(folder)) == []
    for _ in range(2):
        extract_indices(model, tmp_path, folder, report=reports.append)
    assert len(reports) == 1
    (found,) = index_files(folder)
    assert len(found) == 2 * (59 + 1)  # segments of 60 and 2 windows, coded twice from a random offset
