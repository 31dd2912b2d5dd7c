"""Discriminators, and the losses they give to the generator."""

import pytest
import torch
from tiny_training import DAC, SPECTRAL

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.codec_model import CodecModel
from switchcodec_cli.training.adversarial import AdversarialTraining
from switchcodec_cli.training.config import DiscriminatorConfig, TrainingConfig
from switchcodec_cli.training.discriminators import Domain, build_discriminator
from switchcodec_cli.training.objective import Comparison, ForwardResult, build_objective

MAGNITUDES = ("low", "high", "whole")
WAVEFORMS = ("complex2048", "complex512", "spectrum256")


def adversarial_training(domain, **settings):
    config = TrainingConfig(discriminator=DiscriminatorConfig(width=4, **settings))
    return AdversarialTraining(config, frozenset({domain}), torch.device("cpu"))


def result_with(domain, predicted, target):
    return ForwardResult(torch.zeros(()), {}, None, {domain: Comparison(predicted, target)})


@pytest.mark.parametrize(
    ("kinds", "domain", "shape"),
    [(MAGNITUDES, Domain.SPECTRA, (2, 24, 1025)), (WAVEFORMS, Domain.AUDIO, (2, 8192))],
)
def test_discriminators_learn_and_give_gradients_to_the_generator(kinds, domain, shape):
    torch.manual_seed(0)
    adversary = adversarial_training(domain, kinds=kinds, learning_rate=3e-3)
    target = torch.randn(shape)
    predicted = (0.3 * target.roll(1, 1)).requires_grad_()
    result = result_with(domain, predicted, target)
    first = adversary.train_step(result, 1.0)
    for _ in range(25):
        last = adversary.train_step(result, 1.0)
    assert predicted.grad is None  # the discriminators' step leaves the generator alone
    assert last < 0.7 * first
    before = {name: p.clone() for name, p in adversary.networks.named_parameters()}
    loss, terms = adversary.generator_loss(result)
    loss.backward()
    assert predicted.grad.abs().sum() > 0
    assert loss > 0 and terms.keys() == {"adversarial", "feature_matching"}
    for name, parameter in adversary.networks.named_parameters():
        assert parameter.requires_grad and torch.equal(parameter, before[name])


def test_feature_matching_is_zero_for_a_perfect_generator():
    adversary = adversarial_training(Domain.SPECTRA, kinds=("low",))
    target = torch.randn(2, 24, 1025)
    _, terms = adversary.generator_loss(result_with(Domain.SPECTRA, target.clone(), target))
    assert terms["feature_matching"] == 0


def test_unknown_discriminators_are_refused():
    for kind in ("spectrum", "complex0", "complex2048x"):
        with pytest.raises(ValueError):
            build_discriminator(kind, 4)
    with pytest.raises(UsageError, match="spectrum"):
        adversarial_training(Domain.AUDIO, kinds=("spectrum",))


@pytest.mark.parametrize(
    ("config", "kind", "missing", "advice"),
    [(DAC, "low", "spectra", "choose another"), (SPECTRAL, "spectrum512", "audio", "loss.waveform_weight")],
    ids=["dac", "spectral"],
)
def test_discriminators_of_a_missing_domain_are_refused(config, kind, missing, advice):
    objective = build_objective(CodecModel(config.model), config.loss)
    settings = DiscriminatorConfig(kinds=(kind,), width=4)
    with pytest.raises(UsageError, match=f"needs {missing}.*{advice}"):
        AdversarialTraining(
            TrainingConfig(model=config.model, discriminator=settings), objective.domains, torch.device("cpu")
        )
