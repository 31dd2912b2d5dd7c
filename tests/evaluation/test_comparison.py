"""Other codecs, and files decoded elsewhere."""

import shutil

import numpy as np
import pairs
import pytest
import soundfile

from switchcodec_cli.errors import BadInputError, UsageError
from switchcodec_cli.evaluation import DecodedFolder, Point, points_of_other_codecs, rate_quality


class Halves:
    """Stores samples in 16 bits, at half the level."""

    def encode(self, audio, sample_rate, *, kbps):
        return np.round(audio * 16384).astype("<i2").tobytes()

    def decode(self, data):
        return np.frombuffer(data, "<i2")[:, None] / 32768, 24000


@pytest.fixture
def originals(tmp_path):
    speech = pairs.buzz()[0].astype(np.float32)
    for name in ("valid/speech/one.wav", "valid/music/one.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        soundfile.write(tmp_path / name, speech, 24000)
    return tmp_path / "valid"


def test_counterparts_are_those_with_most_of_the_path(originals, tmp_path):
    for name in ("other/speech/one.flac", "other/one.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, np.full((100, 1), 0.25), 48000)
    folder = DecodedFolder("other", tmp_path / "other")
    assert folder.find(originals / "speech" / "one.wav").name == "one.flac"
    assert folder.find(originals / "music" / "one.wav").name == "one.wav"
    assert folder.read(originals / "music" / "one.wav", 24000, 2).shape == (50, 2)
    shutil.copy(tmp_path / "other/one.wav", tmp_path / "other/one.aiff")
    with pytest.raises(BadInputError, match="several counterparts"):
        folder.find(originals / "music" / "one.wav")
    with pytest.raises(BadInputError, match="no counterpart"):
        folder.find(originals / "music" / "two.wav")


def test_folders_are_measured_beside_the_codec(originals, tmp_path):
    (tmp_path / "same" / "speech").mkdir(parents=True)
    shutil.copy(originals / "speech" / "one.wav", tmp_path / "same" / "speech")
    also = [DecodedFolder("same", tmp_path / "same", 64), DecodedFolder("unknown", originals)]
    coded = []
    result = rate_quality(
        Halves(),
        [originals],
        [Point.at_rate(100, "halves")],
        metrics=["mel"],
        also=also,
        on_coded=coded.append,
    )
    speech = [row for row in result.rows if row.kind == "speech"]
    assert [(row.curve, row.setting) for row in speech] == [
        ("halves", "100"),
        ("same", "64"),
        ("unknown", ""),
    ]
    assert speech[0].scores["mel"] > 0.1 and speech[1].scores["mel"] == speech[2].scores["mel"] == 0
    files = result.as_dict()["files"]
    assert [row["kbps"] for row in files if row["kind"] == "speech"][1:] == [64, None]
    assert list(result.errors) == [str(originals / "music" / "one.wav")]  # has no counterpart in `same`
    assert [each.decoded.shape for each in coded] == [each.reference.shape for each in coded]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_aligned(tmp_path, channels):
    time = np.arange(3 * 44100)[:, None] / 44100
    sweep = 0.3 * np.sin(2 * np.pi * (200 + 300 * time + np.arange(channels)) * time)
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "sweep.wav", sweep, 44100)
    coded = []
    points = [point for point in points_of_other_codecs(["opus"]) if point.asked_kbps == 24]
    result = rate_quality(Halves(), [tmp_path], points, metrics=["si_sdr"], on_coded=coded.append)
    (row,), (audio,) = result.rows, coded
    assert row.curve == "Opus" and 12 < row.kbps < 48  # variable: tones take more
    assert len(audio.decoded) == len(sweep) and audio.decoded.shape[1] == channels
    assert row.scores["si_sdr"] > 8  # a shift of a few samples would make it negative


def test_codecs_that_are_unknown_or_missing(monkeypatch):
    with pytest.raises(UsageError, match=r"'mp3' .*opus.*--also"):
        points_of_other_codecs(["mp3"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="needs the program ffmpeg"):
        points_of_other_codecs(["opus"])
