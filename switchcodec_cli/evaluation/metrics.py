"""How far a decoded signal is from the original, measured as codecs are compared in the literature.

All measures are taken on mono 44.1 kHz: channels averaged, resampled with soxr, cut to the shorter of a pair.

mel, stft   distances of magnitude spectra, lower is better, the sum over two resolutions: Hann windows of
            2048 and of 512 samples, a quarter window per step, frames centred, edges reflected. Per window
            the mean of |log10 a² - log10 b²| + |a - b|, with a and b floored at 1e-5 in the logarithm. `mel`
            takes magnitudes through 150 and 80 Slaney mel bands over 0 to 22050 Hz, `stft` takes them as they
            are (the defaults of the Descript Audio Codec's evaluation).
si_sdr      scale-invariant signal-to-distortion ratio in dB, of wave forms: a decoder that makes up its own
            phases scores low, however well it sounds.
pesq        wide-band PESQ (ITU-T P.862.2) at 16 kHz, 1.04 to 4.64; package `pesq`, speech only.
stoi        short-time objective intelligibility at 16 kHz, up to 1; package `pystoi`, speech only.
visqol      ViSQOL v3 in audio mode at 48 kHz, 1 to 4.73; package `visqol-python`.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import soxr

from ..errors import UsageError

if TYPE_CHECKING:
    import torch

SAMPLE_RATE = 44100  # Hz, of the spectral measures
METRICS = ("mel", "stft", "si_sdr", "pesq", "stoi", "visqol")
LOWER_IS_BETTER = frozenset({"mel", "stft"})

_PACKAGES = {"pesq": "pesq", "stoi": "pystoi", "visqol": "visqol"}
_INSTALL_NAMES = {"pesq": "pesq", "stoi": "pystoi", "visqol": "visqol-python"}
_RESOLUTIONS = ((2048, 150), (512, 80))  # window, mel bands
_FLOOR = 1e-5
_FRAMES_AT_ONCE = 4096  # keeps the memory for an hour of audio flat
_LONGEST_TAIL = 0.05  # seconds that may be missing at the end before silence is put in their place
_LONGEST_PIECE = 60  # seconds: PESQ and ViSQOL are made for short clips; longer ones are scored in pieces


def available_metrics() -> tuple[str, ...]:
    """The names of `METRICS` that can be computed with the packages installed."""
    return tuple(
        name
        for name in METRICS
        if name not in _PACKAGES or importlib.util.find_spec(_PACKAGES[name]) is not None
    )


def choose_metrics(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Check the names asked for; None gives everything available.

    Raises:
        UsageError: a name is unknown, or its package is not installed.
    """
    available = available_metrics()
    if names is None:
        return available
    for name in names:
        if name not in METRICS:
            raise UsageError(f"no metric is called {name!r}; there are {', '.join(METRICS)}")
        if name not in available:
            raise UsageError(f"the metric {name!r} needs the package {_INSTALL_NAMES[name]!r}")
    return tuple(name for name in METRICS if name in names)


def measure(
    reference: np.ndarray, decoded: np.ndarray, sample_rate: int, metrics: Sequence[str] | None = None
) -> dict[str, float]:
    """Score a decoded signal. # both (n,) or (n, channels), floats, at `sample_rate` Hz

    Returns a value for every name in `metrics` (default: all available); not-a-number where a measure has no
    answer for this pair, as PESQ for silence.
    """
    names = choose_metrics(metrics)
    reference, decoded = (_mono(signal, sample_rate) for signal in (reference, decoded))
    missing = len(reference) - len(decoded)
    if missing > _LONGEST_TAIL * SAMPLE_RATE:
        decoded = np.pad(decoded, (0, missing))
    length = min(len(reference), len(decoded))
    reference, decoded = reference[:length], decoded[:length]
    if length == 0:
        return dict.fromkeys(names, math.nan)

    scores: dict[str, float] = {}
    if "mel" in names or "stft" in names:
        scores["mel"], scores["stft"] = spectral_distances(reference, decoded)
    if "si_sdr" in names:
        scores["si_sdr"] = si_sdr(reference, decoded)
    if "pesq" in names or "stoi" in names:
        pair = [soxr.resample(signal, SAMPLE_RATE, 16000, quality="VHQ") for signal in (reference, decoded)]
        if "pesq" in names:
            scores["pesq"] = _mean_of_pieces(pesq, *pair, 16000)
        if "stoi" in names:
            scores["stoi"] = stoi(*pair)
    if "visqol" in names:
        pair = [soxr.resample(signal, SAMPLE_RATE, 48000, quality="VHQ") for signal in (reference, decoded)]
        scores["visqol"] = _mean_of_pieces(visqol, *pair, 48000)
    return {name: scores[name] for name in names}


def spectral_distances(reference: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """The distances `mel` and `stft` of two signals of one length at 44.1 kHz. # (n,), (n,)"""
    import torch

    mel_total = stft_total = 0.0
    for window, bands in _RESOLUTIONS:
        filters = torch.from_numpy(mel_filters(window, bands))  # (bands, bins)
        mel_sum = stft_sum = frames = 0.0
        magnitudes = (_magnitudes(signal, window) for signal in (reference, decoded))
        for ours, theirs in zip(*magnitudes, strict=True):  # (bins, frames)
            stft_sum += _distance(ours, theirs).mean(dim=0).sum(dtype=torch.float64).item()
            mel_sum += _distance(filters @ ours, filters @ theirs).mean(dim=0).sum(dtype=torch.float64).item()
            frames += ours.shape[1]
        mel_total += mel_sum / frames
        stft_total += stft_sum / frames
    return mel_total, stft_total


def _distance(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    logs = [values.clamp(min=_FLOOR).log10() for values in (ours, theirs)]
    return 2 * (logs[0] - logs[1]).abs() + (ours - theirs).abs()


def _magnitudes(signal: np.ndarray, window: int) -> Iterator[torch.Tensor]:
    """Yield the magnitudes of the short-time spectrum, some frames at a time. # (window // 2 + 1, frames)"""
    # The transform is torch's in float32 on purpose. Where a signal is silent above its highest frequency,
    # `stft` sees the rounding noise of the transform itself, and another library's moves it by 1e-4.
    import torch

    step = window // 4
    edge = "reflect" if len(signal) > 1 else "edge"
    padded = torch.from_numpy(np.pad(signal.astype(np.float32), window // 2, mode=edge))
    hann, count = torch.hann_window(window), 1 + len(signal) // step
    for start in range(0, count, _FRAMES_AT_ONCE):
        frames = min(_FRAMES_AT_ONCE, count - start)
        piece = padded[start * step : (start + frames - 1) * step + window]
        yield torch.stft(piece, window, step, window=hann, center=False, return_complex=True).abs()


@lru_cache
def mel_filters(window: int, bands: int, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Triangular filters of unit area, evenly spaced on Slaney's mel scale up to half the sample rate.

    # (bands, window // 2 + 1), float32
    """
    edges = _mel_to_hertz(np.linspace(0, _hertz_to_mel(sample_rate / 2), bands + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequency = np.arange(window // 2 + 1) * sample_rate / window
    rising, falling = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    return (np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)).astype(np.float32)


# Slaney's scale: linear up to 1 kHz at 15 mel, from there 27 mel to a factor of 6.4.
def _hertz_to_mel(hertz: float) -> float:
    return hertz * 15 / 1000 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000, 6.4)


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 1000 / 15, 1000 * 6.4 ** ((mel - 15) / 27))


def si_sdr(reference: np.ndarray, decoded: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, means removed. # (n,), (n,)"""
    reference = reference.astype(np.float64) - reference.mean(dtype=np.float64)
    decoded = decoded.astype(np.float64) - decoded.mean(dtype=np.float64)
    target = reference * (reference @ decoded) / (reference @ reference + 1e-12)
    distortion = decoded - target
    return 10 * math.log10((target @ target + 1e-12) / (distortion @ distortion + 1e-12))


def pesq(reference: np.ndarray, decoded: np.ndarray) -> float:
    """Wide-band PESQ of a pair at 16 kHz, not-a-number where it finds no speech. # (n,), (n,)"""
    import pesq as package

    if not (reference.any() or decoded.any()):  # it would divide by the peak of both
        return math.nan
    try:
        pair = (signal.astype(np.float32) for signal in (reference, decoded))
        return float(package.pesq(16000, *pair, "wb"))
    except (package.PesqError, ValueError):
        return math.nan


def stoi(reference: np.ndarray, decoded: np.ndarray) -> float:
    """STOI of a pair at 16 kHz, not-a-number where less than 0.4 s are not silent. # (n,), (n,)"""
    import pystoi

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # how it says that there is too little to judge
        try:
            return float(pystoi.stoi(reference, decoded, 16000))
        except (RuntimeWarning, ValueError):
            return math.nan


def visqol(reference: np.ndarray, decoded: np.ndarray) -> float:
    """ViSQOL of a pair at 48 kHz in audio mode, not-a-number where it cannot be had. # (n,), (n,)"""
    try:
        return float(_visqol_model().measure_from_arrays(reference, decoded, 48000).moslqo)
    except (ValueError, IndexError, ZeroDivisionError):
        return math.nan


@lru_cache
def _visqol_model():
    from visqol import VisqolApi

    logging.getLogger("visqol").setLevel(logging.ERROR)
    model = VisqolApi()
    model.create(mode="audio")
    return model


def _mean_of_pieces(
    metric: Callable[[np.ndarray, np.ndarray], float],
    reference: np.ndarray,
    decoded: np.ndarray,
    sample_rate: int,
) -> float:
    pieces = max(1, math.ceil(len(reference) / (_LONGEST_PIECE * sample_rate)))
    pairs = zip(np.array_split(reference, pieces), np.array_split(decoded, pieces), strict=True)
    scores = [metric(*pair) for pair in pairs]
    known = [score for score in scores if not math.isnan(score)]
    return sum(known) / len(known) if known else math.nan


def _mono(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    signal = np.asarray(signal, np.float64)
    if signal.ndim == 2:
        signal = signal.mean(axis=1)
    if sample_rate != SAMPLE_RATE and len(signal):
        signal = soxr.resample(signal, sample_rate, SAMPLE_RATE, quality="VHQ")
    return signal
