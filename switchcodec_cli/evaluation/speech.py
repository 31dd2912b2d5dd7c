"""Metrics of what matters in speech: naturalness, voice, words, and melody.

Every model comes with its package; nothing is downloaded and nothing is unpickled.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SwcError
from ..model.dsp.mel import mel_filter_bank
from .signals import SPEECH_RATE, Signal, SignalPair, clips, mean_of_known, remember
from .transcripts import words_of

if TYPE_CHECKING:
    import torch

_FULL_SCALE = 32767  # of samples of 16 bits

# Pitch
_PITCH_RANGE = (65.0, 600.0)  # Hz, of voices of men, women and children
_PITCH_WINDOW, _PITCH_STEP = 1024, 160  # samples at 16 kHz

# Embeddings of voices, as the weights were trained
_VOICE_BANDS = 40
_VOICE_WINDOW, _VOICE_STEP = 400, 160  # samples at 16 kHz
_VOICE_FRAMES = 160  # in a window of the network, 1.6 s
_VOICE_HOP = 80  # frames between windows
_VOICE_UNITS, _VOICE_LAYERS = 256, 3
_VOICE_LEVEL = -30.0  # dBFS
_VOICE_ACTIVE = -30.0  # dB below the loudest window; what the original has below is not compared


def dnsmos(pair: SignalPair) -> float:
    """DNSMOS P.835, overall quality (OVRL) of the decoded signal alone. Speech only.

    A network's prediction of listeners' opinions, from the package `speechmos`: windows of 9 s, one second
    apart; shorter signals are repeated, longer ones scored in parts of at most a minute. Samples beyond full
    scale are clipped. Clean recordings get about 3 to 3.4, and coded ones that sound cleaner than their
    original may get more than it: compare with what the original gets.

    Range: 1 to 5, predicted mean opinion score; higher is better. Not-a-number for silence.
    Source: Reddy et al. 2022, "DNSMOS P.835"; ITU-T P.835.
    """
    return pair.cached(_opinions).overall


def dnsmos_signal(pair: SignalPair) -> float:
    """DNSMOS P.835, quality of the speech itself (SIG); see `dnsmos`.

    Range: 1 to 5, predicted mean opinion score; higher is better. Not-a-number for silence.
    Source: Reddy et al. 2022, "DNSMOS P.835"; ITU-T P.835.
    """
    return pair.cached(_opinions).signal


def dnsmos_background(pair: SignalPair) -> float:
    """DNSMOS P.835, absence of intrusive noise (BAK); see `dnsmos`.

    Range: 1 to 5, predicted mean opinion score; higher is better. Not-a-number for silence.
    Source: Reddy et al. 2022, "DNSMOS P.835"; ITU-T P.835.
    """
    return pair.cached(_opinions).background


def dnsmos_p808(pair: SignalPair) -> float:
    """DNSMOS P.808, overall quality of the decoded signal alone; windows as for `dnsmos`. Speech only.

    Range: 1 to 5, predicted mean opinion score; higher is better. Not-a-number for silence.
    Source: Reddy et al. 2021, "DNSMOS"; ITU-T P.808.
    """
    return pair.cached(_opinions).p808


def speaker(pair: SignalPair) -> float:
    """Similarity of the voices: cosine of the embeddings of original and decoded signal. Speech only.

    The network is that of `Resemblyzer` (40 mel bands at 16 kHz, three LSTM layers of 256 units), with the
    weights of that package, of which no code is run. Signals are brought to -30 dBFS, since the embeddings
    depend on the level. Windows of 1.6 s overlap by half; those that are more than 30 dB below the loudest
    one of the original are left out, and the embeddings of the others are averaged.

    Range: 0 to 1; higher is better. Short utterances of different speakers get about 0.5 to 0.9, of the same
    speaker 0.8 to 0.95. Not-a-number if one of the signals is silent.
    Source: Wan et al. 2018, "Generalized end-to-end loss for speaker verification".
    """
    reference, decoded = pair.at(SPEECH_RATE)
    if not (reference.any() and decoded.any()):
        return math.nan
    power = np.array([np.square(window).mean() for window in _voice_windows(reference)])
    active = power > 10 ** (_VOICE_ACTIVE / 10) * power.max()
    ours, theirs = (_voice_embeddings(signal)[active].mean(axis=0) for signal in (reference, decoded))
    return float(ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs)))


def words(pair: SignalPair) -> float:
    """Disagreement of a recogniser between original and decoded signal. English speech only.

    The word error rate of what `pocketsphinx` recognises in the decoded signal against what it recognises in
    the original, with the package's English models. The recogniser errs often, in the original too, so
    values are large; compare codecs on the same recordings.

    Range: 0 for the same words, above 1 if many are added; lower is better. Not-a-number if no word is
    recognised in the original.
    Source: Huggins-Daines et al. 2006, "PocketSphinx"; Levenshtein 1966.
    """
    reference, decoded = pair.at(SPEECH_RATE)
    return word_error_rate(_recognise(reference), _recognise(decoded))


def word_error(pair: SignalPair) -> float:
    """Word error rate of a recogniser in the decoded signal against a transcript. English speech only.

    As `words`, but against what was said. The original has an error rate of its own, `word_error_original`.

    Range: 0 for no error, above 1 if many words are added; lower is better. Not-a-number without transcript.
    Source: as for `words`.
    """
    if pair.transcript is None:
        return math.nan
    return word_error_rate(words_of(pair.transcript), _recognise(pair.at(SPEECH_RATE)[1]))


def word_error_original(pair: SignalPair) -> float:
    """Word error rate of the recogniser in the original against a transcript, to compare `word_error` with.

    Range: 0 for no error, above 1 if many words are added; lower is better. Not-a-number without transcript.
    Source: as for `words`.
    """
    if pair.transcript is None:
        return math.nan
    return word_error_rate(words_of(pair.transcript), _recognise(pair.at(SPEECH_RATE)[0]))


def pitch(pair: SignalPair) -> float:
    """Mean magnitude of the change of pitch in cents, over frames that are voiced in both signals.

    Pitch is estimated by probabilistic YIN (`librosa.pyin`) at 16 kHz between 65 and 600 Hz, in frames of
    64 ms, 10 ms apart. A semitone has 100 cents, an octave 1200. Errors of the estimator by an octave count
    in full.

    Range: 0 to 3848; lower is better. Not-a-number if no frame is voiced in both.
    Source: Mauch and Dixon 2014, "pYIN".
    """
    ours, theirs = (_pitch(signal) for signal in pair.at(SPEECH_RATE))
    cents = np.abs(1200 * np.log2(theirs / ours))
    return float(np.nanmean(cents)) if np.isfinite(cents).any() else math.nan


def voicing(pair: SignalPair) -> float:
    """Voicing decision error: share of frames that are voiced in one signal and unvoiced in the other.

    Frames and estimator as for `pitch`.

    Range: 0 to 1; lower is better.
    Source: Nakatani et al. 2008; Mauch and Dixon 2014, "pYIN".
    """
    ours, theirs = (np.isnan(_pitch(signal)) for signal in pair.at(SPEECH_RATE))
    return float(np.mean(ours != theirs))


def word_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Least number of substitutions, deletions and insertions over the number of words of the reference.

    Not-a-number if the reference has no words. Source: Levenshtein 1966.
    """
    if not reference:
        return math.nan
    costs = list(range(len(hypothesis) + 1))  # of turning the words so far into each start of the hypothesis
    for number, word in enumerate(reference, 1):
        previous, costs = costs, [number]
        for column, other in enumerate(hypothesis):
            substitution = previous[column] + (word != other)
            costs.append(min(substitution, previous[column + 1] + 1, costs[column] + 1))
    return costs[-1] / len(reference)


@dataclass(frozen=True)
class _Opinions:
    """Mean opinion scores as predicted by DNSMOS."""

    overall: float
    signal: float
    background: float
    p808: float


def _opinions(pair: SignalPair) -> _Opinions:
    import speechmos.dnsmos

    parts = [part for part in clips(pair.at(SPEECH_RATE)[1], SPEECH_RATE) if part.any()]
    scores = [speechmos.dnsmos.run(part.clip(-1, 1), SPEECH_RATE) for part in parts]

    def mean(name: str) -> float:
        return mean_of_known([float(score[name]) for score in scores])

    return _Opinions(mean("ovrl_mos"), mean("sig_mos"), mean("bak_mos"), mean("p808_mos"))


@remember
def _recognise(signal: Signal) -> list[str]:
    """The words that are recognised in a signal at 16 kHz."""
    recogniser = _recogniser()
    words: list[str] = []
    for part in clips(signal, SPEECH_RATE):
        samples = (part.clip(-1, 1) * _FULL_SCALE).round().astype(np.int16)
        recogniser.start_utt()
        recogniser.process_raw(samples.tobytes(), full_utt=True)
        recogniser.end_utt()
        hypothesis = recogniser.hyp()
        words += words_of(hypothesis.hypstr) if hypothesis else []
    return words


@lru_cache
def _recogniser() -> Any:
    import pocketsphinx

    # Means of whole utterances; by default they depend on the utterances before.
    return pocketsphinx.Decoder(samprate=SPEECH_RATE, cmn="batch", loglevel="FATAL")


@remember
def _pitch(signal: Signal) -> NDArray[np.float64]:
    """Pitch in Hz of a signal at 16 kHz, not-a-number in frames that are not voiced, (frames,)."""
    import librosa

    low, high = _PITCH_RANGE
    parts = [
        librosa.pyin(
            part, fmin=low, fmax=high, sr=SPEECH_RATE, frame_length=_PITCH_WINDOW, hop_length=_PITCH_STEP
        )[0]
        for part in clips(signal, SPEECH_RATE)
    ]
    pitch: NDArray[np.float64] = np.concatenate(parts)
    return pitch


def _voice_windows(signal: Signal) -> list[Signal]:
    """The windows of a signal at 16 kHz that are embedded; the last one is filled up with zeros."""
    length, step = _VOICE_FRAMES * _VOICE_STEP, _VOICE_HOP * _VOICE_STEP
    count = 1 + max(0, math.ceil((len(signal) - length) / step))
    padded = np.pad(signal, (0, (count - 1) * step + length - len(signal)))
    return [padded[number * step : number * step + length] for number in range(count)]


@remember
def _voice_embeddings(signal: Signal) -> NDArray[np.float64]:
    """Embeddings of length 1 of the windows of a signal at 16 kHz, (windows, 256)."""
    import torch

    level = 10 * math.log10(float(np.square(signal).mean()))
    signal = signal * 10 ** ((_VOICE_LEVEL - level) / 20)
    filters = torch.from_numpy(mel_filter_bank(_VOICE_BANDS, _VOICE_WINDOW, SPEECH_RATE, "area"))
    windows = torch.from_numpy(np.stack(_voice_windows(signal)).astype(np.float32))
    spectra = torch.stft(
        windows,
        _VOICE_WINDOW,
        _VOICE_STEP,
        window=torch.hann_window(_VOICE_WINDOW),
        pad_mode="constant",
        return_complex=True,
    )
    power = spectra.abs().square()[..., :_VOICE_FRAMES]  # (windows, bins, frames)
    embeddings: NDArray[np.float64] = _voice_network()((filters @ power).mT).double().numpy()
    return embeddings


@lru_cache
def _voice_network() -> Callable[[torch.Tensor], torch.Tensor]:
    """The network with the weights of `Resemblyzer`: mel power (B, T, 40) to embeddings (B, 256).

    Raises:
        SwcError: The package does not contain the weights.
    """
    import torch
    from torch import nn

    spec = importlib.util.find_spec("resemblyzer")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next(
        (file for file in (Path(folder, "pretrained.pt") for folder in folders) if file.exists()), None
    )
    if path is None:
        raise SwcError("the package Resemblyzer is installed without its weights")
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    layers = nn.ModuleDict(
        {
            "lstm": nn.LSTM(_VOICE_BANDS, _VOICE_UNITS, _VOICE_LAYERS, batch_first=True),
            "linear": nn.Linear(_VOICE_UNITS, _VOICE_UNITS),
        }
    )
    layers.load_state_dict({name: state[name] for name in layers.state_dict()})

    @torch.inference_mode()
    def embed(mel: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = layers["lstm"](mel)
        return nn.functional.normalize(torch.relu(layers["linear"](hidden[-1])), dim=1)

    return embed
