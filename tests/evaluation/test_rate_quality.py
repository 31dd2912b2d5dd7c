"""Rate and quality of whole folders, with Opus, as written by libsndfile, for a codec."""

import io
import json

import numpy as np
import pairs
import pytest
import soundfile
from rich.console import Console

from switchcodec_cli.encoder import EncoderSettings
from switchcodec_cli.errors import BadInputError, UsageError
from switchcodec_cli.evaluation import Point, find_audio_files, rate_quality, sweep_points


class Opus:
    """Opus with the interface of `switchcodec_cli.Codec`."""

    def encode(self, audio, sample_rate, *, kbps):
        if kbps < 6:
            raise UsageError("the lowest rate is 6 kbps")
        channels = 1 if audio.ndim == 1 else audio.shape[1]
        buffer = io.BytesIO()
        level = 1 - (kbps / channels - 6) / 250
        with soundfile.SoundFile(
            buffer, "w", sample_rate, channels, "OPUS", format="OGG", compression_level=level
        ) as file:
            file.write(audio)
        return buffer.getvalue()

    def decode(self, data):
        return soundfile.read(io.BytesIO(data), dtype="float32")


@pytest.fixture
def folder(tmp_path):
    speech, sample_rate = pairs.buzz()[0], 24000  # played at a lower rate
    bells, _, bell_rate = pairs.coarse_stereo()
    for name, audio, rate in [
        ("speech/one.wav", speech, sample_rate),
        ("speech/two.flac", speech[::-1] * 0.5, sample_rate),
        ("music/bells.wav", bells, bell_rate),
    ]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, audio, rate)
    (tmp_path / "speech" / "notes.txt").write_text("no audio")
    return tmp_path


METRICS = ["mel", "stft", "si_sdr"]


def test_rows_means_and_table_of_a_folder(folder):
    seen = []
    result = rate_quality(
        Opus(), [folder], [12, 64], metrics=METRICS, on_row=lambda row, *count: seen.append(count)
    )
    assert [(row.kind, row.asked_kbps) for row in result.rows] == [
        ("music", 12), ("music", 64), ("speech", 12), ("speech", 64), ("speech", 12), ("speech", 64),
    ]  # fmt: skip
    assert seen == [(done, 6) for done in range(1, 7)] and not result.errors
    for row in result.rows:
        assert row.kbps == pytest.approx(row.size * 8 / row.seconds / 1000)
        assert tuple(row.scores) == ("mel", "stft", "si_sdr")
    data = Opus().encode(*soundfile.read(folder / "music/bells.wav", dtype="float32"), kbps=12)
    assert result.rows[0].size == pytest.approx(len(data), abs=4) and result.rows[0].seconds == 1.5

    means = result.means()
    assert [(mean["kind"], mean["asked_kbps"], mean["files"]) for mean in means] == [
        ("music", 12, 1), ("music", 64, 1),
        ("speech", 12, 2), ("speech", 64, 2),
        ("all", 12, 3), ("all", 64, 3),
    ]  # fmt: skip
    low, high = means[-2:]
    assert low["kbps"] < high["kbps"] and low["scores"]["mel"] > high["scores"]["mel"]
    assert low["scores"]["si_sdr"] < high["scores"]["si_sdr"]
    assert low["kbps"] == pytest.approx(
        sum(row.size for row in result.rows[::2]) * 8e-3 / sum(row.seconds for row in result.rows[::2])
    )

    console = Console(width=120, file=io.StringIO())
    console.print(result.table())
    text = console.file.getvalue()
    assert "speech" in text and f"{high['scores']['mel']:.3f}" in text and "SI-SDR ↑" in text


def test_json_has_no_nan(folder):
    if "pesq" not in __import__("switchcodec_cli.evaluation", fromlist=["x"]).available_metrics():
        pytest.skip("needs pesq")
    soundfile.write(folder / "music" / "silence.wav", np.zeros(24000), 24000)
    result = rate_quality(Opus(), [folder / "music"], [12], metrics=["mel", "pesq"])
    text = json.dumps(result.as_dict(), allow_nan=False)
    files = json.loads(text)["files"]
    silence = next(row for row in files if row["file"].endswith("silence.wav"))
    assert silence["scores"]["pesq"] is None and silence["scores"]["mel"] is not None
    assert json.loads(text)["means"][0]["scores"]["pesq"] == pytest.approx(
        next(row for row in files if row["file"].endswith("bells.wav"))["scores"]["pesq"]
    )


def test_worker_processes_give_the_same_rows_in_the_same_order(folder):
    # a metric that does not import torch, which would take most of the time
    alone = rate_quality(Opus(), [folder / "speech"], [12, 64], metrics=["si_sdr"])
    shared = rate_quality(Opus(), [folder / "speech"], [12, 64], metrics=["si_sdr"], workers=2)
    assert [(row.file, row.asked_kbps) for row in shared.rows] == [
        (row.file, row.asked_kbps) for row in alone.rows
    ]
    for ours, theirs in zip(alone.rows, shared.rows, strict=True):
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-5)


def test_failing_files_are_listed_and_the_others_measured(folder):
    (folder / "music" / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEnonsense")
    soundfile.write(folder / "music" / "none.wav", np.zeros((0, 1)), 24000)
    soundfile.write(folder / "music" / "surround.wav", np.zeros((4800, 6)), 48000)
    result = rate_quality(Opus(), [folder / "music"], [12], metrics=["mel"])
    assert [row.file for row in result.rows] == [str(folder / "music" / "bells.wav")]
    messages = {file.rsplit("/", 1)[-1]: message for file, message in result.errors.items()}
    assert messages.keys() == {"broken.wav", "none.wav", "surround.wav"}
    assert "6 channels" in messages["surround.wav"] and "no audio" in messages["none.wav"]
    mixed = rate_quality(Opus(), [folder / "music" / "surround.wav"], [12], metrics=["mel"], channels="mono")
    assert len(mixed.rows) == 1
    too_low = rate_quality(Opus(), [folder / "speech" / "one.wav"], [3], metrics=["mel"])
    assert list(too_low.errors.values()) == ["the lowest rate is 6 kbps"] and too_low.means() == []
    json.dumps(too_low.as_dict())


def test_several_curves(folder):
    points = [Point.at_rate(12, "low"), Point.at_rate(64, "high"), Point("high", "Q 3", {"kbps": 96})]
    result = rate_quality(Opus(), [folder / "music"], [*points, points[0]], metrics=["mel"])
    named = [(row.curve, row.setting, row.asked_kbps) for row in result.rows]
    assert named == [("low", "12", 12), ("high", "64", 64), ("high", "Q 3", None)]
    assert [(mean["curve"], mean["setting"]) for mean in result.means()] == [each[:2] for each in named]
    assert result.rows[2].kbps > result.rows[1].kbps > result.rows[0].kbps
    console = Console(width=120, file=io.StringIO())
    console.print(result.table())
    assert "curve" in console.file.getvalue() and "Q 3" in console.file.getvalue()


def test_sweep_has_every_effort_and_every_kind_of_rate_control():
    points = sweep_points([2.67, 8], 1)
    assert [point.options for point in points[:8]] == [
        {"kbps": rate, "effort": effort, "cbr": True} for effort in range(4) for rate in (2.67, 8)
    ]
    assert [point.options for point in points[8:10]] == [
        {"average_kbps": rate, "effort": 1} for rate in (2.67, 8)
    ]
    assert [point.options["quality"] for point in points[10:]] == [0, 2.5, 5, 7.5, 10]
    for point in points:
        EncoderSettings(**point.options)


def test_impossible_requests_are_refused(folder, tmp_path):
    for paths, kind in [([folder / "missing"], BadInputError), ([], BadInputError)]:
        with pytest.raises(kind):
            rate_quality(Opus(), paths, [12])
    with pytest.raises(UsageError, match="no rate"):
        rate_quality(Opus(), [folder], [])
    with pytest.raises(UsageError, match="no metric"):
        rate_quality(Opus(), [folder], [12], metrics=["loudness"])
    assert find_audio_files([folder / "speech", folder / "speech" / "one.wav"]) == [
        folder / "speech" / "one.wav",
        folder / "speech" / "two.flac",
    ]
