"""Mel filters, distances and discriminators."""

import math

import pytest
import torch
from material import DAC, SPECTRAL  # noqa: F401 (sets the threads)

from switchcodec_cli.errors import UsageError
from switchcodec_cli.model.config import ModelConfig
from switchcodec_cli.model.dsp.mel import mel_filters
from switchcodec_cli.training.adversarial import AdversarialTraining
from switchcodec_cli.training.config import DiscriminatorConfig, LossConfig, TrainingConfig
from switchcodec_cli.training.discriminators import build_discriminators
from switchcodec_cli.training.losses import MagnitudeLoss, WaveformLoss
from switchcodec_cli.training.objective import Outcome


@pytest.mark.parametrize(("bands", "length", "rate"), [(80, 2048, 44100), (160, 2048, 44100), (5, 32, 44100)])
def test_mel_filters_are_triangles_that_sum_to_one(bands, length, rate):
    filters = mel_filters(bands, length, rate)
    assert filters.shape == (bands, length // 2 + 1)
    assert filters.min() >= 0
    torch.testing.assert_close(filters.sum(1), torch.ones(bands))
    frequency = torch.linspace(0, rate / 2, length // 2 + 1)
    centres = filters @ frequency
    assert (centres.diff() >= 0).all()
    assert (centres[1:] - centres[:-1] > 0).float().mean() > 0.5
    for row in filters:  # one rise, one fall
        support = row.nonzero()[:, 0]
        assert len(support) == support[-1] - support[0] + 1
        signs = row[support].diff().sign()
        assert (signs.diff() <= 0).all()


def test_mel_filters_follow_slaneys_scale():
    """Bands of equal width below 1000 Hz, then of equal ratio, 27 to a factor of 6.4."""
    length, rate, bands = 2**16, 16000, 30
    filters = mel_filters(bands, length, rate)
    frequency = torch.linspace(0, rate / 2, length // 2 + 1)
    peaks = frequency[filters.argmax(1)]
    top = 15 + 27 * math.log(8) / math.log(6.4)
    step = top / (bands + 1)
    below = peaks[peaks < 1000]
    torch.testing.assert_close(below.diff(), torch.full((len(below) - 1,), step * 200 / 3), atol=0.5, rtol=0)
    above = peaks[peaks > 1100]
    ratio = 6.4 ** (step / 27)
    torch.testing.assert_close(
        above[1:] / above[:-1], torch.full((len(above) - 1,), ratio), atol=1e-3, rtol=0
    )


def test_magnitude_loss_is_least_at_the_truth_and_weighs_low_bins_more():
    loss = MagnitudeLoss(LossConfig(), 2048, 44100, 1e-3)
    magnitude = torch.rand(2, 10, 1025, generator=torch.Generator().manual_seed(0)) + 0.1
    mel, fine = loss(magnitude.log(), magnitude)
    assert mel < 1e-2 and fine < 1e-5
    low, high = magnitude.log(), magnitude.log()
    low[..., 20:60] += 0.5  # 430 to 1290 Hz
    high[..., 600:640] += 0.5
    low_mel, low_fine = loss(low, magnitude)
    high_mel, high_fine = loss(high, magnitude)
    assert low_fine / high_fine == pytest.approx(20, rel=1e-3)
    assert low_mel > 5 * high_mel > 0
    # silence against what lies below the floor costs nothing
    tiny = torch.full((1, 4, 1025), 1e-5)
    assert loss(torch.full((1, 4, 1025), math.log(1e-3)), tiny)[1] < 1e-5


def test_the_bands_of_the_fine_term_lie_where_the_configuration_says():
    config = LossConfig(fine_edges=(4000.0, 8000.0), fine_bands=(6.0, 3.0, 2.0))
    loss = MagnitudeLoss(config, 2048, 44100, 1e-3)
    magnitude = torch.ones(1, 4, 1025)
    fine = []
    for bin_ in (150, 250, 500):  # 3.2, 5.4 and 10.8 kHz
        louder = magnitude.log()
        louder[..., bin_] += 1
        fine.append(loss(louder, magnitude)[1])
    assert fine[0] / fine[2] == pytest.approx(3) and fine[1] / fine[2] == pytest.approx(1.5)


def test_what_is_missed_altogether_counts_more():
    magnitude = torch.full((1, 4, 1025), 1e-3)
    magnitude[..., 500] = 10.0  # a lone tone
    missed, near = torch.full_like(magnitude, 1e-3).log(), (1.2 * magnitude).log()
    plain, steep = (MagnitudeLoss(LossConfig(misses=misses), 2048, 44100, 1e-4) for misses in (0.0, 0.5))
    assert steep(missed, magnitude)[0] > 2 * plain(missed, magnitude)[0]
    assert steep(near, magnitude)[0] < 1.1 * plain(near, magnitude)[0]


def test_waveform_loss_ignores_sign_and_grows_with_the_difference():
    loss = WaveformLoss(44100)
    audio = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
    assert loss(audio, audio) == 0
    assert loss(-audio, audio) < 1e-6
    errors = [loss(gain * audio, audio) for gain in (0.8, 0.5, 0.1)]
    assert errors == sorted(errors)
    assert errors[2] == pytest.approx(1, abs=0.02)  # a factor of ten is one in log10
    prediction = (0.5 * audio).requires_grad_()
    loss(prediction, audio).backward()
    assert prediction.grad.isfinite().all() and prediction.grad.abs().sum() > 0


def test_amplitudes_count_what_is_loud():
    quiet, loud = (
        level * torch.randn(1, 8192, generator=torch.Generator().manual_seed(0)) for level in (1e-3, 1.0)
    )
    plain, steep = (WaveformLoss(44100, amplitude=amplitude) for amplitude in (0.0, 0.5))
    for audio, more in ((quiet, 1.02), (loud, 1.1)):
        assert plain(0.5 * audio, audio) < steep(0.5 * audio, audio)
        assert (steep(0.5 * audio, audio) > more * plain(0.5 * audio, audio)) == (audio is loud)


MAGNITUDES = ("low", "high", "whole")
WAVEFORMS = ("complex2048", "complex512", "spectrum256")


@pytest.mark.parametrize("kinds", [MAGNITUDES, WAVEFORMS])
def test_discriminators_learn_to_tell_and_teach_the_generator(kinds):
    torch.manual_seed(0)
    config = TrainingConfig(
        loss=LossConfig(output=1.0),
        discriminator=DiscriminatorConfig(kinds=kinds, width=4, learning_rate=3e-3),
    )
    adversary = AdversarialTraining(config)
    shape = (2, 24, 1025) if kinds is MAGNITUDES else (2, 8192)
    target = torch.randn(shape)
    predicted = (0.3 * target.roll(1, 1)).requires_grad_()
    seen = "spectra" if kinds is MAGNITUDES else "audio"
    outcome = Outcome(torch.zeros(()), {}, None, **{seen: (predicted, target)})
    first = adversary.learn(outcome, 1.0)["discriminator"]
    for _ in range(25):
        last = adversary.learn(outcome, 1.0)["discriminator"]
    assert predicted.grad is None  # the discriminators' step is theirs alone
    assert last < 0.7 * first
    before = {name: p.clone() for name, p in adversary.named_parameters()}
    loss = adversary.generator_loss(outcome)
    loss.backward()
    assert predicted.grad.abs().sum() > 0
    assert loss > 0 and {"adversarial", "matching"} <= outcome.terms.keys()
    assert all(p.requires_grad and torch.equal(p, before[name]) for name, p in adversary.named_parameters())


def test_matching_vanishes_where_the_generator_is_perfect():
    config = TrainingConfig(discriminator=DiscriminatorConfig(kinds=("low",), width=4))
    target = torch.randn(2, 24, 1025)
    outcome = Outcome(torch.zeros(()), {}, None, spectra=(target.clone(), target))
    AdversarialTraining(config).generator_loss(outcome)
    assert outcome.terms["matching"] == 0


def test_unknown_discriminators_are_refused():
    with pytest.raises(ValueError):
        build_discriminators(("spectrum",), 4)
    with pytest.raises(UsageError, match="spectrum"):
        AdversarialTraining(TrainingConfig(discriminator=DiscriminatorConfig(kinds=("spectrum",))))


@pytest.mark.parametrize(
    ("model", "kind", "lacking"), [("dac", "low", "spectra"), ("spectral", "spectrum512", "audio")]
)
def test_discriminators_of_what_is_not_there_are_refused(model, kind, lacking):
    settings = DiscriminatorConfig(kinds=(kind,), width=4)
    with pytest.raises(UsageError, match=f"looks at {lacking}"):
        AdversarialTraining(TrainingConfig(model=ModelConfig(backbone=model), discriminator=settings))
