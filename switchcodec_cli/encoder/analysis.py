"""Chunk analysis: from blocks of audio to chunks of latents, with what rate control and search need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..audio import StreamResampler
from ..bitstream import LEVEL_BANDS, Header
from ..errors import UsageError
from ..model.codec_model import CodecModel
from ..model.dsp.mdct import mdct, mdct_basis
from ..model.streaming import ContextStream
from ..perceptual import LatentEncoder, PerceptualDistance, PerceptualFeatures
from .chunks import CHUNK_WINDOWS, AnalysedChunk
from .extrapolation import CONTEXT, extrapolate
from .intensity_stereo import IntensityStereo
from .rate.distortion import DistortionEstimator, FloatArray, audibility
from .rate.index_cost import IndexCost
from .waveform_coder import WaveformCoder

FloatSamples = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

SILENCE_PEAK = 2.0**-17  # half of the least step of 16 bits
INAUDIBLE_PEAK = 2.0**-14  # peak of 16-bit dither, -84 dBFS: silence too where the rate may vary
# the signals are the same if half their difference is below this share of the first one in every mel band,
NEARLY_MONO = 10 ** (-35 / 20)
INAUDIBLE_BAND = 0.01  # or inaudible: -94 dBFS of a sine
STFT_CONTEXT = 2  # latent frames to either side that a magnitude depends on, at most


@dataclass(frozen=True)
class AnalysisOptions:
    """What chunks are to hold besides latents."""

    features: bool = False  # of the input, for the search
    distortion: bool = False  # estimates by number of experts
    decode_for_distortion: bool = True  # estimate distortion by decoding, not from latents alone
    index_cost_experts: int | None = None  # expected sizes of modelled indices, measured with so many experts

    @property
    def needs_magnitudes(self) -> bool:
        """Whether magnitudes of the input are needed."""
        return self.features or (self.distortion and self.decode_for_distortion)


class ChunkAnalyzer:
    """Resamples audio, runs the encoder network, and examines the windows.

    Chunks begin at fixed positions, so the result does not depend on how the audio is cut into blocks.

    Args:
        model: The model.
        distance: Of the model.
        header: Of the stream.
        options: What chunks are to hold.
        latents: Of each piece of audio that would go through the networks, if they are known; see
            `network_inputs`.
        waveform_coder: Of the stream's waveform layers, if it is to have any.

    Attributes:
        samples: Samples per channel taken so far, at the original rate.
    """

    def __init__(
        self,
        model: CodecModel,
        distance: PerceptualDistance,
        header: Header,
        options: AnalysisOptions,
        latents: Sequence[Tensor] | None = None,
        waveform_coder: WaveformCoder | None = None,
    ) -> None:
        self._model, self._distance, self._options = model, distance, options
        self._waveform_coder = waveform_coder
        self._mdct_basis = None
        if waveform_coder is not None:
            self._mdct_basis = mdct_basis(model.hop, waveform_coder.bins).to(model.device)
        self._encode = LatentEncoder(model, distance)
        self._signals, self._channels = header.signals, header.channels
        self._size, self._dimension = model.config.frames_per_window, model.config.latent_dimension
        self._silence_peak = SILENCE_PEAK if header.experts_total is not None else INAUDIBLE_PEAK
        self._framer = _Framer(model, header)
        self._known_latents = None if latents is None else iter(latents)
        self._estimator = DistortionEstimator(model.quantizer, distance)
        self._index_cost = None
        if options.index_cost_experts is not None:
            self._index_cost = IndexCost(
                model.quantizer, model.index_model, header.parameters, options.index_cost_experts
            )
        self._intensity = None
        if self._signals == 2 and model.backbone.has_band_gains:
            self._intensity = IntensityStereo(model.backbone, model.config.sample_rate)
        self._network = _network_stream(model, self._run_network)
        self._audio = np.zeros((self._signals, 0, model.hop), np.float32)  # whose latents are not there yet
        self.samples = 0

    @torch.no_grad()
    def process(self, block: FloatSamples, last: bool = False) -> Iterator[AnalysedChunk]:
        """Yield the chunks that the next samples complete.

        Args:
            block: Samples, full scale 1. # (n, channels)
            last: Whether the audio ends with them.

        Raises:
            UsageError: The block has another number of channels.
        """
        if block.ndim != 2 or block.shape[1] != self._channels:
            raise UsageError(f"a block must be (n, {self._channels}), not {block.shape}")
        self.samples += len(block)
        frames = self._framer.push(block[:, : self._signals], last)
        if frames is None:
            return
        self._audio = np.concatenate([self._audio, frames], 1)
        if last:  # one more frame, for the analysis windows that reach beyond the last one
            frames = np.concatenate([frames, self._framer.continuation()], 1)
        for outputs in self._network.push(torch.from_numpy(frames).to(self._model.device), last):
            count = min(outputs.shape[1], self._audio.shape[1])
            if count:
                audio, self._audio = self._audio[:, :count], self._audio[:, count:]
                yield self._analyse(audio, outputs[:, :count])

    @cached_property
    def _silence_latent(self) -> Tensor:
        """See `CodecModel.silence_latent`; computed only if there is a silent window."""
        return self._model.silence_latent()

    def _run_network(self, audio: Tensor) -> Tensor:
        """Latents, and MDCT coefficients and magnitudes if needed: (B, n, hop) -> (B, n, D + ...)."""
        known = self._known_latents
        outputs = [self._encode(audio.flatten(1)) if known is None else next(known)]
        if self._mdct_basis is not None:
            outputs.append(mdct(audio.flatten(1), self._mdct_basis))
        if self._options.needs_magnitudes:
            outputs.append(self._model.backbone.stft_magnitude(audio).flatten(2))
        return torch.cat(outputs, -1)

    def _analyse(self, audio: FloatSamples, outputs: Tensor) -> AnalysedChunk:
        """Examine a chunk of audio (signals, T, hop) with the network's outputs (signals, T, ...)."""
        length = outputs.shape[1]
        starts = np.arange(0, length, self._size)
        peaks = np.maximum.reduceat(np.abs(audio).max(-1), starts, axis=1)  # (signals, W)
        silent = peaks < self._silence_peak
        same, intensity, levels = self._compare_signals(audio, starts, silent)
        bins = 0 if self._mdct_basis is None else self._mdct_basis.shape[1]
        z = outputs[..., : self._dimension].contiguous()
        coefficients = outputs[..., self._dimension : self._dimension + bins]
        if silent.any():
            silent_frames = torch.from_numpy(np.repeat(silent, self._size, 1)[:, :length]).to(outputs.device)
            z = torch.where(silent_frames[..., None], self._silence_latent, z)
        features = None
        if self._options.needs_magnitudes:
            magnitude = outputs[..., self._dimension + bins :]
            magnitude = magnitude.unflatten(-1, (-1, self._model.backbone.stft.bins))
            features = self._distance.input_features(magnitude)
        distortion = None
        if self._options.distortion:
            frames = np.minimum(self._size, length - starts)
            energy = np.add.reduceat(np.square(audio, dtype=np.float64).mean(-1), starts, axis=1) / frames
            distortion = self._estimate_distortion(z, features) * audibility(energy)[..., None]
            if self._waveform_coder is not None:
                distortion *= self._waveform_coder.remaining_distortion
        kept = features if self._options.features else None
        payload_bytes = None
        if self._index_cost is not None:
            payload_bytes = np.concatenate([self._index_cost(piece) for _, piece in self._pieces(z)], 1)
            if self._waveform_coder is not None:
                pieces = [piece.cpu().numpy() for _, piece in self._pieces(coefficients)]
                layers = [self._waveform_coder.expected_bytes(piece) for piece in pieces]
                payload_bytes += np.concatenate(layers, 1)
        return AnalysedChunk(
            z,
            silent,
            same,
            intensity,
            levels,
            kept,
            distortion,
            payload_bytes,
            coefficients.cpu().numpy() if bins else None,
        )

    def _compare_signals(
        self, audio: FloatSamples, starts: npt.NDArray[np.int64], silent: BoolArray
    ) -> tuple[BoolArray, BoolArray, npt.NDArray[np.int64]]:
        """The fields `same`, `intensity` and `levels` of a chunk."""
        same, intensity = np.zeros(len(starts), bool), np.zeros_like(silent)
        levels = np.zeros((len(starts), LEVEL_BANDS), int)
        if self._signals == 2:
            magnitude = self._model.backbone.stft_magnitude(torch.from_numpy(audio).to(self._model.device))
            same = self._sound_the_same(audio, magnitude[0], starts) & ~silent.any(0)
            if self._intensity is not None:
                intensity, levels = self._intensity(audio, magnitude, starts)
        return same, intensity, levels

    def _sound_the_same(self, audio: FloatSamples, first: Tensor, starts: npt.NDArray[np.int64]) -> BoolArray:
        """Which windows (W,) sound the same in both signals; first: magnitudes of the first (T, n, bins)."""
        half = torch.from_numpy((audio[:1] - audio[1:]) / 2).to(first.device)
        difference = self._model.backbone.stft_magnitude(half)[0] @ self._distance.mel_filters
        reference = first @ self._distance.mel_filters
        close = (difference <= NEARLY_MONO * reference + INAUDIBLE_BAND).all(-1).all(-1).cpu().numpy()
        same: BoolArray = np.logical_and.reduceat(close, starts)
        return same

    def _estimate_distortion(self, z: Tensor, features: PerceptualFeatures | None) -> FloatArray:
        """Distortion by number of experts. # (signals, W, Nr + 1)"""
        return np.concatenate(
            [
                self._estimate(windows, features and features.span(span.start, span.stop))
                for span, windows in self._pieces(z)
            ],
            1,
        )

    def _pieces(self, z: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Whole windows, then the short one: the frames they span, and their latents (signals, W, F, D)."""
        whole = z.shape[1] // self._size * self._size
        if whole:
            yield slice(0, whole), z[:, :whole].unflatten(1, (-1, self._size))
        if whole < z.shape[1]:
            yield slice(whole, z.shape[1]), z[:, None, whole:]

    def _estimate(self, windows: Tensor, features: PerceptualFeatures | None) -> FloatArray:
        if features is None or not self._options.decode_for_distortion:
            return self._estimator.from_latents(windows)
        return self._estimator.from_decoding(windows, features)


def network_inputs(model: CodecModel, header: Header, samples: FloatSamples) -> list[Tensor]:
    """The pieces of a whole recording of which a `ChunkAnalyzer` makes latents.

    Args:
        model: The model.
        header: Of the stream.
        samples: The recording. # (n, channels)

    Returns:
        For each run, audio of a chunk and its context. # (signals, T, hop) each
    """
    framer = _Framer(model, header)
    frames = framer.push(samples[:, : header.signals], last=True)
    if frames is None:
        return []
    inputs: list[Tensor] = []

    def collect(audio: Tensor) -> Tensor:
        inputs.append(audio)
        return audio

    continued = np.concatenate([frames, framer.continuation()], 1)
    _network_stream(model, collect).push(torch.from_numpy(continued).to(model.device), last=True)
    return inputs


def _network_stream(model: CodecModel, function: Callable[[Tensor], Tensor]) -> ContextStream:
    """Applies a function to frames of audio in the chunks of a stream, with the context of the network."""
    context = max(model.config.backbone_config.latent_context, STFT_CONTEXT)
    return ContextStream(function, context, CHUNK_WINDOWS * model.config.frames_per_window)


class _Framer:
    """Resamples audio and cuts it into latent frames, at least a chunk at a time.

    The last frame is filled by extrapolation.
    """

    def __init__(self, model: CodecModel, header: Header) -> None:
        signals = header.signals
        self._resampler = StreamResampler(header.original_rate, model.config.sample_rate, signals)
        self._hop = model.hop
        self._minimum = CHUNK_WINDOWS * model.config.frames_per_window * model.hop
        self._pending = [np.zeros((0, signals), np.float32)]
        self._length = 0  # of all pending blocks
        self._tail = np.zeros((signals, 0), np.float32)  # of the frames so far

    def push(self, audio: FloatSamples, last: bool) -> FloatSamples | None:
        """Add samples (n, signals); returns frames (signals, m, hop), or None if there are too few."""
        audio = self._resampler.process(audio, last)
        self._pending.append(audio)
        self._length += len(audio)
        if not last and self._length < self._minimum:
            return None
        joined = np.concatenate(self._pending).T  # (signals, n)
        if last:
            joined = np.concatenate([joined, self._continue(joined, -joined.shape[1] % self._hop)], 1)
        ready = joined.shape[1] // self._hop * self._hop
        self._pending, self._length = [joined[:, ready:].T], joined.shape[1] - ready
        self._tail = np.concatenate([self._tail, joined[:, :ready]], 1)[:, -CONTEXT:]
        frames = joined[:, :ready].reshape(len(joined), -1, self._hop)
        return np.ascontiguousarray(frames, dtype=np.float32)

    def continuation(self) -> FloatSamples:
        """One frame that continues the last one. # (signals, 1, hop)"""
        return self._continue(self._tail[:, :0], self._hop)[:, None]

    def _continue(self, audio: FloatSamples, count: int) -> FloatSamples:
        """Continue audio (signals, n), which follows the frames so far, by `count` samples."""
        known = np.concatenate([self._tail, audio[:, -CONTEXT:]], 1)
        return np.stack([extrapolate(signal, count) for signal in known])
