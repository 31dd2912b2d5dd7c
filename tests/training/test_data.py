"""Audio is decoded once, silence cut, kinds balanced, items augmented."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from material import RATE, tune, write_folder

from switchcodec_cli.errors import UsageError
from switchcodec_cli.training.config import DataConfig
from switchcodec_cli.training.data import AudioPool, build_pool, decode_file, default_cache

PLAIN = DataConfig(quietest=0.0, mixing=0.0, warping=0.0)
CPU = torch.device("cpu")


def pool_of(tmp_path, config=PLAIN, length=2000):
    if not (tmp_path / "pool").exists():
        build_pool(write_folder(tmp_path / "audio"), tmp_path / "pool", RATE, workers=1)
    return AudioPool(tmp_path / "pool", config, length, CPU, RATE)


def test_decoding_mixes_resamples_and_cuts_silence(tmp_path):
    audio = np.zeros((5 * 16000, 2))
    audio[16000:32000, 0] = tune(1, 16000, 1)
    audio[64000:, 0] = tune(1, 16000, 2)
    soundfile.write(tmp_path / "a.flac", audio, 16000)
    found = decode_file(tmp_path / "a.flac", RATE)
    assert found.dtype == np.int16
    # two seconds of sound and 80 ms to either side of each, of five
    assert 2.1 * RATE <= len(found) <= 2.5 * RATE
    assert np.abs(found).max() / 32767 == pytest.approx(0.5 * np.abs(audio).max(), rel=0.1)


def test_the_pool_holds_every_recording_once(tmp_path):
    pool = pool_of(tmp_path)
    index = json.loads((tmp_path / "pool" / "pool.json").read_text())
    assert [entry["name"] for entry in index] == sorted(entry["name"] for entry in index)
    assert {entry["kind"] for entry in index} == {"speech", "music", "sound"}
    assert len(index) == 6
    assert sum(entry["length"] for entry in index) == len(pool.samples)
    assert pool.hours == pytest.approx(24 / 3600, rel=0.1)
    for entry in index:
        path = tmp_path / "audio" / entry["name"]
        stretch = pool.samples[entry["start"] : entry["start"] + entry["length"]].numpy()
        np.testing.assert_array_equal(stretch, decode_file(path, RATE))
    assert not list((tmp_path / "pool").glob("*.tmp"))


def test_unreadable_files_are_left_out_and_named(tmp_path):
    write_folder(tmp_path / "audio", seconds=1, each=1)
    (tmp_path / "audio" / "speech" / "broken.wav").write_bytes(b"RIFF, but nothing else")
    lines = []
    build_pool(tmp_path / "audio", tmp_path / "pool", RATE, workers=1, report=lines.append)
    assert len(AudioPool(tmp_path / "pool", PLAIN, 500, CPU).recordings) == 3
    index = json.loads((tmp_path / "pool" / "pool.json").read_text())
    assert [entry["name"] for entry in index if not entry["length"]] == ["speech/broken.wav"]
    assert len(index) == 4
    assert len(lines) == 1 and "broken.wav" in lines[0]


def test_folders_without_use_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no audio"):
        build_pool(tmp_path / "empty", tmp_path / "none", RATE)
    (tmp_path / "empty" / "notes.wav").write_text("not audio")
    with pytest.raises(UsageError, match="no audio"):
        build_pool(tmp_path / "empty", tmp_path / "none", RATE, workers=1)
    with pytest.raises(UsageError, match="no recording is longer"):
        pool_of(tmp_path, length=100 * RATE)


def test_every_folder_and_rate_has_a_cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caches = {default_cache(tmp_path / name, rate) for name in "ab" for rate in (8000, 44100)}
    assert len(caches) == 4
    assert all(cache.is_relative_to(tmp_path) for cache in caches)


def test_kinds_are_drawn_by_their_shares(tmp_path):
    config = replace(PLAIN, speech=0.7, music=0.2, sound=0.1)
    pool = pool_of(tmp_path, config)
    chosen = torch.multinomial(
        pool.weights, 20_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    kinds = np.array([recording.kind for recording in pool.recordings])[chosen.numpy()]
    for kind, share in (("speech", 0.7), ("music", 0.2), ("sound", 0.1)):
        assert (kinds == kind).mean() == pytest.approx(share, abs=0.02)


def test_crops_are_stretches_of_recordings(tmp_path):
    pool = pool_of(tmp_path)
    crops = pool.crops(20, 500, torch.Generator().manual_seed(0))
    assert crops.shape == (20, 500)
    samples = pool.samples.float() / 32768
    windows = samples.unfold(0, 500, 1)
    for crop in crops:
        first = int((windows[:, 0] == crop[0]).nonzero()[:, 0][0])
        candidates = (windows[:, 0] == crop[0]).nonzero()[:, 0]
        match = [int(place) for place in candidates if torch.equal(windows[place], crop)]
        assert match, first
        assert any(
            r.start <= place and place + 500 <= r.start + r.length for place in match for r in pool.recordings
        )


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("warping", [0.0, 1.0])
@pytest.mark.parametrize("length", [1024, 2048, 5000])
def test_items_have_their_shape_and_level(tmp_path, count, warping, length):
    pool = pool_of(tmp_path, DataConfig(warping=warping, mixing=0.5), length)
    for seed in range(5):
        items = pool.batch(count, torch.Generator().manual_seed(seed))
        assert items.shape == (count, length)
        assert items.dtype == torch.float32 and items.isfinite().all()
        assert items.abs().max() <= 2
    again = pool.batch(count, torch.Generator().manual_seed(4))
    assert torch.equal(items, again)


def test_warping_changes_speed_and_tone_but_little_else(tmp_path):
    """A tone moves by at most a tenth in pitch, and within the equaliser's range in level."""
    time = np.arange(12 * RATE) / RATE
    (tmp_path / "audio" / "sound").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "sound" / "tone.wav", 0.3 * np.sin(2 * np.pi * 1000 * time), RATE)
    build_pool(tmp_path / "audio", tmp_path / "pool", RATE, workers=1)
    pool = AudioPool(tmp_path / "pool", replace(PLAIN, warping=1.0), 8000, CPU)
    generator = torch.Generator().manual_seed(0)
    pitches = []
    for _ in range(12):
        item = pool.warped(1, generator)[0]
        spectrum = torch.fft.rfft(item * torch.hann_window(8000)).abs()
        pitches.append(int(spectrum.argmax()))  # Hz, as the item lasts a second
        level = item.square().mean().sqrt() / (0.3 / 2**0.5)
        assert 0.3 < level < 3
    assert 890 <= min(pitches) < 980 and 1020 < max(pitches) <= 1120


def test_gains_signs_and_mixing(tmp_path):
    length = 1000
    loud = pool_of(tmp_path, PLAIN, length).batch(200, torch.Generator().manual_seed(1))
    quiet = pool_of(tmp_path, replace(PLAIN, quietest=-40.0), length).batch(
        200, torch.Generator().manual_seed(1)
    )
    gain = 20 * torch.log10(quiet.abs().amax(1) / loud.abs().amax(1))
    assert 0.3 < (gain < -0.01).float().mean() < 0.7  # half of the items
    assert gain.max() < 0.01 and -41 < gain.min() < -30
    mixed = pool_of(tmp_path, replace(PLAIN, mixing=1.0), length).batch(200, torch.Generator().manual_seed(1))
    assert ((mixed - loud).abs().amax(1) > 1e-3).float().mean() > 0.8


def test_items_of_tones_are_lines_of_the_spectrum(tmp_path):
    pool = pool_of(tmp_path, replace(PLAIN, tones=1.0))
    items = pool.batch(64, torch.Generator().manual_seed(3))
    assert items.abs().max() <= 1 and items.abs().amax(1).min() > 10 ** (-50 / 20)
    spectrum = torch.fft.rfft(items * torch.hann_window(items.shape[1])).abs()
    strongest = spectrum.sort(1, descending=True).values
    # a few lines hold nearly everything in most items; gliding and hardly quieter recordings are the rest
    share = strongest[:, :40].square().sum(1) / strongest.square().sum(1)
    assert share.median() > 0.95
    without = pool_of(tmp_path, PLAIN).batch(64, torch.Generator().manual_seed(3))
    assert not torch.equal(items, without)
