"""Choice of channels, and down-mixing."""

import numpy as np
import pytest
from signals import tones

from switchcodec_cli.audio import choose_channels, mix, mixing_matrix
from switchcodec_cli.errors import UsageError


def test_number_of_channels_to_encode():
    assert [choose_channels(count, "auto") for count in (1, 2)] == [1, 2]
    assert [choose_channels(count, "mono") for count in (1, 2, 6)] == [1, 1, 1]
    assert [choose_channels(count, "stereo") for count in (1, 2, 6)] == [2, 2, 2]
    with pytest.raises(UsageError, match=r"film\.wav: has 6 channels; use --channels stereo"):
        choose_channels(6, "auto", "film.wav")
    with pytest.raises(UsageError, match="auto, mono, stereo"):
        choose_channels(2, "quad")


def test_mixing_5_1_follows_bs_775():
    left, right = mixing_matrix(6, 2).T
    gains = np.array([1, 0, 0.70711, 0, 0.70711, 0])
    np.testing.assert_allclose(left, gains / gains.sum(), atol=1e-5)
    np.testing.assert_allclose(right, left[[1, 0, 2, 3, 5, 4]])
    np.testing.assert_allclose(mixing_matrix(6, 1)[:, 0], (left + right) / 2, atol=1e-7)
    assert mixing_matrix(6, 1)[2, 0] == mixing_matrix(6, 1).max()  # the centre


@pytest.mark.parametrize("channels", range(1, 12))
@pytest.mark.parametrize("channels_out", [1, 2])
def test_mixing_cannot_clip_and_drops_only_the_lfe_channel(channels, channels_out):
    matrix = mixing_matrix(channels, channels_out)
    assert matrix.shape == (channels, channels_out)
    np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-6)
    assert (matrix >= 0).all()
    silent = [c for c in range(channels) if not matrix[c].any()]
    assert silent == ([3] if channels in (6, 7, 8) else [])


def test_mixing_does_not_depend_on_the_blocks():
    audio = tones(5000, 6)
    whole = mix(audio, 2)
    np.testing.assert_array_equal(
        np.concatenate([mix(audio[:1], 2), mix(audio[1:777], 2), mix(audio[777:], 2)]), whole
    )
    np.testing.assert_allclose(whole, audio @ mixing_matrix(6, 2), atol=1e-6)
    np.testing.assert_allclose(mix(audio[:, :2], 1)[:, 0], audio[:, :2].mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(mix(audio[:, :1], 2), np.repeat(audio[:, :1], 2, axis=1))
    assert mix(audio[:, :2], 2) is not None and whole.dtype == np.float32
