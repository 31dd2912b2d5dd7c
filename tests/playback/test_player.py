"""The player, with an output that keeps what it gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from switchcodec_cli.audio import resample
from switchcodec_cli.errors import BadInputError
from switchcodec_cli.playback import AudioSource, Player

RATE = 8000
BLOCK = 160  # samples that the player writes at once
FADE = 80


class Recording:
    """An output that keeps samples, and calls a function before some of them."""

    def __init__(self, actions: dict[int, Callable[[], None]] | None = None) -> None:
        self.blocks: list[np.ndarray] = []
        self.events: list[str] = []
        self.actions = actions or {}

    def write(self, samples: np.ndarray) -> None:
        self.blocks.append(samples.copy())
        action = self.actions.get(len(self.blocks))
        if action:
            action()

    def start(self) -> None:
        self.events.append("start")

    def stop(self) -> None:
        self.events.append("stop")

    def abort(self) -> None:
        self.events.append("abort")

    def close(self) -> None:
        self.events.append("close")

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate(self.blocks)[:, 0]


class Ramp:
    """Samples that tell their position, and a number of the source."""

    def __init__(self, frames: int, offset: float = 0.0, fails_at: int | None = None) -> None:
        self.audio = (np.arange(frames, dtype=np.float32) / 2**20 + offset)[:, None]
        self.fails_at = fails_at

    def blocks(self, start: int) -> Iterator[np.ndarray]:
        for begin in range(start, len(self.audio), 777):
            if self.fails_at is not None and begin >= self.fails_at:
                raise BadInputError("window 7 is damaged")
            yield self.audio[begin : begin + 777]


def player(output: Recording, *sources: Ramp, start: int = 0) -> Player:
    frames = len(sources[0].audio)
    return Player(output, sources, sample_rate=RATE, channels=1, frames=frames, start=start)


@pytest.mark.parametrize("start", [0, 1, 4321])
def test_everything_is_played_once_and_in_order(start: int) -> None:
    output, source = Recording(), Ramp(10_000)
    player(output, source, start=start).run()
    assert np.array_equal(output.samples, source.audio[start:, 0])
    assert output.events == ["start", "stop"]


def test_switching_keeps_the_position_with_a_short_fade() -> None:
    first, second = Ramp(8000), Ramp(5000, offset=0.5)
    output = Recording(
        {10: lambda: played.switch(), 20: lambda: played.switch(), 25: lambda: played.switch()}
    )
    played = player(output, first, second)
    played.run()
    heard = output.samples
    assert len(heard) == 8000 and played.status.selected == 1
    switched, back = 10 * BLOCK, 20 * BLOCK
    assert np.array_equal(heard[:switched], first.audio[:switched, 0])
    assert np.array_equal(heard[switched + FADE : back], second.audio[switched + FADE : back, 0])
    assert np.array_equal(heard[back + FADE : 25 * BLOCK], first.audio[back + FADE : 25 * BLOCK, 0])
    assert np.abs(np.diff(heard[:5000])).max() < 0.5 / FADE + 1e-3  # no click
    assert (heard[5000 + FADE :] == 0).all()  # the second source is shorter


def test_seeking_in_both_directions_and_not_beyond_the_ends() -> None:
    source = Ramp(16_000)
    output = Recording(
        {
            5: lambda: played.skip(1.0),
            10: lambda: played.skip(-9),
            15: lambda: (played.skip(0.25), played.skip(0.75)),
            20: lambda: played.skip(60),
        }
    )
    played = player(output, source)
    played.run()
    starts = [0, 4 * BLOCK + RATE, 0, 4 * BLOCK + RATE]  # from the block that was not heard yet
    for number, start in enumerate(starts):
        part = np.concatenate(output.blocks[5 * number : 5 * number + 5])[:, 0]
        fade = FADE if number else 0
        assert np.array_equal(part[fade:], source.audio[start + fade : start + len(part), 0])
    assert len(output.blocks) == 20 and played.status.position == 2.0
    assert output.events == ["start", *["abort", "start"] * 4, "stop"]


def test_pause_stops_the_output_and_loses_nothing_but_a_fade() -> None:
    source, paused = Ramp(4000), threading.Event()
    output = Recording({5: lambda: played.toggle_pause()})
    output.stop = lambda: (output.events.append("stop"), paused.set())
    played = player(output, source)
    thread = threading.Thread(target=played.run)
    thread.start()
    assert paused.wait(10)
    assert played.status.paused and played.status.position == 6 * BLOCK / RATE and len(output.blocks) == 6
    played.toggle_pause()
    thread.join(10)
    heard, faded = output.samples, np.r_[5 * BLOCK : 7 * BLOCK]
    assert np.array_equal(np.delete(heard, faded), np.delete(source.audio[:, 0], faded))
    assert heard[6 * BLOCK - 1] == 0 and output.events == ["start", "stop", "start", "stop"]


def test_stop_while_paused_and_while_playing() -> None:
    output = Recording({3: lambda: played.stop()})
    played = player(output, Ramp(10_000))
    played.run()
    assert len(output.blocks) == 3 and output.events == ["start", "abort"]
    output = Recording({3: lambda: played.toggle_pause()})
    output.stop = lambda: played.stop()
    played = player(output, Ramp(10_000))
    played.run()
    assert output.events == ["start", "abort"]


def test_error_of_a_source_comes_after_what_was_read_and_ends_its_thread() -> None:
    output, source = Recording(), Ramp(10_000, fails_at=3000)
    with pytest.raises(BadInputError, match="window 7"):
        player(output, source).run()
    assert (
        np.array_equal(output.samples, source.audio[: len(output.samples), 0]) and len(output.samples) > 2900
    )
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def test_levels() -> None:
    output = Recording()
    played = player(output, Ramp(BLOCK, offset=-0.25))
    played.run()
    assert played.status.peaks == pytest.approx((0.25,))


@pytest.mark.parametrize("rate", [RATE, 11025, 48000])
@pytest.mark.parametrize("start", [0, 1, 12_345])
def test_original_is_resampled_mixed_and_aligned(tmp_path: Path, rate: int, start: int) -> None:
    audio = 0.1 * np.random.default_rng(0).standard_normal((3 * rate, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio, rate, subtype="FLOAT")
    source = AudioSource(str(tmp_path / "a.wav"), RATE, 1)
    heard = np.concatenate(list(source.blocks(start)))
    expected = resample(audio.mean(axis=1, keepdims=True), rate, RATE)[start:]
    assert heard.shape == expected.shape
    assert np.abs(heard - expected).max() < 1e-5
