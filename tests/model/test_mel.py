"""The Slaney mel filter bank, and frequency bands."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from switchcodec_cli.model.dsp.frequency_bands import band_of_bins, bin_weights
from switchcodec_cli.model.dsp.mel import hertz_to_mel, mel_filter_bank, mel_to_hertz


@pytest.mark.parametrize(("bands", "length", "rate"), [(80, 2048, 44100), (160, 2048, 44100), (5, 32, 44100)])
def test_filters_of_unit_sum_are_triangles(bands, length, rate):
    filters = torch.from_numpy(mel_filter_bank(bands, length, rate, "sum"))
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


def test_filters_of_unit_area():
    for window, bands in ((2048, 150), (512, 80)):
        filters = mel_filter_bank(bands, window, 44100, "area")
        assert filters.shape == (bands, window // 2 + 1) and filters.min() == 0
        peaks = filters.argmax(axis=1)
        assert (np.diff(peaks) >= 0).all() and peaks[-1] > 0.9 * window / 2
    wide = mel_filter_bank(20, 2048, 44100, "area")
    np.testing.assert_allclose(wide.sum(axis=1) * 44100 / 2048, 1, rtol=0.02)


def test_filters_narrower_than_a_bin():
    """With unit sum they take the nearest bin; with unit area they are zero."""
    unit_sum, unit_area = (mel_filter_bank(160, 32, 44100, norm) for norm in ("sum", "area"))
    empty = unit_area.sum(1) == 0
    assert empty.sum() > 100
    assert ((unit_sum[empty] == 1).sum(1) == 1).all()
    np.testing.assert_allclose(unit_sum.sum(1), 1, rtol=1e-6)


def test_norms_differ_by_a_factor_per_filter():
    unit_sum, unit_area = (mel_filter_bank(80, 2048, 44100, norm) for norm in ("sum", "area"))
    np.testing.assert_allclose(unit_sum, unit_area / unit_area.sum(1, keepdims=True), rtol=1e-6)


def test_filters_follow_slaneys_scale():
    """Bands of equal width below 1000 Hz, then of equal ratio, 27 to a factor of 6.4."""
    length, rate, bands = 2**16, 16000, 30
    filters = torch.from_numpy(mel_filter_bank(bands, length, rate, "sum"))
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


def test_mel_scale_is_inverted():
    hertz = [0.0, 440.0, 1000.0, 6400.0, 22050.0]
    assert [hertz_to_mel(value) for value in hertz[2:4]] == [15, 42]
    np.testing.assert_allclose(mel_to_hertz(np.array([hertz_to_mel(value) for value in hertz])), hertz)


def test_filter_bank_does_not_import_torch():
    code = "import sys; from switchcodec_cli.model.dsp import mel; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bins_on_an_edge_are_in_the_band_above():
    assert band_of_bins(5, 8000, [1000.0, 2500.0]).tolist() == [0, 1, 1, 2, 2]


def test_bin_weights_are_in_units_of_log10():
    weights = bin_weights(2048, 44100, [4000.0], [3.0, 1.0])
    assert weights.mean() * math.log(10) == pytest.approx(1)
    assert weights[0] / weights[-1] == pytest.approx(3)
