"""Objective quality metrics of a decoded signal against its original.

Signals are compared in mono at 44.1 kHz: channels are averaged, other rates are resampled by soxr (quality
VHQ), and the pair is cut to the shorter of the two. `METRICS` lists all metrics; the docstring of each one's
function gives its definition, range, direction and source.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..model.dsp.mel import mel_filter_bank

if TYPE_CHECKING:
    import torch

Signal = NDArray[np.float64]  # mono, (n,)

SAMPLE_RATE = 44100  # Hz
SPEECH_RATE = 16000  # Hz, of PESQ and STOI
VISQOL_RATE = 48000  # Hz
NON_SPEECH_KINDS = frozenset({"music", "sound"})  # names of folders without speech

_SPECTRAL_RESOLUTIONS = ((2048, 150), (512, 80))  # window length in samples, mel bands
_SPECTRAL_FLOOR = 1e-5
_FRAMES_PER_BLOCK = 4096  # bounds the memory for long signals
_MAX_MISSING_SECONDS = 0.05  # at the end of a decoded signal; of more, all is replaced by silence
_MAX_CLIP_SECONDS = 60  # PESQ and ViSQOL are made for short clips; longer signals are scored in parts


class SignalPair:
    """An original and the decoded signal.

    Args:
        reference, decoded: At 44.1 kHz, of the same length, not empty.
    """

    def __init__(self, reference: Signal, decoded: Signal):
        self.reference, self.decoded = reference, decoded
        self._resampled: dict[int, tuple[Signal, Signal]] = {}

    def at(self, sample_rate: int) -> tuple[Signal, Signal]:
        """Both signals at another sample rate."""
        if sample_rate not in self._resampled:
            self._resampled[sample_rate] = (
                _resample(self.reference, SAMPLE_RATE, sample_rate),
                _resample(self.decoded, SAMPLE_RATE, sample_rate),
            )
        return self._resampled[sample_rate]

    @cached_property
    def spectral_distances(self) -> SpectralDistances:
        """Mel and STFT distance, which share their transforms."""
        return spectral_distances(self.reference, self.decoded)


class SpectralDistances(NamedTuple):
    """Distances of magnitude spectra."""

    mel: float
    stft: float


class Package(NamedTuple):
    """An optional Python package."""

    module: str
    distribution: str  # its name for pip


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

    @property
    def available(self) -> bool:
        """Whether the package it needs is installed."""
        return self.package is None or importlib.util.find_spec(self.package.module) is not None

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
    return pair.spectral_distances.mel


def stft_distance(pair: SignalPair) -> float:
    """Multi-resolution STFT distance: `mel_distance` with the magnitudes of bins in place of mel bands.

    Range: 0 for equal signals, without upper limit; lower is better.
    Source: the STFT loss with default settings in the evaluation of DAC (Kumar et al. 2023).
    """
    return pair.spectral_distances.stft


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
    return _mean_of_clips(_pesq_of_clip, *pair.at(SPEECH_RATE), SPEECH_RATE)


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
    return _mean_of_clips(_visqol_of_clip, *pair.at(VISQOL_RATE), VISQOL_RATE)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("mel", "Mel", mel_distance, lower_is_better=True),
        Metric("stft", "STFT", stft_distance, lower_is_better=True),
        Metric("si_sdr", "SI-SDR", si_sdr, decimals=1),
        Metric("pesq", "PESQ", pesq, decimals=2, package=Package("pesq", "pesq"), speech_only=True),
        Metric("stoi", "STOI", stoi, package=Package("pystoi", "pystoi"), speech_only=True),
        Metric("visqol", "ViSQOL", visqol, decimals=2, package=Package("visqol", "visqol-python")),
    )
}
"""All metrics by name, in the order of tables."""


def available_metrics() -> tuple[str, ...]:
    """The names of the metrics that can be computed with the packages installed."""
    return tuple(name for name, metric in METRICS.items() if metric.available)


def choose_metrics(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Check names of metrics, and put them in the order of `METRICS`; None gives all that are available.

    Raises:
        UsageError: A name is unknown, or the package of a metric is not installed.
    """
    if names is None:
        return available_metrics()
    for name in names:
        if name not in METRICS:
            raise UsageError(f"no metric is called {name!r}; there are {', '.join(METRICS)}")
        metric = METRICS[name]
        if metric.package is not None and not metric.available:
            raise UsageError(f"the metric {name!r} needs the package {metric.package.distribution!r}")
    return tuple(name for name in METRICS if name in names)


def measure(
    reference: ArrayLike, decoded: ArrayLike, sample_rate: int, metrics: Sequence[str] | None = None
) -> dict[str, float]:
    """Score a decoded signal.

    Args:
        reference: The original, floats, (n,) or (n, channels).
        decoded: The decoded signal, likewise. If more than 50 ms are missing at its end, they are filled with
            silence.
        sample_rate: Of both, in Hz.
        metrics: Names of metrics; None stands for all that are available.

    Returns:
        A value for every metric; not-a-number where it has none for this pair, as PESQ for silence.

    Raises:
        UsageError: As in `choose_metrics`.
    """
    names = choose_metrics(metrics)
    original, result = _to_mono(reference, sample_rate), _to_mono(decoded, sample_rate)
    missing = len(original) - len(result)
    if missing > _MAX_MISSING_SECONDS * SAMPLE_RATE:
        result = np.pad(result, (0, missing))
    length = min(len(original), len(result))
    if length == 0:
        return dict.fromkeys(names, math.nan)
    pair = SignalPair(original[:length], result[:length])
    return {name: METRICS[name].score(pair) for name in names}


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


def _mean_of_clips(
    score: Callable[[Signal, Signal], float], reference: Signal, decoded: Signal, sample_rate: int
) -> float:
    """Mean score of equal parts of at most a minute that have one."""
    clips = max(1, math.ceil(len(reference) / (_MAX_CLIP_SECONDS * sample_rate)))
    pairs = zip(np.array_split(reference, clips), np.array_split(decoded, clips), strict=True)
    return mean_of_known([score(*pair) for pair in pairs])


def mean_of_known(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; not-a-number if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _to_mono(signal: ArrayLike, sample_rate: int) -> Signal:
    """A signal (n,) or (n, channels) in mono at 44.1 kHz."""
    mono = np.asarray(signal, np.float64)
    if mono.ndim == 2:
        mono = mono.mean(axis=1)
    return _resample(mono, sample_rate, SAMPLE_RATE)


def _resample(signal: Signal, sample_rate: int, new_rate: int) -> Signal:
    if sample_rate == new_rate or not len(signal):
        return signal
    resampled: Signal = soxr.resample(signal, sample_rate, new_rate, quality="VHQ")
    return resampled
