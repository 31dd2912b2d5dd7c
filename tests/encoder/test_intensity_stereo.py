"""Windows in which one channel is the other at other levels: found, coded once, decoded with their levels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tiny_codecs import audio, codec, windows_of

from switchcodec_cli.bitstream import (
    BlockKind,
    RateMode,
    StreamReader,
    StreamWriter,
    Window,
    intensity_block,
    level_gains,
    verify,
)
from switchcodec_cli.encoder import EncoderSettings, SourceFormat
from switchcodec_cli.errors import BadInputError

LEFT_COPIED, RIGHT_COPIED = (BlockKind.INTENSITY, BlockKind.CODED), (BlockKind.CODED, BlockKind.INTENSITY)


def kinds(data: bytes) -> list[tuple[BlockKind, ...]]:
    return [tuple(block.kind for block in window.blocks) for window in windows_of(data)]


def mono(windows: float, seed: int = 0) -> np.ndarray:
    this = codec("spectral")
    return audio(round(windows * this.parameters.window_samples), 1, this.sample_rate, seed)[:, 0]


def encode(left: np.ndarray, right: np.ndarray, **options) -> bytes:
    options = options or {"experts": 2, "effort": 0}
    return codec("spectral").encode(np.stack([left, right], 1).astype(np.float32), 16000, **options)


@pytest.mark.parametrize(("gain", "kind"), [(0.5, RIGHT_COPIED), (0.8, RIGHT_COPIED), (4.0, LEFT_COPIED)])
def test_the_fainter_signal_is_made_of_the_louder_one(gain, kind):
    sound = mono(6)
    data = encode(sound, gain * sound)
    assert kinds(data) == [kind] * 6
    for window in windows_of(data):
        (block,) = (block for block in window.blocks if block.levels)
        heard = 10 ** (-abs(20 * np.log10(gain)) / 20)
        # above 6.4 kHz there is next to nothing
        np.testing.assert_allclose(level_gains(block.levels)[1:6], heard, rtol=0.1)


def test_the_levels_come_out_of_the_decoder():
    sound = mono(12)
    decoded = codec("spectral").decode(encode(sound, 0.5 * sound))[0]
    inside = slice(16000 // 4, -16000 // 4)
    left, right = decoded[inside].astype(float).T
    assert np.sqrt(np.mean(right**2) / np.mean(left**2)) == pytest.approx(0.5, rel=0.1)
    assert np.corrcoef(left, right)[0, 1] > 0.98


def test_levels_differ_by_band():
    time = np.arange(16000) / 16000
    low, high = (0.2 * np.sin(2 * np.pi * f * time) for f in (300.0, 4000.0))
    noise = 0.001 * np.random.default_rng(0).standard_normal(len(time))
    data = encode(low + high + noise, 0.9 * low + 0.3 * high + 0.3 * noise)
    panned = [window.blocks[1] for window in windows_of(data)[1:3]]
    for block in panned:
        assert block.kind is BlockKind.INTENSITY
        gains = level_gains(block.levels)
        assert gains[1] == pytest.approx(0.9, rel=0.1) and gains[5] == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(
    "right",
    [
        lambda sound: mono(6, seed=1),  # something else
        lambda sound: -0.7 * sound,  # the opposite: the fold-down to mono would not cancel any more
        lambda sound: sound + 0.5 * mono(6, seed=1),  # the same and something else
        lambda sound: np.roll(sound, 8),  # half a millisecond late
    ],
)
def test_other_signals_are_coded(right):
    sound = mono(6)
    assert kinds(encode(sound, right(sound))) == [(BlockKind.CODED, BlockKind.CODED)] * 6


def test_a_short_event_in_one_channel_is_not_lost():
    sound = mono(6)
    right = 0.5 * sound
    begin = round(2.5 * codec("spectral").parameters.window_samples)
    right[begin : begin + 300] += 0.3 * np.random.default_rng(0).standard_normal(300)
    found = kinds(encode(sound, right))
    assert found[2] == (BlockKind.CODED, BlockKind.CODED)
    assert found[0] == found[5] == RIGHT_COPIED


@pytest.mark.parametrize("options", [{"kbps": 6.0}, {"average_kbps": 6.0}, {"quality": 4.0}, {"experts": 3}])
def test_every_rate_mode_profits(options):
    sound = mono(40)
    panned = encode(sound, 0.7 * sound, effort=0, **options)
    wide = encode(sound, mono(40, seed=1), effort=0, **options)
    assert set(kinds(panned)) == {RIGHT_COPIED}
    experts = [
        [len(block.experts) for window in windows_of(data) for block in window.blocks if not block.levels]
        for data in (panned, wide)
    ]
    constant = StreamReader(io.BytesIO(panned)).header.rate_mode == RateMode.CONSTANT
    if constant or "average_kbps" in options:
        assert np.mean(experts[0]) > np.mean(experts[1])  # what the other one would have taken
    else:
        assert len(panned) < 0.7 * len(wide)
    if "quality" not in options and "experts" not in options:
        rate = 8e-3 * len(panned) / (len(sound) / 16000)
        assert rate <= 6.1  # with header and trailer of a short file


def test_bytes_do_not_depend_on_blocks():
    this = codec("spectral")
    sound = mono(20)
    samples = np.stack([sound, 0.6 * sound], 1)
    samples[len(samples) // 2 :, 1] = mono(20, seed=1)[len(samples) // 2 :]
    whole = this.encode(samples, 16000, experts=2, effort=0)
    file = io.BytesIO()
    source = SourceFormat(16000, 2, total_samples=len(samples))
    encoder = this.encoder(file, source, EncoderSettings(experts=2, effort=0))
    for start in range(0, len(samples), 777):
        encoder.write(samples[start : start + 777])
    encoder.close()
    assert file.getvalue() == whole
    assert {RIGHT_COPIED, (BlockKind.CODED, BlockKind.CODED)} <= set(kinds(whole))
    assert verify(io.BytesIO(whole)).ok
    decoded = this.decode(whole)[0]
    part = this.decode(whole, start=0.5, duration=0.2)[0]
    np.testing.assert_allclose(part, decoded[8000 : 8000 + len(part)], atol=1e-4)


def test_weights_that_make_waveforms_refuse_levels():
    this = codec("dac")
    rate = this.sample_rate
    samples = audio(rate, 1, rate)
    data = this.encode(np.concatenate([samples, 0.5 * samples], 1), rate, experts=1, effort=0)
    assert set(kinds(data)) == {(BlockKind.CODED, BlockKind.CODED)}
    reader = StreamReader(io.BytesIO(data))
    windows = list(reader)
    file = io.BytesIO()
    writer = StreamWriter(file, reader.header)
    for window in windows:
        writer.write(Window(window.frames, (window.blocks[0], intensity_block([24] * 8))))
    writer.close(reader.total_samples)
    with pytest.raises(BadInputError, match="intensity stereo"):
        this.decode(file.getvalue())
