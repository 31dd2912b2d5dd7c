"""Objective quality metrics of a decoded signal against its original.

Signals are compared in mono at 44.1 kHz: channels are averaged, other rates are resampled by soxr (quality
VHQ), and the pair is cut to the shorter of the two; metrics of stereo compare both channels. `METRICS` lists
all metrics, `GROUPS` those that belong together; the docstring of each one's function gives its definition,
range, direction and source.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..model.dsp.mel import mel_filter_bank
from . import levels, speech
from .signals import (
    SAMPLE_RATE,
    SPEECH_RATE,
    Signal,
    SignalPair,
    mean_of_clips,
    to_channels,
    to_mono,
)

if TYPE_CHECKING:
    import torch

VISQOL_RATE = 48000  # Hz
NON_SPEECH_KINDS = frozenset({"music", "sound"})  # names of folders without speech

_SPECTRAL_RESOLUTIONS = ((2048, 150), (512, 80))  # window length in samples, mel bands
_SPECTRAL_FLOOR = 1e-5
_FRAMES_PER_BLOCK = 4096  # bounds the memory for long signals
_MAX_MISSING_SECONDS = 0.05  # at the end of a decoded signal; of more, all is replaced by silence


class SpectralDistances(NamedTuple):
    """Distances of magnitude spectra."""

    mel: float
    stft: float


class Package(NamedTuple):
    """An optional Python package."""

    module: str
    distribution: str  # its name for pip
    requires: tuple[str, ...] = ()  # modules that it needs without declaring them
    install: str = "switchcodec-cli[eval]"  # what installs it

    @property
    def available(self) -> bool:
        """Whether it is installed, with all that it needs."""
        modules = (self.module, *self.requires)
        return all(importlib.util.find_spec(module) is not None for module in modules)


@dataclass(frozen=True)
class Metric:
    """A metric and how it is shown."""

    name: str  # in options and JSON
    title: str  # in tables and figures
    score: Callable[[SignalPair], float]
    lower_is_better: bool = False
    decimals: int = 3
    package: Package | None = None  # that has to be installed
    speech_only: bool = False
    zero_is_best: bool = False  # a change, negative or positive
    needs_reference: bool = True
    needs_transcript: bool = False
    needs_stereo: bool = False

    @property
    def available(self) -> bool:
        """Whether the package it needs is installed."""
        return self.package is None or self.package.available

    @property
    def arrow(self) -> str:
        """Which values are better, as a sign: higher, lower, or nearer to zero."""
        return "→0" if self.zero_is_best else "↓" if self.lower_is_better else "↑"

    @property
    def direction(self) -> str:
        """Which values are better, in words."""
        if self.zero_is_best:
            return "0 is best"
        return "lower is better" if self.lower_is_better else "higher is better"

    def applies_to(self, kind: str) -> bool:
        """Whether it is meaningful for recordings of a kind, the name of their folder."""
        return not (self.speech_only and kind in NON_SPEECH_KINDS)


def mel_distance(pair: SignalPair) -> float:
    """Multi-resolution mel distance.

    The sum over two resolutions, Hann windows of 2048 samples with 150 mel bands and of 512 samples with 80,
    of the mean over frames and bands of |log10 a^2 - log10 b^2| + |a - b|. Here a and b are magnitudes in
    Slaney mel bands of unit area from 0 to 22050 Hz, floored at 1e-5 in the logarithm. Frames are centred, a
    quarter of a window apart, and edges are reflected.

    Range: 0 for equal signals, without upper limit; lower is better.
    Source: the mel loss with default settings in the evaluation of DAC (Kumar et al. 2023).
    """
    return pair.cached(_spectral_distances).mel


def stft_distance(pair: SignalPair) -> float:
    """Multi-resolution STFT distance: `mel_distance` with the magnitudes of bins in place of mel bands.

    Range: 0 for equal signals, without upper limit; lower is better.
    Source: the STFT loss with default settings in the evaluation of DAC (Kumar et al. 2023).
    """
    return pair.cached(_spectral_distances).stft


def si_sdr(pair: SignalPair) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, of the waveforms with their means removed.

    10 log10 of |t|^2 / |d - t|^2, where t is the decoded signal d projected onto the original. Decoders
    that synthesise phases score low, however similar the sound.

    Range: unlimited; higher is better.
    Source: Le Roux et al. 2019, "SDR - half-baked or well done?".
    """
    reference = pair.reference - pair.reference.mean()
    decoded = pair.decoded - pair.decoded.mean()
    target = reference * (reference @ decoded) / (reference @ reference + 1e-12)
    distortion = decoded - target
    return 10 * math.log10((target @ target + 1e-12) / (distortion @ distortion + 1e-12))


def pesq(pair: SignalPair) -> float:
    """Wide-band PESQ at 16 kHz, as computed by the package `pesq`. Speech only.

    Range: 1.04 to 4.64, predicted mean opinion score; higher is better. Not-a-number if no speech is found.
    Source: ITU-T P.862.2.
    """
    return mean_of_clips(_pesq_of_clip, *pair.at(SPEECH_RATE), SPEECH_RATE)


def stoi(pair: SignalPair) -> float:
    """Short-time objective intelligibility at 16 kHz, as computed by the package `pystoi`. Speech only.

    Range: up to 1; higher is better. Not-a-number if less than 0.4 s are not silent.
    Source: Taal et al. 2011.
    """
    import pystoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # raised if too little of the signal is not silent
        try:
            return float(pystoi.stoi(*pair.at(SPEECH_RATE), SPEECH_RATE))
        except (RuntimeWarning, ValueError):
            return math.nan


def visqol(pair: SignalPair) -> float:
    """ViSQOL v3 in audio mode at 48 kHz, as computed by the package `visqol-python`.

    Range: 1 to 4.73, predicted mean opinion score; higher is better. Not-a-number if it cannot be computed.
    Source: Chinen et al. 2020.
    """
    return mean_of_clips(_visqol_of_clip, *pair.at(VISQOL_RATE), VISQOL_RATE)


_SPEECHMOS = Package("speechmos", "speechmos", ("onnxruntime", "librosa", "requests"))
_LIBROSA = Package("librosa", "librosa")
_POCKETSPHINX = Package("pocketsphinx", "pocketsphinx")
# Two of its requirements are outdated and not used here.
_RESEMBLYZER = Package("resemblyzer", "Resemblyzer", install="pip install --no-deps Resemblyzer")


def _opinion(name: str, title: str, score: Callable[[SignalPair], float]) -> Metric:
    """A metric of DNSMOS."""
    return Metric(name, title, score, decimals=2, package=_SPEECHMOS, speech_only=True, needs_reference=False)


def _word_error(name: str, title: str, score: Callable[[SignalPair], float], transcript: bool) -> Metric:
    """A metric of a recogniser's words."""
    return Metric(
        name,
        title,
        score,
        lower_is_better=True,
        package=_POCKETSPHINX,
        speech_only=True,
        needs_transcript=transcript,
    )


def _change_of_level(name: str, title: str, score: Callable[[SignalPair], float]) -> Metric:
    """A metric in dB of which 0 is best."""
    return Metric(name, title, score, decimals=1, zero_is_best=True)


def _octave_title(centre: int) -> str:
    return f"{centre // 1000} kHz" if centre >= 1000 else f"{centre} Hz"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("mel", "Mel", mel_distance, lower_is_better=True),
        Metric("stft", "STFT", stft_distance, lower_is_better=True),
        Metric("si_sdr", "SI-SDR", si_sdr, decimals=1),
        Metric("pesq", "PESQ", pesq, decimals=2, package=Package("pesq", "pesq"), speech_only=True),
        Metric("stoi", "STOI", stoi, package=Package("pystoi", "pystoi"), speech_only=True),
        Metric("visqol", "ViSQOL", visqol, decimals=2, package=Package("visqol", "visqol-python")),
        _opinion("dnsmos", "DNSMOS", speech.dnsmos),
        _opinion("dnsmos_sig", "SIG", speech.dnsmos_signal),
        _opinion("dnsmos_bak", "BAK", speech.dnsmos_background),
        _opinion("dnsmos_p808", "P.808", speech.dnsmos_p808),
        Metric("speaker", "Speaker", speech.speaker, package=_RESEMBLYZER, speech_only=True),
        _word_error("words", "Words", speech.words, transcript=False),
        _word_error("wer", "WER", speech.word_error, transcript=True),
        _word_error("wer_original", "WER orig.", speech.word_error_original, transcript=True),
        Metric(
            "pitch",
            "Pitch",
            speech.pitch,
            lower_is_better=True,
            decimals=0,
            package=_LIBROSA,
            speech_only=True,
        ),
        Metric(
            "voicing", "Voicing", speech.voicing, lower_is_better=True, package=_LIBROSA, speech_only=True
        ),
        _change_of_level("level", "Level", levels.level),
        _change_of_level("peak", "Peak", levels.peak),
        Metric("octaves", "Octaves", levels.octaves, lower_is_better=True, decimals=1),
        *(
            _change_of_level(f"octave_{centre}", _octave_title(centre), levels.octave_metric(index))
            for index, centre in enumerate(levels.OCTAVES)
        ),
        Metric(
            "icld",
            "ICLD",
            levels.level_between_channels,
            lower_is_better=True,
            decimals=1,
            needs_stereo=True,
        ),
        Metric("coherence", "Coherence", levels.coherence, lower_is_better=True, needs_stereo=True),
    )
}
"""All metrics by name, in the order of tables."""

GROUPS = {
    "default": ("mel", "stft", "si_sdr", "pesq", "stoi", "visqol"),
    "speech": tuple(name for name, metric in METRICS.items() if metric.speech_only),
    "no-reference": tuple(name for name, metric in METRICS.items() if not metric.needs_reference),
    "levels": ("level", "peak", "octaves", *(f"octave_{centre}" for centre in levels.OCTAVES)),
    "stereo": ("icld", "coherence"),
    "all": tuple(METRICS),
}
"""Names of metrics that belong together, by the name of their group."""


def available_metrics(group: str = "default") -> tuple[str, ...]:
    """The names of the metrics of a group that can be computed with the packages installed."""
    return tuple(name for name in GROUPS[group] if METRICS[name].available)


def missing_metrics(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The metrics of groups that are left out because a package is not installed.

    Args:
        names: Names of metrics and groups; None for the default ones.
    """
    missing = {
        member
        for name in (names if names is not None else ["default"])
        for member in GROUPS.get(name, ())
        if not METRICS[member].available
    }
    return tuple(name for name in METRICS if name in missing)


def choose_metrics(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Check names of metrics and groups, and put the metrics in the order of `METRICS`.

    Args:
        names: Metrics, which must be available, and groups, of which all that are available are taken; None
            for the default ones.

    Raises:
        UsageError: A name is unknown, or the package of a metric is not installed.
    """
    chosen: set[str] = set()
    for name in names if names is not None else ["default"]:
        if name in GROUPS:
            chosen.update(available_metrics(name))
            continue
        if name not in METRICS:
            known = f"{', '.join(METRICS)}, and the groups {', '.join(GROUPS)}"
            raise UsageError(f"no metric is called {name!r}; there are {known}")
        metric = METRICS[name]
        if metric.package is not None and not metric.available:
            package = metric.package
            raise UsageError(
                f"the metric {name!r} needs the package {package.distribution!r} ({package.install})"
            )
        chosen.add(name)
    return tuple(name for name in METRICS if name in chosen)


def measure(
    reference: ArrayLike,
    decoded: ArrayLike,
    sample_rate: int,
    metrics: Sequence[str] | None = None,
    transcript: str | None = None,
) -> dict[str, float]:
    """Score a decoded signal.

    Args:
        reference: The original, floats, (n,) or (n, channels).
        decoded: The decoded signal, likewise. If more than 50 ms are missing at its end, they are filled with
            silence.
        sample_rate: Of both, in Hz.
        metrics: Names of metrics and groups, see `choose_metrics`.
        transcript: What is said in the original, for the metrics that need it.

    Returns:
        A value for every metric; not-a-number where it has none for this pair, as PESQ for silence.

    Raises:
        UsageError: As in `choose_metrics`.
    """
    names = choose_metrics(metrics)
    original, result = _cut_alike(to_mono(reference, sample_rate), to_mono(decoded, sample_rate))
    if len(original) == 0:
        return dict.fromkeys(names, math.nan)
    channels = None
    if any(METRICS[name].needs_stereo for name in names):
        left_right = to_channels(reference, sample_rate), to_channels(decoded, sample_rate)
        if left_right[0] is not None and left_right[1] is not None:
            channels = _cut_alike(left_right[0], left_right[1])
    pair = SignalPair(original, result, channels, transcript)
    return {name: METRICS[name].score(pair) for name in names}


def measure_alone(
    decoded: ArrayLike, sample_rate: int, metrics: Sequence[str] = ("no-reference",)
) -> dict[str, float]:
    """Score a signal whose original is not known.

    Args:
        decoded: The signal, floats, (n,) or (n, channels).
        sample_rate: In Hz.
        metrics: Names of metrics that need no reference, or of groups of such.

    Returns:
        As for `measure`.

    Raises:
        UsageError: As in `choose_metrics`; or a metric needs the original.
    """
    names = choose_metrics(metrics)
    for name in names:
        if METRICS[name].needs_reference:
            raise UsageError(f"the metric {name!r} needs the original")
    signal = to_mono(decoded, sample_rate)
    if len(signal) == 0:
        return dict.fromkeys(names, math.nan)
    pair = SignalPair(signal, signal)  # of which these metrics look at the second
    return {name: METRICS[name].score(pair) for name in names}


def _cut_alike(original: Signal, decoded: Signal) -> tuple[Signal, Signal]:
    """Two signals (n,) or (n, channels) cut to the length of the shorter one.

    What is missing at the end of the decoded one is filled with silence if it is more than 50 ms.
    """
    missing = len(original) - len(decoded)
    if missing > _MAX_MISSING_SECONDS * SAMPLE_RATE:
        decoded = np.concatenate([decoded, np.zeros((missing, *decoded.shape[1:]))])
    length = min(len(original), len(decoded))
    return original[:length], decoded[:length]


def _spectral_distances(pair: SignalPair) -> SpectralDistances:
    return spectral_distances(pair.reference, pair.decoded)


def spectral_distances(reference: Signal, decoded: Signal) -> SpectralDistances:
    """Mel and STFT distance of two signals of the same length at 44.1 kHz; see `mel_distance`."""
    mel = stft = 0.0
    for window_length, bands in _SPECTRAL_RESOLUTIONS:
        filters = _mel_filters(bands, window_length)
        mel_sum = stft_sum = frames = 0.0
        magnitudes = (_magnitude_blocks(signal, window_length) for signal in (reference, decoded))
        for ours, theirs in zip(*magnitudes, strict=True):  # (bins, frames)
            mel_sum += _sum_of_frame_distances(filters @ ours, filters @ theirs)
            stft_sum += _sum_of_frame_distances(ours, theirs)
            frames += ours.shape[1]
        mel += mel_sum / frames
        stft += stft_sum / frames
    return SpectralDistances(mel, stft)


def _sum_of_frame_distances(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Sum over frames of the mean distance of magnitudes, (bins, frames) both."""
    import torch

    logs = [values.clamp(min=_SPECTRAL_FLOOR).log10() for values in (ours, theirs)]
    distance = 2 * (logs[0] - logs[1]).abs() + (ours - theirs).abs()
    return distance.mean(dim=0).sum(dtype=torch.float64).item()


def _magnitude_blocks(signal: Signal, window_length: int) -> Iterator[torch.Tensor]:
    """Magnitudes of the short-time spectrum in blocks of frames, (window_length // 2 + 1, frames)."""
    # The transform is torch's in float32 on purpose. Where a signal is silent above its highest frequency,
    # the STFT distance depends on the rounding noise of the transform; another library changes it by 1e-4.
    import torch

    step = window_length // 4
    mode: Literal["reflect", "edge"] = "reflect" if len(signal) > 1 else "edge"
    padded = torch.from_numpy(np.pad(signal.astype(np.float32), window_length // 2, mode=mode))
    window, count = torch.hann_window(window_length), 1 + len(signal) // step
    for start in range(0, count, _FRAMES_PER_BLOCK):
        frames = min(_FRAMES_PER_BLOCK, count - start)
        block = padded[start * step : (start + frames - 1) * step + window_length]
        yield torch.stft(block, window_length, step, window=window, center=False, return_complex=True).abs()


@lru_cache
def _mel_filters(bands: int, window_length: int) -> torch.Tensor:
    import torch

    return torch.from_numpy(mel_filter_bank(bands, window_length, SAMPLE_RATE, "area"))


def _pesq_of_clip(reference: Signal, decoded: Signal) -> float:
    import pesq as package

    if not (reference.any() or decoded.any()):  # the package would divide by the peak of both
        return math.nan
    try:
        return float(
            package.pesq(SPEECH_RATE, reference.astype(np.float32), decoded.astype(np.float32), "wb")
        )
    except (package.PesqError, ValueError):
        return math.nan


def _visqol_of_clip(reference: Signal, decoded: Signal) -> float:
    try:
        return float(_visqol_model().measure_from_arrays(reference, decoded, VISQOL_RATE).moslqo)
    except (ValueError, IndexError, ZeroDivisionError):
        return math.nan


@lru_cache
def _visqol_model() -> Any:
    from visqol import VisqolApi

    logging.getLogger("visqol").setLevel(logging.ERROR)
    model = VisqolApi()
    model.create(mode="audio")
    return model
