"""What an average rate, a ceiling and a quality promise, for any course of loudness; needs no network."""

import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    BlockKind,
    BlockMode,
    ChannelCoding,
    Header,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Window,
    coded_block,
    coded_modes,
    intensity_block,
)
from switchcodec_cli.encoder import EncoderSettings
from switchcodec_cli.encoder.chunks import AnalysedChunk
from switchcodec_cli.encoder.rate.allocation import minimise_distortion
from switchcodec_cli.encoder.rate.control import RateControl

PARAMETERS = StreamParameters(44100, 1024, 43, 8, 1024, 2)
RATE, CHUNK = PARAMETERS.sample_rate, 8
FRAMES, SAMPLES = PARAMETERS.frames_per_window, 43 * 1024

# runs of so many windows at so many dB below full scale; below -100 digital silence
LEVELS = st.lists(st.tuples(st.floats(-110, 0), st.integers(1, 12)), min_size=1, max_size=12)
WHOLE = -1  # look-ahead: a first pass over everything


def course(runs, signals, seed):
    """Level of every window in dB (signals, W), and how much more each expert brings (signals, W, Nr + 1)."""
    random = np.random.default_rng(seed)
    first = np.concatenate([np.full(windows, level) for level, windows in runs])
    levels = np.stack([first, np.roll(first, 2) - 6])[:signals]
    gains = random.exponential(1, (*levels.shape, PARAMETERS.experts))
    fall = np.cumsum(np.concatenate([np.zeros((*levels.shape, 1)), gains], 2), 2)
    loud = 10 ** (np.maximum(levels, -100) / 60)
    return levels, loud[..., None] * np.exp(-0.3 * fall)


def chunks(levels, tables, frames):
    """The windows as the front end hands them over, `frames` in all."""
    count = levels.shape[1]
    for start in range(0, count, CHUNK):
        part = slice(start, min(start + CHUNK, count))
        length = min(part.stop * FRAMES, frames) - start * FRAMES
        silent = levels[:, part] < -100
        number = np.arange(part.start, part.stop)
        yield AnalysedChunk(
            z=torch.zeros(len(levels), length, 1),
            silent=silent,
            same=number % 11 == 7 if len(levels) == 2 else number < 0,
            intensity=np.stack([number % 5 == 2, number % 5 == 4])[: len(levels)] & (len(levels) == 2),
            levels=np.zeros((silent.shape[1], 8), int),
            features=None,
            distortion=tables[:, part],
        )


def stream(wanted, runs, signals=1, seed=0, look_ahead=WHOLE, last_frames=FRAMES):
    """A stream with the decided numbers of experts: header, packets and trailer. Returns it and its modes."""
    levels, tables = course(runs, signals, seed)
    frames = (levels.shape[1] - 1) * FRAMES + last_frames
    samples = frames * PARAMETERS.hop - 100
    header = Header(
        parameters=PARAMETERS,
        fingerprint=bytes(16),
        original_rate=RATE,
        channels=signals,
        channel_coding=ChannelCoding.MONO if signals == 1 else ChannelCoding.LEFT_RIGHT,
        rate_mode=wanted.rate_mode,
        experts_total=None,
        nominal_bits_per_second=wanted.nominal_bits_per_second,
        total_samples=samples,
    )
    planner = RateControl(wanted, header, None if look_ahead == WHOLE else look_ahead)
    decided = [modes for chunk in chunks(levels, tables, frames) for modes in planner.push(chunk)]
    modes = [each for chunk in [*decided, *planner.finish(samples)] for each in chunk]
    assert (len(modes), len(modes[0])) == levels.T.shape
    file = io.BytesIO()
    writer = StreamWriter(file, header)
    for number, row in enumerate(modes):
        size = min(FRAMES, frames - number * FRAMES)
        writer.write(Window(size, tuple(block(mode, size) for mode in row)))
    writer.close(samples)
    return file.getvalue(), modes, samples / RATE


def block(mode, frames):
    if mode.kind is BlockKind.SILENT:
        return SILENT
    if mode.kind is BlockKind.COPY:
        return COPY
    if mode.kind is BlockKind.INTENSITY:
        return intensity_block([24] * 8)
    indices = np.zeros((1 + mode.experts, 2, frames), np.uint16)
    return coded_block(tuple(range(mode.experts)), indices)


def expert_counts(modes):
    """Experts of every coded block."""
    return np.array([mode.experts for row in modes for mode in row if mode.kind is BlockKind.CODED])


def least_bytes(runs, signals, last_frames):
    """The file with no expert at all."""
    data, _, _ = stream(EncoderSettings(quality=0.0), [(level, n) for level, n in runs], signals, 0, WHOLE,
                        last_frames)  # fmt: skip
    reader = StreamReader(io.BytesIO(data))
    sizes = [
        PARAMETERS.packet_bytes([BlockMode(mode.kind) for mode in window.modes], window.frames)
        for window in reader.windows()
    ]
    return reader.header_bytes + sum(sizes) + reader.trailer.size


@settings(max_examples=25, deadline=None)
@given(
    LEVELS,
    st.floats(0.9, 8.5),
    st.integers(1, 2),
    st.integers(1, FRAMES),
    st.sampled_from([1, 4, WHOLE]),
    st.integers(0, 9),
)
def test_an_average_is_never_exceeded(runs, rate, signals, last_frames, look_ahead, seed):
    rate *= signals
    data, _, seconds = stream(
        EncoderSettings(average_kbps=rate), runs, signals, seed, look_ahead, last_frames
    )
    # header and trailer cannot be saved on: they are all that may put a short file above
    assert len(data) <= max(125 * rate * seconds, least_bytes(runs, signals, last_frames))


@settings(max_examples=15, deadline=None)
@given(LEVELS, st.floats(1.1, 7.0), st.integers(1, 2), st.integers(0, 9))
def test_a_planned_average_over_a_minute_is_met_within_a_hundredth_or_an_expert(runs, rate, signals, seed):
    rate *= signals
    runs = [*runs, (-20.0, 60)]
    data, modes, seconds = stream(EncoderSettings(average_kbps=rate), runs, signals, seed)
    if (expert_counts(modes) < PARAMETERS.experts).any():  # else there is nothing left to spend on
        step = PARAMETERS.packet_bytes(coded_modes([4])) - PARAMETERS.packet_bytes(coded_modes([3]))
        assert 0 <= 125 * rate * seconds - len(data) <= max(0.01 * 125 * rate * seconds, step)


@settings(max_examples=15, deadline=None)
@given(LEVELS, st.floats(1.8, 12.0), st.integers(1, 2), st.sampled_from(["average_kbps", "quality"]))
def test_no_window_is_above_the_ceiling(runs, most, signals, mode):
    value = most if mode == "average_kbps" else 9.0
    wanted = EncoderSettings(**{mode: value}, max_kbps=most)
    data, _, _ = stream(wanted, [*runs, (-3.0, 5)], signals)
    sizes = [
        PARAMETERS.packet_bytes(window.modes, window.frames)
        for window in StreamReader(io.BytesIO(data)).windows()
    ]
    assert 8e-3 * max(sizes) / PARAMETERS.window_seconds <= most


@settings(max_examples=10, deadline=None)
@given(LEVELS, st.integers(1, 2), st.integers(0, 9))
def test_more_quality_or_rate_never_takes_experts_away(runs, signals, seed):
    for mode, values in (("quality", (0.0, 3.0, 6.0, 10.0)), ("average_kbps", (2.0, 4.0, 9.0, 16.0))):
        sizes = [len(stream(EncoderSettings(**{mode: value}), runs, signals, seed)[0]) for value in values]
        assert sizes == sorted(sizes)


def test_silence_costs_a_few_bytes():
    data, modes, seconds = stream(EncoderSettings(average_kbps=2.0), [(-110.0, 600)])
    assert all(mode.kind is BlockKind.SILENT for row in modes for mode in row)
    assert 8e-3 * len(data) / seconds < 0.04


def test_louder_and_needier_windows_get_more():
    _, modes, _ = stream(EncoderSettings(average_kbps=3.0), [(-60.0, 30), (-10.0, 30)])
    assert expert_counts(modes[30:]).mean() > expert_counts(modes[:30]).mean() + 1


@pytest.mark.parametrize("seed", range(5))
def test_within_budget_is_nearly_the_best_there_is(seed):
    random = np.random.default_rng(seed)
    sizes = np.repeat(np.array([[10, 20, 30]]), 6, 0)
    distortion = np.sort(random.uniform(0, 1, (6, 3)), 1)[:, ::-1]
    budget = 120
    best = min(
        distortion[np.arange(6), list(each)].sum()
        for each in itertools.product(range(3), repeat=6)
        if sizes[np.arange(6), list(each)].sum() <= budget
    )
    chosen = minimise_distortion(distortion, sizes, budget)
    assert sizes[np.arange(6), chosen].sum() <= budget
    assert distortion[np.arange(6), chosen].sum() <= best + 0.1
    assert distortion[np.arange(6), chosen].sum() < distortion[:, 1].sum()
