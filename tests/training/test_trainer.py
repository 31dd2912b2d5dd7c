"""The training loop: it learns, uses everything it has, can be repeated, stopped and resumed."""

import csv
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from material import DAC, RATE, SPECTRAL, make_pool, trainer, tune

from switchcodec_cli import Codec
from switchcodec_cli.errors import UsageError, WeightsError
from switchcodec_cli.model.quantizer.codebook import Codebook
from switchcodec_cli.model.weights import load_weights
from switchcodec_cli.training.codebook_ema import CodebookEMA
from switchcodec_cli.training.config import CodebookConfig, DiscriminatorConfig

STEPS = 260


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(pool, tmp_path_factory):
    """A run that over-fits six recordings: the trainer, its folder, its losses at the start."""
    folder = tmp_path_factory.mktemp("run")
    made = trainer(SPECTRAL, pool, folder)
    start = made.probe()
    made.train(steps=STEPS)
    return made, folder, start


def tensors(path):
    return load_weights(path)[0].state_dict()


def test_losses_fall(run):
    made, _, start = run
    end = made.probe()
    assert end["mel_5"] < 0.6 * start["mel_None"]
    assert end["fine_5"] < 0.7 * start["fine_None"]
    # more experts, smaller losses
    assert end["mel_0"] > end["mel_2"] > end["mel_5"]
    assert end["fine_0"] > end["fine_2"] > end["fine_5"]


def test_every_expert_and_most_codewords_are_in_use(run):
    made, _, _ = run
    assert made.step == STEPS
    load = made.care.load / made.care.load.mean()
    assert load.min() > 1 / 3  # of its fair share
    assert all(perplexity > 4 for perplexity in made.care.perplexity())  # of 16
    masks = []
    with torch.no_grad():
        for _ in range(20):
            z, _ = made.objective.latents(made.items())
            masks.append(made.model.quantizer.route(z, torch.full((len(z),), 2)))
    assert torch.cat(masks).any(0).all()


def test_the_log_tells_steps_and_losses(run):
    _, folder, _ = run
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [row["step"] for row in rows] == ["200"]
    for name in ("minutes", "mel_0", "mel_2", "mel_5", "commitment_2", "perplexity_shared", "load_least"):
        assert float(rows[0][name]) >= 0


def test_what_is_exported_encodes_and_decodes(run):
    made, folder, _ = run
    codec = Codec.load(folder / "weights.safetensors", device="cpu")
    audio = tune(3, RATE, 0).astype(np.float32)
    decoded, _ = codec.decode(codec.encode(audio, RATE, experts=5))
    assert decoded.shape == audio.shape
    # far nearer in magnitude than silence is
    assert 0.5 < decoded.std() / audio.std() < 2
    kept = tensors(folder / "weights.safetensors")
    average = made.average.state_dict()
    for name, value in kept.items():  # half precision of the averaged weights
        torch.testing.assert_close(value, average[name], rtol=1e-3, atol=1e-3)
    assert any(
        not torch.equal(p, q) for p, q in zip(made.average.parameters(), made.model.parameters(), strict=True)
    )


def test_the_history_grows_when_resumed_from_weights_alone(run, pool, tmp_path):
    made, folder, _ = run
    weights = folder / "weights.safetensors"
    _, before, provenance = load_weights(weights)
    assert [entry["steps"] for entry in provenance["history"]] == [STEPS]
    assert provenance["history"][0]["recipe"]["data"]["batch"] == 8
    again = trainer(SPECTRAL, pool, tmp_path, resume=weights, seed=1)
    # it begins where the other ended, codebooks included
    assert again.quantized
    assert again.probe()["mel_5"] == pytest.approx(made.probe()["mel_5"], rel=0.2)
    again.train(steps=5)
    model, after, provenance = load_weights(tmp_path / "weights.safetensors")
    assert after != before
    assert [entry["steps"] for entry in provenance["history"]] == [STEPS, 5]
    assert model.config == SPECTRAL.model
    # the averages of a resumed codebook start at its codewords, so that it does not jump
    for name, value in tensors(weights).items():
        if name.endswith("codewords"):
            used = (model.state_dict()[name] - value).norm(dim=1) / value.norm(dim=1).mean()
            assert used.median() < 0.2


def test_a_resumed_run_keeps_the_weights_configuration(run, pool, tmp_path):
    other = replace(SPECTRAL, model=replace(SPECTRAL.model, latent_dimension=32))
    again = trainer(other, pool, tmp_path, resume=run[1] / "weights.safetensors")
    assert again.config.model == SPECTRAL.model
    with pytest.raises(WeightsError):
        trainer(SPECTRAL, pool, tmp_path, resume=tmp_path / "none.safetensors")


def test_codebooks_settle_while_the_networks_rest(run, pool, tmp_path):
    _, folder, _ = run
    weights = folder / "weights.safetensors"
    codebook = replace(SPECTRAL.codebook, settle=1.0, settle_decay=0.98)
    again = trainer(replace(SPECTRAL, codebook=codebook), pool, tmp_path, resume=weights, seed=1)
    quantizer = again.average.quantizer
    with torch.no_grad():
        z, _ = again.objective.latents(again.pool.batch(64, torch.Generator().manual_seed(9)))
        masks = quantizer.route(z, torch.full((len(z),), 2))

    def error():
        total = 0.0
        for window, mask, indices in zip(z, masks, quantizer.encode(z, masks), strict=True):
            experts = mask.nonzero()[:, 0]
            decoded = quantizer.decode(experts.tolist(), indices[[0, *(experts + 1).tolist()]])
            total += (window - decoded).square().mean().item()
        return total

    before = error()
    again.train(steps=200)
    assert error() < 0.97 * before
    kept, now = tensors(weights), tensors(tmp_path / "weights.safetensors")
    for name, value in kept.items():
        assert torch.equal(now[name], value) == (not name.endswith("codewords")), name


def test_an_unused_codeword_stays_where_it_is():
    book = Codebook(2, 3)
    book.codewords.copy_(torch.tensor([[0.0, 0, 0], [4, 4, 4]]))
    average = CodebookEMA(book, 0.5, 2)
    for _ in range(200):
        average.update(torch.ones(1, 5, 3), torch.zeros(1, 5, dtype=torch.long))
    torch.testing.assert_close(book.codewords, torch.tensor([[1.0, 1, 1], [4, 4, 4]]))


SHORT = replace(SPECTRAL, codebook=CodebookConfig(unquantized=0.3, revive_every=5))


def test_a_seed_decides_everything(pool, tmp_path):
    made = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        made.append(tensors(trainer(SHORT, pool, tmp_path / name, seed=seed).train(steps=20)))
    for name in made[0]:
        assert torch.equal(made[0][name], made[1][name]), name
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_numbers_of_active_experts_are_random_as_asked(pool, tmp_path):
    made = trainer(SPECTRAL, pool, tmp_path)
    counts = torch.bincount(made.active(6000), minlength=6) / 6000
    torch.testing.assert_close(counts, torch.full((6,), 1 / 6), atol=0.02, rtol=0)
    chances = (0.5, 0.0, 0.25, 0.0, 0.0, 0.25)
    made = trainer(replace(SPECTRAL, codebook=CodebookConfig(active=chances)), pool, tmp_path)
    counts = torch.bincount(made.active(6000), minlength=6) / 6000
    torch.testing.assert_close(counts, torch.tensor(chances), atol=0.02, rtol=0)
    made = trainer(replace(SPECTRAL, codebook=CodebookConfig(active=(0.5, 0.5))), pool, tmp_path)
    with pytest.raises(UsageError, match="6 chances"):
        made.active(1)


def test_masks_and_networks_get_gradients(pool, tmp_path):
    made = trainer(SPECTRAL, pool, tmp_path)
    made.start_codebooks()
    made.train_step(1.0)
    for name, parameter in made.model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_unused_codewords_come_back():
    torch.manual_seed(0)
    codebook = Codebook(16, 4)
    codebook.codewords.normal_()
    codebook.codewords[5:] += 100  # where no latent ever is
    average = CodebookEMA(codebook, 0.9, 64)
    latents = torch.randn(4, 16, 4)
    for _ in range(10):
        average.update(latents, codebook.nearest(latents))
    assert codebook.nearest(latents).unique().max() < 5
    # the moved averages of those in use are the means of what uses them
    for index in codebook.nearest(latents).unique():
        mean = latents[codebook.nearest(latents) == index].mean(0)
        assert (codebook.codewords[index] - mean).norm() < 1.0
    assert average.revive(below=2) >= 11
    assert codebook.nearest(latents).unique().numel() > 10
    recent = latents.flatten(0, 1)
    assert (torch.cdist(codebook.codewords[5:], recent).amin(1) < 5e-3).all()
    # and stay, as long as they are used
    for _ in range(3):
        average.update(latents, codebook.nearest(latents))
    assert codebook.nearest(latents).unique().numel() > 10
    assert average.revive(below=0) == 0


def test_k_means_finds_clusters():
    torch.manual_seed(0)
    centres = 10 * torch.randn(16, 4)
    latents = (centres[:, None] + 0.1 * torch.randn(16, 40, 4)).flatten(0, 1)
    codebook = Codebook(64, 4)
    coded = CodebookEMA(codebook, 0.99, 64).start(latents)
    assert (latents - coded).norm(dim=1).mean() < 0.25
    assert codebook.codewords.isfinite().all()


def test_the_selection_bias_works_against_the_load(pool, tmp_path):
    made = trainer(SPECTRAL, pool, tmp_path)
    masks = torch.zeros(8, 5, dtype=torch.bool)
    masks[:, 1] = True  # always the same expert
    for _ in range(30):
        made.care.balance(masks)
    bias = made.model.quantizer.router.bias
    assert bias.argmin() == 1 and bias[1] < -0.01
    assert bias.sum().abs() < 1e-5
    assert made.care.load.argmax() == 1
    for _ in range(3000):
        made.care.balance(masks)
    assert bias.abs().max() <= 0.5


def test_the_learning_rate_warms_up_and_falls(pool, tmp_path):
    made = trainer(SPECTRAL, pool, tmp_path)
    settings = SPECTRAL.optimizer
    assert made.learning_rate(0.0) == pytest.approx(1 / settings.warm_up)
    made.step = 1000
    assert made.learning_rate(0.3) == 1
    assert made.learning_rate(0.75) == pytest.approx(0.5)
    assert made.learning_rate(1.0) == settings.last


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_run_with_an_export(pool, tmp_path, number):
    made = trainer(SPECTRAL, pool, tmp_path)
    handler = signal.getsignal(number)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), number))
    timer.start()
    path = made.train(minutes=5)
    timer.join()
    assert made.stopped and made.step > 0
    assert signal.getsignal(number) is handler
    # even codebooks that had not been begun are there
    codec = Codec.load(path, device="cpu")
    assert codec.provenance["history"][0]["steps"] == made.step
    assert all(
        book.codewords.abs().sum() > 0 for q in codec.model.quantizer.quantizers for book in q.codebooks
    )


def test_a_budget_is_needed(pool, tmp_path):
    with pytest.raises(UsageError, match="budget"):
        trainer(SPECTRAL, pool, tmp_path).train()


def test_standardisation_is_measured_on_the_data(pool, tmp_path):
    made = trainer(SPECTRAL, pool, tmp_path)
    logs = torch.cat(
        [made.model.backbone.analysis.standardise(made.model.backbone.analysis.magnitude(made.items())) for _ in range(20)]
    )
    assert logs.mean().abs() < 0.1
    assert logs.std() == pytest.approx(1, abs=0.1)
    assert torch.equal(made.average.analysis.mean, made.model.backbone.analysis.mean)


def test_the_waveform_backbone_learns_and_is_exported_without_weight_norm(pool, tmp_path):
    made = trainer(DAC, pool, tmp_path)
    assert any("parametrizations" in name for name, _ in made.model.named_parameters())
    start = made.probe()
    path = made.train(steps=40)
    assert made.probe()["mel_2"] < start["mel_2"]
    model, _, _ = load_weights(path)
    assert not any("parametrizations" in name for name, _ in model.named_parameters())
    with torch.inference_mode():
        audio = made.pool.crops(2, 40 * 64, torch.Generator().manual_seed(0))
        torch.testing.assert_close(model.encode(audio), made.average.encode(audio), atol=2e-2, rtol=2e-2)
    again = trainer(DAC, pool, tmp_path / "again", resume=path)
    assert again.probe()["mel_2"] < start["mel_2"]


@pytest.mark.parametrize(
    "config",
    [
        replace(SPECTRAL, discriminator=DiscriminatorConfig(kinds=("low", "whole"), width=4, alone=3)),
        replace(
            SPECTRAL,
            loss=replace(SPECTRAL.loss, output=5.0, output_iterations=2),
            data=replace(SPECTRAL.data, segment_frames=48),
            discriminator=DiscriminatorConfig(kinds=("low", "spectrum128"), width=4, alone=3),
        ),
        replace(DAC, discriminator=DiscriminatorConfig(kinds=("complex256",), width=4, alone=3)),
    ],
    ids=["magnitudes", "magnitudes and what they sound like", "waveforms"],
)
def test_discriminators_first_learn_alone_then_together(config, pool, tmp_path):
    made = trainer(config, pool, tmp_path)
    if config is not DAC and made.care.averages:
        made.start_codebooks()
    before = [parameter.clone() for parameter in made.model.parameters()]
    for _ in range(3):
        terms = made.train_step(1.0)
    assert {"discriminator"} <= terms.keys() and "adversarial" not in terms
    assert all(torch.equal(p, q) for p, q in zip(made.model.parameters(), before, strict=True))
    terms = made.train_step(1.0)
    assert {"adversarial", "matching", "discriminator"} <= terms.keys()
    assert any(not torch.equal(p, q) for p, q in zip(made.model.parameters(), before, strict=True))


def test_training_on_the_output_of_the_phase_search(pool, tmp_path):
    config = replace(
        SPECTRAL, loss=replace(SPECTRAL.loss, output=5.0, mel=0.0, fine=0.0, output_iterations=2)
    )
    config = replace(config, data=replace(config.data, segment_frames=48))
    made = trainer(config, pool, tmp_path)
    audio = made.items()
    outcome = made.objective(audio, None)
    outcome.loss.backward()
    gradient = made.model.backbone.decoder.head.weight.grad
    assert outcome.terms["output"] > 0
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
