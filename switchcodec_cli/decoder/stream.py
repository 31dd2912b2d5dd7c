"""Decoding as a stream: packets in, blocks of audio out."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..audio import StreamResampler
from ..bitstream import (
    LEVEL_BANDS,
    LEVEL_EDGES,
    BlockKind,
    ChannelCoding,
    DamagedWindow,
    StreamReader,
    TruncatedError,
    Window,
    level_gains,
)
from ..errors import BadInputError, UsageError
from ..model.codec_model import DecoderStream

if TYPE_CHECKING:
    from ..api import Codec

CHUNK_WINDOWS = 8  # windows per run of the networks
FADE = 256  # samples into a silent window over which what came before may ring out
RESAMPLER_CONTEXT = 8192  # samples that the resampler's filter is settled after


class StreamDecoder:
    """Reads packets and yields blocks of audio, in constant memory."""

    def __init__(
        self,
        codec: Codec,
        reader: StreamReader,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ):
        if start < 0 or (duration is not None and duration < 0):
            raise UsageError("start and duration must not be negative")
        if phase_iterations is not None and phase_iterations < 0:
            raise UsageError("the number of phase iterations must not be negative")
        self.codec, self.reader, self.conceal = codec, reader, conceal
        self.phase_iterations = phase_iterations
        self.header = reader.header
        self.sample_rate, self.channels = self.header.original_rate, self.header.channels
        self.first = round(start * self.sample_rate)
        self.stop = None if duration is None else self.first + round(duration * self.sample_rate)
        total = reader.total_samples
        if total is not None and self.first > total:
            raise UsageError(f"the stream ends at {total / self.sample_rate:.3f} s, before {start:g} s")
        self.damage: list[DamagedWindow] = []  # what was concealed so far
        self.truncated: str | None = None  # why the end is missing, where it was concealed

    @property
    def frames(self) -> int | None:
        """Samples per channel that will come out; None while that is not known."""
        total = self.reader.total_samples
        if total is None:
            return None
        return max(0, min(total, self.stop if self.stop is not None else total) - self.first)

    @torch.inference_mode()
    def blocks(self) -> Iterator[np.ndarray]:
        """The audio as blocks (n, channels) of float32.

        Raises BadInputError at damage or truncation, unless `conceal` is set.
        """
        parameters, model = self.codec.parameters, self.codec.model
        size, hop = parameters.frames_per_window, parameters.hop
        from_codec = parameters.sample_rate // gcd(parameters.sample_rate, self.sample_rate)
        from_original = self.sample_rate // gcd(parameters.sample_rate, self.sample_rate)
        context = model.decoder_context(self.phase_iterations)
        margin = 0 if parameters.sample_rate == self.sample_rate else RESAMPLER_CONTEXT
        # the grid on which samples of both rates coincide
        begin = max(0, self.first * parameters.sample_rate // self.sample_rate - margin)
        begin = begin // from_codec * from_codec  # first sample of use, at the codec's rate
        first_window = max(0, (begin // hop - context) // size)
        last_window = None
        if self.stop is not None:
            end = -(-self.stop * parameters.sample_rate // self.sample_rate) + margin
            last_window = (-(-end // hop) + context) // size + 1
        skip = begin - first_window * size * hop
        emitted = begin // from_codec * from_original  # number of the next sample out, at the original rate
        resampler = StreamResampler(parameters.sample_rate, self.sample_rate, self.channels)
        held = np.zeros((0, self.channels), np.float32)  # the end may yet have to be cut

        for audio, last in self._signals(first_window, last_window):
            drop = min(skip, len(audio))
            audio, skip = audio[drop:], skip - drop
            samples = resampler.process(self._channels(audio), last)
            low = max(0, self.first - emitted)
            emitted += len(samples)
            held = np.concatenate([held, samples[low:]])
            total = self.reader.total_samples
            if not last:
                keep = 0 if total is not None else 2 * hop * from_original // from_codec + 1
                ready = len(held) - keep
                if ready > 0:
                    yield from self._cut(held[:ready], emitted - keep)
                    held = held[ready:]
            else:
                yield from self._cut(held, emitted)

    def _cut(self, samples: np.ndarray, end: int) -> Iterator[np.ndarray]:
        """Yield samples, the last of which is number `end` - 1, up to where the output stops."""
        total = self.reader.total_samples
        stop = min(limit for limit in (total, self.stop, end) if limit is not None)
        samples = samples[: max(0, len(samples) - (end - stop))]
        if len(samples):
            yield samples

    def _channels(self, signals: np.ndarray) -> np.ndarray:
        """Signals (n, signals) to channels (n, channels)."""
        coding = self.header.channel_coding
        if coding == ChannelCoding.DUAL_MONO:
            return np.repeat(signals, 2, 1)
        if coding == ChannelCoding.MID_SIDE:
            return np.stack([signals[:, 0] + signals[:, 1], signals[:, 0] - signals[:, 1]], 1)
        return signals

    def _signals(self, first: int, last: int | None) -> Iterator[tuple[np.ndarray, bool]]:
        """Decoded signals (n, signals) at the codec's rate, with whether these are the last."""
        size, hop = self.codec.parameters.frames_per_window, self.codec.parameters.hop
        stream = DecoderStream(
            self.codec.model,
            CHUNK_WINDOWS * size,
            self.phase_iterations,
            first=first * size,
            edges=LEVEL_EDGES,
        )
        gate = _Gate(hop, self.header.signals)
        latents: list[Tensor] = []
        gains: list[Tensor] = []
        for window, end in _with_last(self._windows(first, last)):
            if window is not None:
                z, gain = self._latents(window)
                latents.append(z)
                gains.append(gain)
                gate.add((gain > 0).any(-1).cpu().numpy().astype(np.float32))
            if latents and (end or len(latents) == CHUNK_WINDOWS):
                pieces = stream.push(torch.cat(latents, 1), torch.cat(gains, 1), end)
                latents, gains = [], []
                for number, piece in enumerate(pieces):
                    yield gate.apply(piece.cpu().numpy()).T, end and number == len(pieces) - 1
            elif end:
                yield np.zeros((0, self.header.signals), np.float32), True

    def _windows(self, first: int, last: int | None) -> Iterator[Window | DamagedWindow]:
        windows = self.reader.windows(first, last)
        while True:
            try:
                window = next(windows)
            except StopIteration:
                return
            except TruncatedError as error:
                if not self.conceal:
                    raise
                self.truncated = str(error)
                return
            if isinstance(window, DamagedWindow):
                if not self.conceal:
                    raise BadInputError(
                        f"window {window.index} at {window.start:.3f} s is damaged ({window.reason}); "
                        "--conceal fades over such windows"
                    )
                self.damage.append(window)
            yield window

    def _latents(self, window: Window | DamagedWindow) -> tuple[Tensor, Tensor]:
        """Latents (signals, F, D) of a window and gains of what they decode to (signals, F, bands)."""
        codec, signals = self.codec, self.header.signals
        silence = codec.silence.expand(window.frames, -1)
        if isinstance(window, DamagedWindow):
            return silence.expand(signals, -1, -1), silence.new_zeros(signals, window.frames, LEVEL_BANDS)
        latents, gains = [], []
        for block, source in zip(window.blocks, window.resolved, strict=True):
            gain = (float(block.kind is not BlockKind.SILENT),) * LEVEL_BANDS
            if block.kind is BlockKind.INTENSITY:
                if codec.model.config.backbone != "spectral":
                    raise BadInputError(
                        "intensity stereo can be decoded by weights of the spectral backbone only"
                    )
                gain = level_gains(block.levels)
            if source.kind is BlockKind.SILENT:
                latents.append(silence)
            else:
                indices = torch.from_numpy(source.indices.astype(np.int64)).to(silence.device)
                latents.append(codec.model.quantizer.decode(source.experts, indices))
            gains.append(silence.new_tensor(gain).expand(window.frames, -1))
        return torch.stack(latents), torch.stack(gains)


class _Gate:
    """Makes silent windows truly silent, once what came before has rung out."""

    def __init__(self, hop: int, signals: int):
        self.hop = hop
        self.mask = np.ones((signals, 0), np.float32)  # of samples not yet passed
        self.previous = np.zeros(signals, np.float32)

    def add(self, audible: np.ndarray) -> None:
        """What is audible (signals, F) of the next window, all or nothing of each signal."""
        mask = np.repeat(audible, self.hop, 1)
        fade = np.linspace(1, 0, min(FADE, mask.shape[1]), dtype=np.float32)
        for signal in range(len(mask)):
            if self.previous[signal] and not audible[signal, 0]:
                mask[signal, : len(fade)] = fade
        self.previous = audible[:, -1]
        self.mask = np.concatenate([self.mask, mask], 1)

    def apply(self, audio: np.ndarray) -> np.ndarray:
        """The next samples (signals, n)."""
        mask, self.mask = self.mask[:, : audio.shape[1]], self.mask[:, audio.shape[1] :]
        return audio if mask.all() else audio * mask


def _with_last(
    items: Iterator[Window | DamagedWindow],
) -> Iterator[tuple[Window | DamagedWindow | None, bool]]:
    """Each item with whether it is the last; (None, True) where there is none at all."""
    previous = next(items, None)
    if previous is None:
        yield None, True
        return
    for item in items:
        yield previous, False
        previous = item
    yield previous, True
