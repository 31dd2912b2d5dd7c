"""Whole training runs: progress, reproducibility, resuming and stopping."""

import csv
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import DAC, RATE, SPECTRAL, make_pool, make_trainer, tone_bursts, write_data_folder

from switchcodec_cli import Codec
from switchcodec_cli.errors import UsageError, WeightsError
from switchcodec_cli.model.weights import load_weights
from switchcodec_cli.training.config import CodebookConfig, DiscriminatorConfig
from switchcodec_cli.training.data import build_pool

STEPS = 260


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(pool, tmp_path_factory):
    """A run that over-fits six recordings: the trainer, its folder, its losses before the first step."""
    folder = tmp_path_factory.mktemp("run")
    trainer = make_trainer(SPECTRAL, pool, folder)
    start = trainer.probe()
    trainer.train(steps=STEPS)
    return trainer, folder, start


def tensors(path):
    return load_weights(path)[0].state_dict()


def test_losses_decrease(finished):
    trainer, _, start = finished
    end = trainer.probe()
    assert end["mel_5"] < 0.6 * start["mel_unquantized"]
    assert end["bins_5"] < 0.7 * start["bins_unquantized"]
    # more experts, smaller losses
    assert end["mel_0"] > end["mel_2"] > end["mel_5"]
    assert end["bins_0"] > end["bins_2"] > end["bins_5"]


def test_every_expert_and_most_codewords_are_used(finished):
    trainer, _, _ = finished
    assert trainer.step == STEPS
    load = trainer.codebooks.load / trainer.codebooks.load.mean()
    assert load.min() > 1 / 3
    assert all(perplexity > 4 for perplexity in trainer.codebooks.perplexities())  # of 16
    masks = []
    with torch.no_grad():
        for _ in range(20):
            z = trainer.objective.latents(trainer.next_batch())
            masks.append(trainer.model.quantizer.route(z, torch.full((len(z),), 2)))
    assert torch.cat(masks).any(0).all()


def test_log_has_steps_and_losses(finished):
    _, folder, _ = finished
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [row["step"] for row in rows] == ["200"]
    for name in ("minutes", "mel_0", "mel_2", "mel_5", "commitment_2", "perplexity_shared", "load_min"):
        assert float(rows[0][name]) >= 0


def test_exported_weights_encode_and_decode(finished):
    trainer, folder, _ = finished
    codec = Codec.load(folder / "weights.safetensors", device="cpu")
    audio = tone_bursts(3, RATE, 0).astype(np.float32)
    decoded, _ = codec.decode(codec.encode(audio, RATE, experts=5))
    assert decoded.shape == audio.shape
    assert 0.5 < decoded.std() / audio.std() < 2
    kept = tensors(folder / "weights.safetensors")
    average = trainer.ema.model.state_dict()
    for name, value in kept.items():  # the averaged weights in half precision
        torch.testing.assert_close(value, average[name], rtol=1e-3, atol=1e-3)
    pairs = zip(trainer.ema.model.parameters(), trainer.model.parameters(), strict=True)
    assert any(not torch.equal(p, q) for p, q in pairs)


def test_resumed_run_extends_the_history(finished, pool, tmp_path):
    trainer, folder, _ = finished
    weights = folder / "weights.safetensors"
    _, before, provenance = load_weights(weights)
    assert [entry["steps"] for entry in provenance["history"]] == [STEPS]
    assert provenance["history"][0]["recipe"]["data"]["batch_size"] == 8
    resumed = make_trainer(SPECTRAL, pool, tmp_path, resume=weights, seed=1)
    # it begins where the other ended, codebooks included
    assert resumed.quantized
    assert resumed.probe()["mel_5"] == pytest.approx(trainer.probe()["mel_5"], rel=0.2)
    resumed.train(steps=5)
    model, after, provenance = load_weights(tmp_path / "weights.safetensors")
    assert after != before
    assert [entry["steps"] for entry in provenance["history"]] == [STEPS, 5]
    assert model.config == SPECTRAL.model
    # the moving averages of resumed codebooks start at the codewords, so that these do not jump
    for name, value in tensors(weights).items():
        if name.endswith("codewords"):
            distance = (model.state_dict()[name] - value).norm(dim=1) / value.norm(dim=1).mean()
            assert distance.median() < 0.2


def test_resumed_run_keeps_the_configuration_of_the_weights(finished, pool, tmp_path):
    other = replace(SPECTRAL, model=replace(SPECTRAL.model, latent_dimension=32))
    resumed = make_trainer(other, pool, tmp_path, resume=finished[1] / "weights.safetensors")
    assert resumed.config.model == SPECTRAL.model
    with pytest.raises(WeightsError):
        make_trainer(SPECTRAL, pool, tmp_path, resume=tmp_path / "none.safetensors")


def test_codebook_only_updates_reduce_the_quantization_error(finished, pool, tmp_path):
    _, folder, _ = finished
    weights = folder / "weights.safetensors"
    codebook = replace(SPECTRAL.codebook, codebook_only_share=1.0, codebook_only_ema_decay=0.98)
    resumed = make_trainer(replace(SPECTRAL, codebook=codebook), pool, tmp_path, resume=weights, seed=1)
    quantizer = resumed.ema.model.quantizer
    with torch.no_grad():
        z = resumed.objective.latents(resumed.pool.batch(64, torch.Generator().manual_seed(9)))
        masks = quantizer.route(z, torch.full((len(z),), 2))

    def error():
        indices, _ = quantizer.encode(z, masks)
        return (z - quantizer.dequantize(masks, indices)).square().mean().item()

    before = error()
    resumed.train(steps=200)
    assert error() < 0.97 * before
    kept, now = tensors(weights), tensors(tmp_path / "weights.safetensors")
    for name, value in kept.items():
        assert torch.equal(now[name], value) == (not name.endswith("codewords")), name


SHORT = replace(SPECTRAL, codebook=CodebookConfig(unquantized_share=0.3, replace_dead_every=5))


def test_runs_with_the_same_seed_are_equal(pool, tmp_path):
    made = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        made.append(tensors(make_trainer(SHORT, pool, tmp_path / name, seed=seed).train(steps=20)))
    for name in made[0]:
        assert torch.equal(made[0][name], made[1][name]), name
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_expert_counts_follow_their_weights(pool, tmp_path):
    trainer = make_trainer(SPECTRAL, pool, tmp_path)
    counts = torch.bincount(trainer.sample_expert_counts(6000), minlength=6) / 6000
    torch.testing.assert_close(counts, torch.full((6,), 1 / 6), atol=0.02, rtol=0)
    weights = (0.5, 0.0, 0.25, 0.0, 0.0, 0.25)
    weighted = replace(SPECTRAL, codebook=CodebookConfig(expert_count_weights=weights))
    trainer = make_trainer(weighted, pool, tmp_path)
    counts = torch.bincount(trainer.sample_expert_counts(6000), minlength=6) / 6000
    torch.testing.assert_close(counts, torch.tensor(weights), atol=0.02, rtol=0)
    too_few = replace(SPECTRAL, codebook=CodebookConfig(expert_count_weights=(0.5, 0.5)))
    with pytest.raises(UsageError, match="6 weights"):
        make_trainer(too_few, pool, tmp_path)


def test_pool_of_another_rate_is_refused(tmp_path):
    build_pool(write_data_folder(tmp_path / "audio"), tmp_path / "pool", 2 * RATE, workers=1)
    with pytest.raises(UsageError, match="16000 Hz, the model needs 8000 Hz"):
        make_trainer(SPECTRAL, tmp_path / "pool", tmp_path / "run")


def test_all_parameters_get_gradients(pool, tmp_path):
    trainer = make_trainer(SPECTRAL, pool, tmp_path)
    trainer.initialise_codebooks()
    trainer.train_step(1.0)
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_router_bias_works_against_the_load(pool, tmp_path):
    trainer = make_trainer(SPECTRAL, pool, tmp_path)
    masks = torch.zeros(8, 5, dtype=torch.bool)
    masks[:, 1] = True  # always the same expert
    for _ in range(30):
        trainer.codebooks.update_router_bias(masks)
    bias = trainer.model.quantizer.router.bias
    assert bias.argmin() == 1 and bias[1] < -0.01
    assert bias.sum().abs() < 1e-5
    assert trainer.codebooks.load.argmax() == 1
    for _ in range(3000):
        trainer.codebooks.update_router_bias(masks)
    assert bias.abs().max() <= 0.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_run_with_an_export(pool, tmp_path, number):
    trainer = make_trainer(SPECTRAL, pool, tmp_path)
    handler = signal.getsignal(number)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), number))
    timer.start()
    path = trainer.train(minutes=5)
    timer.join()
    assert trainer.stopped and trainer.step > 0
    assert signal.getsignal(number) is handler
    # codebooks are initialised even if the run had not come so far
    codec = Codec.load(path, device="cpu")
    assert codec.provenance["history"][0]["steps"] == trainer.step
    assert all(
        codebook.codewords.abs().sum() > 0
        for cascade in codec.model.quantizer.quantizers
        for codebook in cascade.codebooks
    )


def test_run_without_a_budget_is_refused(pool, tmp_path):
    with pytest.raises(UsageError, match="budget"):
        make_trainer(SPECTRAL, pool, tmp_path).train()


def test_standardisation_is_measured_on_the_data(pool, tmp_path):
    trainer = make_trainer(SPECTRAL, pool, tmp_path)
    analysis = trainer.model.backbone.analysis
    logs = torch.cat([analysis.standardise(analysis.magnitude(trainer.next_batch())) for _ in range(20)])
    assert logs.mean().abs() < 0.1
    assert logs.std() == pytest.approx(1, abs=0.1)
    assert torch.equal(trainer.ema.model.backbone.analysis.mean, analysis.mean)


def test_waveform_backbone_learns_and_is_exported_without_weight_norm(pool, tmp_path):
    trainer = make_trainer(DAC, pool, tmp_path)
    assert any("parametrizations" in name for name, _ in trainer.model.named_parameters())
    start = trainer.probe()
    path = trainer.train(steps=40)
    assert trainer.probe()["mel_2"] < start["mel_2"]
    model, _, _ = load_weights(path)
    assert not any("parametrizations" in name for name, _ in model.named_parameters())
    with torch.inference_mode():
        audio = trainer.pool.crops(2, 40 * 64, torch.Generator().manual_seed(0))
        torch.testing.assert_close(
            model.backbone.encode(audio), trainer.ema.model.backbone.encode(audio), atol=2e-2, rtol=2e-2
        )
    resumed = make_trainer(DAC, pool, tmp_path / "resumed", resume=path)
    assert resumed.probe()["mel_2"] < start["mel_2"]


@pytest.mark.parametrize(
    "config",
    [
        replace(SPECTRAL, discriminator=DiscriminatorConfig(kinds=("low", "whole"), width=4, warmup_steps=3)),
        replace(
            SPECTRAL,
            loss=replace(SPECTRAL.loss, waveform_weight=5.0, phase_iterations=2),
            data=replace(SPECTRAL.data, segment_frames=48),
            discriminator=DiscriminatorConfig(kinds=("low", "spectrum128"), width=4, warmup_steps=3),
        ),
        replace(DAC, discriminator=DiscriminatorConfig(kinds=("complex256",), width=4, warmup_steps=3)),
    ],
    ids=["spectra", "spectra and audio", "audio"],
)
def test_discriminators_are_trained_alone_first(config, pool, tmp_path):
    trainer = make_trainer(config, pool, tmp_path)
    if trainer.codebooks.averages:
        trainer.initialise_codebooks()
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    for _ in range(3):
        terms = trainer.train_step(1.0)
    assert {"discriminator"} <= terms.keys() and "adversarial" not in terms
    assert all(torch.equal(p, q) for p, q in zip(trainer.model.parameters(), before, strict=True))
    terms = trainer.train_step(1.0)
    assert {"adversarial", "feature_matching", "discriminator"} <= terms.keys()
    assert any(not torch.equal(p, q) for p, q in zip(trainer.model.parameters(), before, strict=True))


def test_loss_on_synthesised_audio_has_a_gradient(pool, tmp_path):
    loss = replace(SPECTRAL.loss, waveform_weight=5.0, mel_weight=0.0, bin_weight=0.0, phase_iterations=2)
    config = replace(SPECTRAL, loss=loss, data=replace(SPECTRAL.data, segment_frames=48))
    trainer = make_trainer(config, pool, tmp_path)
    result = trainer.objective.forward(trainer.next_batch(), None)
    result.loss.backward()
    gradient = trainer.model.backbone.decoder.head.weight.grad
    assert result.terms["waveform"] > 0
    assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_a_refiner_is_added_to_weights_and_trained(finished, pool, tmp_path):
    _, folder, _ = finished
    spectral = replace(SPECTRAL.model.spectral, refiner_blocks=1)
    recipe = replace(SPECTRAL, model=replace(SPECTRAL.model, spectral=spectral))
    with pytest.raises(UsageError, match="refiner_blocks needs weights"):
        make_trainer(recipe, pool, tmp_path)
    trainer = make_trainer(recipe, pool, tmp_path, resume=folder / "weights.safetensors")
    start = trainer.probe()
    path = trainer.train(steps=60)
    assert trainer.probe()["bins_5"] < start["bins_5"]
    model, _, _ = load_weights(path)
    assert model.backbone.refiner.head.weight.abs().sum() > 0  # zeros at first
    # further training keeps it, whatever the recipe says; the latents' basis can no longer change
    again = make_trainer(SPECTRAL, pool, tmp_path / "again", resume=path)
    assert again.model.config.latents_are_refined
    share = replace(SPECTRAL, codebook=replace(SPECTRAL.codebook, output_distortion_share=0.5))
    with pytest.raises(UsageError, match="refiner"):
        make_trainer(share, pool, tmp_path / "share", resume=path)
