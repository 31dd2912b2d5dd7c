"""Resampling does not depend on the blocks, and lengths are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import tones

from switchcodec_cli.audio import StreamResampler, resample, resampled_length

RATES = [8000, 11025, 12345, 16000, 22050, 32000, 44056, 44100, 48000, 88200, 96000, 176400, 192000]


def in_blocks(audio, rate_in, rate_out, size, end_is_known=True):
    resampler = StreamResampler(rate_in, rate_out, audio.shape[1])
    pieces = []
    for start in range(0, len(audio), size):
        last = end_is_known and start + size >= len(audio)
        pieces.append(resampler.process(audio[start : start + size], last))
    if not end_is_known or not len(audio):
        pieces.append(resampler.process(audio[:0], last=True))
    return np.concatenate(pieces)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frames", [0, 1, 2, 7, 1000, 30011])
def test_round_trip(rate, frames):
    audio = tones(frames, 2, rate)
    inside = in_blocks(audio, rate, 44100, 4096)
    assert len(inside) == resampled_length(frames, rate, 44100) == int(np.ceil(frames * 44100 / rate))
    for size, end_is_known in ((frames or 1, True), (999, False)):
        np.testing.assert_allclose(in_blocks(audio, rate, 44100, size, end_is_known), inside, atol=1e-6)
    np.testing.assert_array_equal(resample(audio, rate, 44100), in_blocks(audio, rate, 44100, frames or 1))

    back = in_blocks(inside, 44100, rate, 4096)
    assert len(back) >= frames
    if frames > 20000:  # no delay in either direction (all tones lie in both passbands)
        middle = slice(2000, frames - 2000)
        assert np.abs(resample(back, rate, rate)[middle] - audio[middle]).std() < 0.02
        low = resample(resample(audio, rate, 8000), 8000, rate)[middle]
        assert np.corrcoef(low[:, 0], audio[middle][:, 0])[0, 1] > 0.99


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(0, 3000),
    rate_in=st.sampled_from(RATES),
    rate_out=st.sampled_from(RATES),
    sizes=st.lists(st.integers(0, 700), max_size=20),
)
def test_result_does_not_depend_on_the_blocks(frames, rate_in, rate_out, sizes):
    audio = tones(frames, 1, rate_in)
    resampler, pieces, start = StreamResampler(rate_in, rate_out, 1), [], 0
    for size in sizes:
        pieces.append(resampler.process(audio[start : start + size]))
        start += size
    pieces.append(resampler.process(audio[start:], last=True))
    whole = resample(audio, rate_in, rate_out)
    assert len(whole) == resampled_length(frames, rate_in, rate_out)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_long_streams_do_not_drift():
    """After twenty minutes an impulse is still at its place, and the length is exact."""
    rate, frames = 8000, 8000 * 1200 + 3
    resampler, total, peak_at = StreamResampler(rate, 44100, 1), 0, None
    for start in range(0, frames, 1 << 20):
        block = np.zeros((min(1 << 20, frames - start), 1), np.float32)
        if start <= 8000 * 1199 < start + len(block):
            block[8000 * 1199 - start] = 1
        output = resampler.process(block, last=start + len(block) == frames)
        if len(output) and output.max() > 0.5:
            peak_at = total + int(output.argmax())
        total += len(output)
    assert peak_at == 44100 * 1199
    assert total == resampled_length(frames, rate, 44100)


def test_equal_rates_change_nothing():
    audio = tones(100, 3)
    assert resample(audio, 44100, 44100) is not None
    np.testing.assert_array_equal(in_blocks(audio, 44100, 44100, 33), audio)
    np.testing.assert_array_equal(resample(audio[:, 0], 44100, 44100), audio[:, 0])


def test_invalid_arguments_are_refused():
    with pytest.raises(ValueError, match=r"\(frames, 2\)"):
        StreamResampler(8000, 44100, 2).process(np.zeros((10, 1), np.float32))
    with pytest.raises(ValueError, match="positive"):
        StreamResampler(0, 44100, 2)
