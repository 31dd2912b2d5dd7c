"""Reconstruction losses."""

import math

import pytest
import tiny_training  # noqa: F401 (sets the number of threads)
import torch

from switchcodec_cli.training.config import LossConfig
from switchcodec_cli.training.losses import MultiScaleMelLoss, SpectralLoss


def test_spectral_loss_is_least_for_equal_spectra_and_weights_low_bins_more():
    loss = SpectralLoss(LossConfig(), 2048, 44100, 1e-3)
    magnitude = torch.rand(2, 10, 1025, generator=torch.Generator().manual_seed(0)) + 0.1
    mel, bins = loss(magnitude.log(), magnitude)
    assert mel < 1e-2 and bins < 1e-5
    low, high = magnitude.log(), magnitude.log()
    low[..., 20:60] += 0.5  # 430 to 1290 Hz
    high[..., 600:640] += 0.5
    low_mel, low_bins = loss(low, magnitude)
    high_mel, high_bins = loss(high, magnitude)
    assert low_bins / high_bins == pytest.approx(20, rel=1e-3)
    assert low_mel > 5 * high_mel > 0
    # below the floor there is no difference
    tiny = torch.full((1, 4, 1025), 1e-5)
    assert loss(torch.full((1, 4, 1025), math.log(1e-3)), tiny)[1] < 1e-5


def test_bin_weights_follow_the_configured_edges():
    config = LossConfig(bin_edges=(4000.0, 8000.0), bin_band_weights=(6.0, 3.0, 2.0))
    loss = SpectralLoss(config, 2048, 44100, 1e-3)
    magnitude = torch.ones(1, 4, 1025)
    terms = []
    for number in (150, 250, 500):  # 3.2, 5.4 and 10.8 kHz
        louder = magnitude.log()
        louder[..., number] += 1
        terms.append(loss(louder, magnitude)[1])
    assert terms[0] / terms[2] == pytest.approx(3) and terms[1] / terms[2] == pytest.approx(1.5)


def test_squared_weight_raises_large_differences():
    magnitude = torch.full((1, 4, 1025), 1e-3)
    magnitude[..., 500] = 10.0  # a lone tone
    missed, near = torch.full_like(magnitude, 1e-3).log(), (1.2 * magnitude).log()
    plain, squared = (
        SpectralLoss(LossConfig(squared_weight=weight), 2048, 44100, 1e-4) for weight in (0.0, 0.5)
    )
    assert squared(missed, magnitude)[0] > 2 * plain(missed, magnitude)[0]
    assert squared(near, magnitude)[0] < 1.1 * plain(near, magnitude)[0]


def test_multi_scale_mel_loss_ignores_sign_and_grows_with_the_difference():
    loss = MultiScaleMelLoss(44100)
    audio = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
    assert loss(audio, audio) == 0
    assert loss(-audio, audio) < 1e-6
    errors = [loss(gain * audio, audio) for gain in (0.8, 0.5, 0.1)]
    assert errors == sorted(errors)
    assert errors[2] == pytest.approx(1, abs=0.02)  # a factor of ten is one in log10
    prediction = (0.5 * audio).requires_grad_()
    loss(prediction, audio).backward()
    assert prediction.grad.isfinite().all() and prediction.grad.abs().sum() > 0


def test_linear_weight_raises_loud_differences():
    quiet, loud = (
        level * torch.randn(1, 8192, generator=torch.Generator().manual_seed(0)) for level in (1e-3, 1.0)
    )
    plain, linear = (MultiScaleMelLoss(44100, linear_weight=weight) for weight in (0.0, 0.5))
    for audio, more in ((quiet, 1.02), (loud, 1.1)):
        assert plain(0.5 * audio, audio) < linear(0.5 * audio, audio)
        assert (linear(0.5 * audio, audio) > more * plain(0.5 * audio, audio)) == (audio is loud)
