"""The pool of training audio, and random items from it."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from tiny_training import RATE, tone_bursts, write_data_folder

from switchcodec_cli.errors import UsageError
from switchcodec_cli.training.config import DataConfig
from switchcodec_cli.training.data import (
    AudioPool,
    build_pool,
    decode_file,
    default_cache,
    pool_is_current,
    prepare_pool,
)

NO_AUGMENTATION = DataConfig(min_gain_db=0.0, mix_probability=0.0, speed_eq_probability=0.0)
CPU = torch.device("cpu")


def open_pool(tmp_path, config=NO_AUGMENTATION, length=2000):
    if not (tmp_path / "pool").exists():
        build_pool(write_data_folder(tmp_path / "audio"), tmp_path / "pool", RATE, workers=1)
    return AudioPool(tmp_path / "pool", config, length, CPU)


def read_index(tmp_path):
    return json.loads((tmp_path / "pool" / "pool.json").read_text())["recordings"]


def test_decode_file_mixes_resamples_and_removes_silence(tmp_path):
    audio = np.zeros((5 * 16000, 2))
    audio[16000:32000, 0] = tone_bursts(1, 16000, 1)
    audio[64000:, 0] = tone_bursts(1, 16000, 2)
    soundfile.write(tmp_path / "a.flac", audio, 16000)
    decoded = decode_file(tmp_path / "a.flac", RATE)
    assert decoded.dtype == np.int16
    # of five seconds, two of sound and 80 ms to either side of each
    assert 2.1 * RATE <= len(decoded) <= 2.5 * RATE
    assert np.abs(decoded).max() / 32767 == pytest.approx(0.5 * np.abs(audio).max(), rel=0.1)


def test_decode_file_rounds_to_int16(tmp_path):
    audio = np.tile([0.6, 1.4, -0.6, -1.4], RATE) / 32767 + 0.25
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    expected = np.rint(audio.astype(np.float32) * np.float32(32767)).astype(np.int16)
    np.testing.assert_array_equal(decode_file(tmp_path / "a.wav", RATE), expected)


def test_pool_contains_every_recording_once(tmp_path):
    pool = open_pool(tmp_path)
    index = read_index(tmp_path)
    assert [entry["name"] for entry in index] == sorted(entry["name"] for entry in index)
    assert {recording.kind for recording in pool.recordings} == {"speech", "music", "sound"}
    assert len(index) == 6
    assert sum(entry["length"] for entry in index) == len(pool.samples)
    assert pool.hours == pytest.approx(24 / 3600, rel=0.1)
    assert pool.sample_rate == RATE
    for entry in index:
        path = tmp_path / "audio" / entry["name"]
        stretch = pool.samples[entry["start"] : entry["start"] + entry["length"]].numpy()
        np.testing.assert_array_equal(stretch, decode_file(path, RATE))
    assert {path.name for path in (tmp_path / "pool").iterdir()} == {"pool.json", "pool.i16"}


def test_unreadable_files_are_left_out_and_reported(tmp_path):
    write_data_folder(tmp_path / "audio", seconds=1, each=1)
    (tmp_path / "audio" / "speech" / "broken.wav").write_bytes(b"RIFF, but nothing else")
    lines = []
    build_pool(tmp_path / "audio", tmp_path / "pool", RATE, workers=1, report=lines.append)
    assert len(AudioPool(tmp_path / "pool", NO_AUGMENTATION, 500, CPU).recordings) == 3
    index = read_index(tmp_path)
    assert [entry["name"] for entry in index if not entry["length"]] == ["speech/broken.wav"]
    assert len(index) == 4
    assert len(lines) == 1 and "broken.wav" in lines[0]


def test_folders_without_usable_audio_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no audio"):
        build_pool(tmp_path / "empty", tmp_path / "none", RATE)
    (tmp_path / "empty" / "notes.wav").write_text("not audio")
    with pytest.raises(UsageError, match="no audio"):
        build_pool(tmp_path / "empty", tmp_path / "none", RATE, workers=1)
    with pytest.raises(UsageError, match="not a readable pool"):
        AudioPool(tmp_path / "none", NO_AUGMENTATION, 500, CPU)
    with pytest.raises(UsageError, match="no recording is longer"):
        open_pool(tmp_path, length=100 * RATE)


def test_zero_share_for_every_kind_of_a_pool_is_refused(tmp_path):
    (tmp_path / "audio" / "speech").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "speech" / "a.wav", tone_bursts(2, RATE, 0), RATE)
    with pytest.raises(UsageError, match="share of zero"):
        build_pool(tmp_path / "audio", tmp_path / "pool", RATE, workers=1)
        open_pool(tmp_path, replace(NO_AUGMENTATION, speech_share=0.0))


def test_default_cache_differs_by_folder_and_rate(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caches = {default_cache(tmp_path / name, rate) for name in "ab" for rate in (8000, 44100)}
    assert len(caches) == 4
    assert all(cache.is_relative_to(tmp_path) for cache in caches)


def test_pool_is_rebuilt_when_a_file_or_the_rate_changes(tmp_path):
    folder, cache = write_data_folder(tmp_path / "audio", seconds=1, each=1), tmp_path / "pool"
    path = folder / "speech" / "0.wav"
    lines = []
    assert not pool_is_current(folder, cache, RATE)
    prepare_pool(folder, cache, RATE, lines.append)
    assert pool_is_current(folder, cache, RATE) and not pool_is_current(folder, cache, 2 * RATE)
    prepare_pool(folder, cache, RATE, lines.append)
    assert len(lines) == 1 and "decoding" in lines[0]

    status = path.stat()
    soundfile.write(path, tone_bursts(1, RATE, 9), RATE)  # of the same size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert not pool_is_current(folder, cache, RATE)
    prepare_pool(folder, cache, RATE, lines.append)
    soundfile.write(path, tone_bursts(1.5, RATE, 0), RATE)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert not pool_is_current(folder, cache, RATE)
    prepare_pool(folder, cache, RATE, lines.append)
    path.rename(folder / "speech" / "another.wav")
    assert not pool_is_current(folder, cache, RATE)
    prepare_pool(folder, cache, RATE, lines.append)
    (cache / "pool.i16").unlink()
    assert not pool_is_current(folder, cache, RATE)
    (cache / "pool.json").write_text("[]")
    assert not pool_is_current(folder, cache, RATE)


def test_kinds_are_drawn_by_their_shares(tmp_path):
    config = replace(NO_AUGMENTATION, speech_share=0.7, music_share=0.2, sound_share=0.1)
    pool = open_pool(tmp_path, config)
    chosen = torch.multinomial(
        pool.weights, 20_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    kinds = np.array([recording.kind for recording in pool.recordings])[chosen.numpy()]
    for kind, share in (("speech", 0.7), ("music", 0.2), ("sound", 0.1)):
        assert (kinds == kind).mean() == pytest.approx(share, abs=0.02)


def test_crops_are_stretches_of_recordings(tmp_path):
    pool = open_pool(tmp_path)
    crops = pool.crops(20, 500, torch.Generator().manual_seed(0))
    assert crops.shape == (20, 500)
    samples = pool.samples.float() / 32768
    windows = samples.unfold(0, 500, 1)
    for crop in crops:
        candidates = (windows[:, 0] == crop[0]).nonzero()[:, 0]
        matches = [int(place) for place in candidates if torch.equal(windows[place], crop)]
        assert matches, int(candidates[0])
        assert any(
            r.start <= place and place + 500 <= r.start + r.length
            for place in matches
            for r in pool.recordings
        )


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("speed_eq", [0.0, 1.0])
@pytest.mark.parametrize("length", [1024, 2048, 5000])
def test_items_have_the_right_shape_and_level(tmp_path, count, speed_eq, length):
    pool = open_pool(tmp_path, DataConfig(speed_eq_probability=speed_eq, mix_probability=0.5), length)
    for seed in range(5):
        items = pool.batch(count, torch.Generator().manual_seed(seed))
        assert items.shape == (count, length)
        assert items.dtype == torch.float32 and items.isfinite().all()
        assert items.abs().max() <= 2
    again = pool.batch(count, torch.Generator().manual_seed(4))
    assert torch.equal(items, again)


def test_speed_and_equalisation_change_pitch_and_level_within_limits(tmp_path):
    """A tone moves by at most a tenth in pitch, and within the equaliser's range in level."""
    time = np.arange(12 * RATE) / RATE
    (tmp_path / "audio" / "sound").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "sound" / "tone.wav", 0.3 * np.sin(2 * np.pi * 1000 * time), RATE)
    build_pool(tmp_path / "audio", tmp_path / "pool", RATE, workers=1)
    pool = AudioPool(tmp_path / "pool", replace(NO_AUGMENTATION, speed_eq_probability=1.0), 8000, CPU)
    generator = torch.Generator().manual_seed(0)
    pitches = []
    for _ in range(12):
        item = pool.speed_and_eq_items(1, generator)[0]
        spectrum = torch.fft.rfft(item * torch.hann_window(8000)).abs()
        pitches.append(int(spectrum.argmax()))  # Hz, as the item lasts a second
        level = item.square().mean().sqrt() / (0.3 / 2**0.5)
        assert 0.3 < level < 3
    assert 890 <= min(pitches) < 980 and 1020 < max(pitches) <= 1120


def test_gain_and_mixing(tmp_path):
    length = 1000
    loud = open_pool(tmp_path, NO_AUGMENTATION, length).batch(200, torch.Generator().manual_seed(1))
    quiet = open_pool(tmp_path, replace(NO_AUGMENTATION, min_gain_db=-40.0), length).batch(
        200, torch.Generator().manual_seed(1)
    )
    gain = 20 * torch.log10(quiet.abs().amax(1) / loud.abs().amax(1))
    assert 0.3 < (gain < -0.01).float().mean() < 0.7  # half of the items
    assert gain.max() < 0.01 and -41 < gain.min() < -30
    mixed = open_pool(tmp_path, replace(NO_AUGMENTATION, mix_probability=1.0), length).batch(
        200, torch.Generator().manual_seed(1)
    )
    assert ((mixed - loud).abs().amax(1) > 1e-3).float().mean() > 0.8


def test_tone_items_are_spectral_lines(tmp_path):
    pool = open_pool(tmp_path, replace(NO_AUGMENTATION, tone_probability=1.0))
    items = pool.batch(64, torch.Generator().manual_seed(3))
    assert items.abs().max() <= 1 and items.abs().amax(1).min() > 10 ** (-50 / 20)
    spectrum = torch.fft.rfft(items * torch.hann_window(items.shape[1])).abs()
    strongest = spectrum.sort(1, descending=True).values
    # a few lines have nearly all energy in most items; the others glide or keep a recording at a high level
    share = strongest[:, :40].square().sum(1) / strongest.square().sum(1)
    assert share.median() > 0.95
    without = open_pool(tmp_path, NO_AUGMENTATION).batch(64, torch.Generator().manual_seed(3))
    assert not torch.equal(items, without)
