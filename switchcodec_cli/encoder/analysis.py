"""From blocks of audio to chunks of latents, with what is known of each window before it is coded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..audio import StreamResampler
from ..bitstream import LEVEL_BANDS, Header
from ..model.streaming import ContextStream
from ..perceptual.distance import PerceptualDistance, PerceptualFeatures
from .intensity_stereo import IntensityStereo
from .rate.distortion import DistortionEstimator, audibility

if TYPE_CHECKING:
    from ..api import Codec

CHUNK_WINDOWS = 8  # windows per run of the networks
SILENCE = 2.0**-17  # peak below half of the least step of 16 bits
INAUDIBLE = 2.0**-14  # peak of the dither of 16 bits, -84 dBFS: silence too where the rate may vary
NEARLY_MONO = 10 ** (-35 / 20)  # half the difference of two signals against the first, in every mel band
INAUDIBLE_BAND = 0.01  # and a mel band of the difference that nobody hears: -94 dBFS of a sine


@dataclass
class Chunk:
    """Some windows on their way to being coded; but for the very last, whole ones."""

    z: Tensor  # (signals, T, D), of digital silence where a window is silent
    silent: np.ndarray  # (signals, W) bool
    same: np.ndarray  # (W,) bool: the second signal can be a copy of the first
    panned: np.ndarray  # (signals, W) bool: this signal is the other one at other levels,
    levels: np.ndarray  # (W, bands), namely at these
    target: PerceptualFeatures | None
    tables: np.ndarray | None  # distortion by number of experts, (signals, W, Nr + 1)

    @property
    def windows(self) -> int:
        """Number of windows."""
        return self.silent.shape[1]


class ChunkAnalyzer:
    """Resamples, runs the encoder network and looks at what came out, chunk by chunk.

    Chunks are cut at fixed places, so nothing depends on how the audio is cut into blocks.
    """

    def __init__(
        self,
        codec: Codec,
        header: Header,
        likeness: PerceptualDistance,
        *,
        target: bool,
        tables: bool,
        decoding: bool = True,
    ):
        """target, tables: what chunks are to hold; decoding: whether the tables are worth decoding for."""
        self.codec, self.likeness = codec, likeness
        self.signals, self.channels = header.signals, header.channels
        self.target, self.tables, self.decoding = target, tables, decoding
        self.silence_peak = SILENCE if header.experts_total is not None else INAUDIBLE
        self.resampler = StreamResampler(header.original_rate, codec.sample_rate, self.signals)
        self.need = DistortionEstimator(codec.model.quantizer, likeness)
        self.panning = IntensityStereo(likeness) if self.signals == 2 and likeness.spectral else None
        self.samples = 0  # per channel, at the original rate
        self.pending: list[np.ndarray] = []  # at the codec's rate, less than a chunk in all
        self.pending_length = 0
        self.waiting: list[np.ndarray] = []  # frames (signals, n, hop) whose latents are not there yet
        model = codec.model
        margin = max(model.encoder.context, 2)  # frames; magnitudes look at two at most
        chunk = CHUNK_WINDOWS * codec.parameters.frames_per_window
        self.network = ContextStream(self._features, margin, chunk)

    def _features(self, audio: Tensor) -> Tensor:
        """Frames of audio (B, n, hop) -> latents and, if wanted, magnitudes (B, n, D + ...)."""
        z = self.codec.model.encode(audio.flatten(1))
        if not (self.target or (self.tables and self.decoding)):
            return z
        return torch.cat([z, self.likeness.magnitude(audio).flatten(2)], -1)

    @torch.no_grad()
    def push(self, block: np.ndarray) -> list[Chunk]:
        """The next samples (n, channels), floats of full scale 1; out come chunks."""
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (n, {self.channels}), not {block.shape}")
        self.samples += len(block)
        return self._take(self.resampler.process(block[:, : self.signals]), last=False)

    @torch.no_grad()
    def finish(self) -> list[Chunk]:
        """The chunks that are left at the end of the audio."""
        empty = np.zeros((0, self.signals), np.float32)
        return self._take(self.resampler.process(empty, last=True), last=True)

    def _take(self, audio: np.ndarray, last: bool) -> list[Chunk]:
        self.pending.append(audio)
        self.pending_length += len(audio)
        hop, device = self.codec.model.hop, self.codec.silence.device
        chunk = CHUNK_WINDOWS * self.codec.parameters.frames_per_window * hop
        if not last and self.pending_length < chunk:
            return []
        joined = np.concatenate(self.pending).T  # (signals, n)
        if last:
            joined = np.pad(joined, ((0, 0), (0, -joined.shape[1] % hop)))
        ready = joined.shape[1] // hop * hop
        self.pending, self.pending_length = [joined[:, ready:].T], joined.shape[1] - ready
        frames = np.ascontiguousarray(joined[:, :ready].reshape(self.signals, -1, hop), dtype=np.float32)
        self.waiting.append(frames)
        return [
            self._look(features) for features in self.network.push(torch.from_numpy(frames).to(device), last)
        ]

    def _look(self, features: Tensor) -> Chunk:
        """A chunk from the network's output (signals, T, ...)."""
        size, dimension = self.codec.parameters.frames_per_window, self.codec.silence.shape[-1]
        length = features.shape[1]
        waiting = np.concatenate(self.waiting, 1)
        audio, self.waiting = waiting[:, :length], [waiting[:, length:]]
        starts = np.arange(0, length, size)
        peaks = np.maximum.reduceat(np.abs(audio).max(-1), starts, axis=1)  # (signals, W)
        silent = peaks < self.silence_peak
        same = np.zeros(len(starts), bool)
        panned, levels = np.zeros_like(silent), np.zeros((len(starts), LEVEL_BANDS), int)
        if self.signals == 2:
            magnitude = self.likeness.magnitude(torch.from_numpy(audio).to(features.device))
            same = self._same(audio, magnitude[0], starts) & ~silent.any(0)
            if self.panning is not None:
                panned, levels = self.panning(audio, magnitude, starts)
        hush = torch.from_numpy(np.repeat(silent, size, 1)[:, :length]).to(features.device)
        z = torch.where(hush[..., None], self.codec.silence, features[..., :dimension])
        target = None
        if features.shape[-1] > dimension:
            magnitude = features[..., dimension:].unflatten(-1, (-1, self.likeness.analysis.bins))
            target = self.likeness.target(magnitude)
        tables = None
        if self.tables:
            frames = np.minimum(size, length - starts)
            energy = np.add.reduceat(np.square(audio, dtype=np.float64).mean(-1), starts, axis=1) / frames
            tables = self._tables(z, target) * audibility(energy)[..., None]
        return Chunk(z, silent, same, panned, levels, target if self.target else None, tables)

    def _same(self, audio: np.ndarray, first: Tensor, starts: np.ndarray) -> np.ndarray:
        """Which windows sound the same in both signals, (W,), from audio (2, T, hop).

        first: magnitudes of the first signal, (T, n, bins).
        """
        half = torch.from_numpy((audio[:1] - audio[1:]) / 2).to(first.device)
        bands = [each @ self.likeness.filters for each in (self.likeness.magnitude(half)[0], first)]
        close = (bands[0] <= NEARLY_MONO * bands[1] + INAUDIBLE_BAND).all(-1).all(-1).cpu().numpy()
        return np.logical_and.reduceat(close, starts)

    def _tables(self, z: Tensor, target: PerceptualFeatures | None) -> np.ndarray:
        size = self.codec.parameters.frames_per_window
        whole = z.shape[1] // size * size
        tables = []
        if whole:
            tables.append(self._table(z[:, :whole].unflatten(1, (-1, size)), target, 0))
        if whole < z.shape[1]:
            tables.append(self._table(z[:, None, whole:], target, whole))
        return np.concatenate(tables, 1)

    def _table(self, windows: Tensor, target: PerceptualFeatures | None, start: int) -> np.ndarray:
        if target is None or not self.decoding:
            return self.need.residuals(windows)
        return self.need.tables(windows, target.span(start, start + windows.shape[1] * windows.shape[2]))
