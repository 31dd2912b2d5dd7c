"""Metrics of speech on signals with known answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pairs
import pytest
import soundfile

from switchcodec_cli.errors import BadInputError, UsageError
from switchcodec_cli.evaluation import METRICS, load_transcripts, measure, measure_alone
from switchcodec_cli.evaluation.speech import word_error_rate
from switchcodec_cli.evaluation.transcripts import words_of

SPEECH = Path(__file__).parents[2] / "examples" / "speech.flac"
HEARD = "whatever his gaze return to that crouched venus on the piano"  # by the recogniser in SPEECH


def needs(name: str) -> None:
    """Skip a test if a metric is not available."""
    if not METRICS[name].available:
        pytest.skip(f"the metric {name} needs the package {METRICS[name].package.distribution}")


def speech() -> tuple[np.ndarray, int]:
    return soundfile.read(SPEECH)


def speech_for_one_opinion() -> tuple[np.ndarray, int]:
    """As long as one window of DNSMOS."""
    audio, rate = speech()
    return np.resize(audio, round(9.1 * rate)), rate


def vowels(pitch: float, rate: int = 16000) -> np.ndarray:
    """Two voiced syllables of half a second with a pause of half as much between them and at both ends."""
    time = np.arange(rate // 2) / rate
    vowel = sum(np.sin(2 * np.pi * n * pitch * time) / n for n in range(1, 12)) * np.hanning(len(time)) ** 0.2
    pause = np.zeros(rate // 4)
    audio = np.concatenate([pause, vowel, pause, vowel, pause])
    return 0.1 * audio + 0.0005 * pairs.noise(len(audio))


def test_clean_speech_gets_better_opinions_than_noise() -> None:
    needs("dnsmos")
    audio, rate = speech_for_one_opinion()
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(audio))
    clean, noisy, bad = (measure_alone(signal, rate) for signal in (audio, audio + noise, noise))
    assert tuple(clean) == ("dnsmos", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")
    for name, score in clean.items():
        assert 1 <= bad[name] < noisy[name] < score <= 5, name
    assert clean["dnsmos"] == pytest.approx(3.08, abs=0.02)
    assert all(math.isnan(score) for score in measure_alone(np.zeros(rate), rate).values())


def test_opinions_look_at_the_decoded_signal_only() -> None:
    needs("dnsmos")
    audio, rate = speech_for_one_opinion()
    names = ["dnsmos", "dnsmos_p808"]
    assert measure(np.zeros(len(audio)), audio, rate, names) == measure_alone(audio, rate, names)
    with pytest.raises(UsageError, match="'pesq' needs the original"):
        needs("pesq")
        measure_alone(audio, rate, ["pesq"])


def test_similarity_of_voices() -> None:
    needs("speaker")
    audio, rate = speech()
    half = len(audio) // 2
    same = measure(audio, 0.3 * audio, rate, ["speaker"])["speaker"]
    later = measure(audio[:half], audio[half : 2 * half], rate, ["speaker"])["speaker"]
    assert same == pytest.approx(1, abs=0.01)
    assert 0.75 < later < same  # other words of the same speaker
    higher = measure(audio, raised(audio), rate, ["speaker"])["speaker"]
    assert higher < later
    assert math.isnan(measure(audio, 0 * audio, rate, ["speaker"])["speaker"])


def raised(audio: np.ndarray) -> np.ndarray:
    """A voice raised by a factor of 1.5, repeated to the same length."""
    fast = np.interp(np.arange(0, len(audio), 1.5), np.arange(len(audio)), audio)
    return np.resize(fast, len(audio))


def test_disagreement_of_the_recogniser() -> None:
    needs("words")
    audio, rate = speech()
    names = ["words", "wer", "wer_original"]
    unchanged = measure(audio, audio, rate, names, "Whatever his gaze returned to that crouched Venus.")
    # "return" for "returned", and three words more
    assert unchanged == {"words": 0, "wer": 4 / 8, "wer_original": 4 / 8}
    silent = measure(audio, 1e-4 * pairs.noise(len(audio)), rate, ["words", "wer"])
    assert silent["words"] > 0.8 and math.isnan(silent["wer"])


def test_recogniser_does_not_depend_on_what_it_heard_before() -> None:
    needs("words")
    audio, rate = speech()
    loud = 0.5 * pairs.noise(rate)
    assert math.isnan(measure(0 * loud, loud, rate, ["words"])["words"])
    assert measure(audio, audio[: len(audio)] * 0.9, rate, ["wer"], HEARD)["wer"] == 0


def test_word_error_rate() -> None:
    rate = word_error_rate
    assert rate(["the", "cat", "sat"], ["the", "cat", "sat"]) == 0
    assert rate(["the", "cat", "sat"], ["a", "cat", "sat", "down"]) == 2 / 3
    assert rate(["the", "cat", "sat"], []) == 1
    assert rate(["yes"], ["no", "no", "no"]) == 3
    assert math.isnan(rate([], ["word"]))
    assert words_of("“Don’t”, she said — it's 5 o'clock!") == ["don't", "she", "said", "it's", "5", "o'clock"]


def test_pitch_of_a_shifted_voice() -> None:
    needs("pitch")
    names = ["pitch", "voicing"]
    shifted = measure(vowels(140), vowels(140 * 2 ** (1 / 12)), 16000, names)
    assert shifted["pitch"] == pytest.approx(100, abs=3) and shifted["voicing"] < 0.03
    same = measure(vowels(140), 0.5 * vowels(140), 16000, names)
    assert same["pitch"] < 3 and same["voicing"] < 0.03
    whispered = measure(vowels(140), 0.02 * pairs.noise(len(vowels(140))), 16000, names)
    assert 0.4 < whispered["voicing"] < 0.75  # 1 of 1.75 s is voiced


def test_transcripts_are_read_from_a_file_or_a_folder(tmp_path: Path) -> None:
    lines = tmp_path / "all.trans.txt"
    lines.write_text("one HELLO THERE\ntwo.a\tGOOD BYE\n\n", encoding="utf-8")
    assert load_transcripts(lines) == {"one": "HELLO THERE", "two.a": "GOOD BYE"}
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "deep" / "one.txt").write_text("Grüß Gott,\nHerr Müller")
    assert words_of(load_transcripts(tmp_path / "texts")["one"]) == ["grüß", "gott", "herr", "müller"]
    (tmp_path / "texts" / "one.txt").write_text("something else")
    with pytest.raises(UsageError, match="two transcripts of 'one'"):
        load_transcripts(tmp_path / "texts")
    lines.write_bytes(b"\xff\xfe\x00")
    for path, message in ((lines, "not text"), (tmp_path / "none", "no such file")):
        with pytest.raises(BadInputError, match=message):
            load_transcripts(path)
