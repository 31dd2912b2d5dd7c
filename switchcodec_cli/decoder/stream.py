"""Decoding as a stream: packets in, blocks of audio out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
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
    Window,
    level_gains,
)
from ..bitstream.modelled_payload import restored_windows
from ..errors import BadInputError, UsageError, WeightsError
from ..model.codec_model import CodecModel
from .silence_gate import SilenceGate
from .time_range import DecodingRange, TimeRange

CHUNK_WINDOWS = 8  # windows per run of the network
FILE_LANES = 32  # windows whose modelled indices are decoded together; of a pipe, those of one chunk

Item = TypeVar("Item")
Samples = npt.NDArray[np.float32]


class StreamDecoder:
    """Reads packets and yields blocks of audio in constant memory.

    Args:
        model: The model that the stream was encoded with.
        reader: Of the stream.
        start: Where to begin, in seconds.
        duration: How much to decode, in seconds; None for all.
        conceal: Replace damaged windows by silence instead of raising an error.
        phase_iterations: Iterations of Griffin-Lim; None for the model's own number.

    Attributes:
        reader: Of the stream.
        header: Of the stream.
        sample_rate: Of the output, in Hz: the original rate.
        channels: Of the output.
        damage: Windows concealed so far.
        truncated: What is wrong at the end of the stream, where that was concealed: it is missing or damaged,
            or something follows it.

    Raises:
        UsageError: The range is not in the recording.
    """

    def __init__(
        self,
        model: CodecModel,
        reader: StreamReader,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> None:
        if phase_iterations is not None and phase_iterations < 0:
            raise UsageError("the number of phase iterations must not be negative")
        self.reader, self.header = reader, reader.header
        self.sample_rate, self.channels = self.header.original_rate, self.header.channels
        self._model, self._conceal = model, conceal
        self._phase_iterations = phase_iterations
        self._range = TimeRange.of(start, duration, self.sample_rate)
        total = reader.total_samples
        if total is not None and self._range.first > total:
            raise UsageError(f"the stream ends at {total / self.sample_rate:.3f} s, before {start:g} s")
        self.damage: list[DamagedWindow] = []
        self.truncated: str | None = None

    def __enter__(self) -> StreamDecoder:
        return self

    def __exit__(self, *_: object) -> None:
        pass  # the file belongs to the caller

    @property
    def frames(self) -> int | None:
        """Samples per channel that will come out; None while that is unknown."""
        total = self.reader.total_samples
        if total is None:
            return None
        stop = total if self._range.stop is None else min(total, self._range.stop)
        return max(0, stop - self._range.first)

    @torch.inference_mode()
    def blocks(self) -> Iterator[Samples]:
        """Yield the audio in blocks, full scale 1. # (n, channels)

        Raises:
            BadInputError: A window is damaged, or the stream as a whole is truncated or invalid, and
                `conceal` is not set.
            WeightsError: The networks decode the stream to values that are not finite.
        """
        parameters = self.header.parameters
        context = self._model.backbone.decoder_context(self._phase_iterations)
        needed = DecodingRange.of(self._range, parameters, self.sample_rate, context)
        windows = self._windows(needed)
        signals = self._decode(windows, needed.first_window)
        for block in self._trim(self._resample(signals, needed), needed.first_output):
            if not np.isfinite(block).all():
                raise WeightsError("the weights decode this stream to values that are not finite")
            yield block

    def _windows(self, needed: DecodingRange) -> Iterator[Window | DamagedWindow]:
        """Read the windows, with damage reported or noted for concealment."""
        windows = restored_windows(
            self.header,
            lambda: self._model.index_model,
            lambda: self._model.waveform_model,
            self.reader.windows(needed.first_window, needed.stop_window),
            needed.first_window,
            FILE_LANES if self.reader.is_seekable else CHUNK_WINDOWS,
        )
        while True:
            try:
                window = next(windows)
            except StopIteration:
                return
            except BadInputError as error:
                if not self._conceal:
                    raise
                self.truncated = str(error)
                return
            if isinstance(window, DamagedWindow):
                if not self._conceal:
                    raise BadInputError(
                        f"window {window.index} at {window.start:.3f} s is damaged ({window.reason}); "
                        "--conceal replaces such windows by silence"
                    )
                self.damage.append(window)
            yield window

    def _decode(
        self, windows: Iterator[Window | DamagedWindow], first_window: int
    ) -> Iterator[tuple[Samples, bool]]:
        """Yield signals (n, signals) at the codec's rate, and whether they are the last."""
        parameters, signals = self.header.parameters, self.header.signals
        stream = self._model.backbone.decoder_stream(
            CHUNK_WINDOWS * parameters.frames_per_window,
            first_frame=first_window * parameters.frames_per_window,
            band_edges=LEVEL_EDGES,
            phase_iterations=self._phase_iterations,
            waveform_bins=self._waveform_bins,
        )
        gate = SilenceGate(parameters.hop, signals)
        latents: list[Tensor] = []
        gains: list[Tensor] = []
        coefficients: list[Tensor] = []
        ended = False
        for window, ended in _mark_last(windows):
            z, gain = self._dequantize(window)
            latents.append(z)
            gains.append(gain.expand(-1, window.frames, -1))
            if self._waveform_bins:
                coefficients.append(self._coefficients(window))
            gate.add((gain > 0).any(-1)[:, 0].cpu().numpy(), window.frames)
            if ended or len(latents) == CHUNK_WINDOWS:
                known = torch.cat(coefficients, 1) if coefficients else None
                pieces = stream.push(torch.cat(latents, 1), torch.cat(gains, 1), known, ended)
                latents, gains, coefficients = [], [], []
                for piece, last in _mark_last(iter(pieces)):
                    yield gate.apply(piece.cpu().numpy()).T, ended and last
        if not ended:
            yield np.zeros((0, signals), np.float32), True

    def _dequantize(self, window: Window | DamagedWindow) -> tuple[Tensor, Tensor]:
        """Latents (signals, F, D) of a window and gains (signals, 1, bands) of what they decode to."""
        signals, parameters = self.header.signals, self.header.parameters
        gains = torch.zeros(signals, 1, LEVEL_BANDS, device=self._model.device)
        if isinstance(window, DamagedWindow):
            return self._silence_latent.expand(signals, window.frames, -1), gains
        quantizers = 1 + parameters.experts
        masks = np.zeros((signals, parameters.experts), bool)
        indices = np.zeros((signals, quantizers, parameters.codebooks_per_quantizer, window.frames), np.int64)
        coded = np.zeros(signals, bool)
        for signal, (block, source) in enumerate(zip(window.blocks, window.resolved, strict=True)):
            if block.kind is BlockKind.INTENSITY:
                if not self._model.backbone.has_band_gains:
                    raise BadInputError("these weights cannot decode intensity stereo")
                gains[signal] = gains.new_tensor(level_gains(block.levels))
            elif block.kind is not BlockKind.SILENT:
                gains[signal] = 1
            if source.kind is BlockKind.CODED:
                coded[signal] = True
                masks[signal, list(source.experts)] = True
                indices[signal, [0, *(1 + expert for expert in source.experts)]] = source.indices
        device = self._model.device
        decoded = self._model.dequantize(
            torch.from_numpy(masks[coded]).to(device), torch.from_numpy(indices[coded]).to(device)
        )
        if coded.all():
            return decoded, gains
        latents = self._silence_latent.expand(signals, window.frames, -1).clone()
        latents[torch.from_numpy(coded).to(device)] = decoded
        return latents, gains

    @cached_property
    def _waveform_bins(self) -> int:
        """Coefficients of a latent frame in the stream's waveform layers; 0 if it has none."""
        return self._model.waveform_model.tensors.bins if self.header.waveform_layers else 0

    def _coefficients(self, window: Window | DamagedWindow) -> Tensor:
        """Coefficients of the layers of a window, zeros where there are none. # (signals, F, bins)"""
        shape = (self.header.signals, window.frames, self._waveform_bins)
        values = np.zeros(shape, np.float32)
        if isinstance(window, Window):
            for signal, block in enumerate(window.resolved):
                if block.coefficients is not None:
                    values[signal] = block.coefficients
        return torch.from_numpy(values).to(self._model.device)

    @cached_property
    def _silence_latent(self) -> Tensor:
        """See `CodecModel.silence_latent`; computed only if there are blocks without indices."""
        return self._model.silence_latent()

    def _resample(
        self, signals: Iterator[tuple[Samples, bool]], needed: DecodingRange
    ) -> Iterator[tuple[Samples, bool]]:
        """Yield channels (n, channels) at the original rate, and whether they are the last."""
        resampler = StreamResampler(self.header.parameters.sample_rate, self.sample_rate, self.channels)
        skip = needed.skip
        for audio, last in signals:
            drop = min(skip, len(audio))
            skip -= drop
            yield resampler.process(self._channels(audio[drop:]), last), last

    def _channels(self, signals: Samples) -> Samples:
        """Signals (n, signals) to channels (n, channels)."""
        coding = self.header.channel_coding
        if coding == ChannelCoding.DUAL_MONO:
            return np.repeat(signals, 2, 1)
        if coding == ChannelCoding.MID_SIDE:
            return np.stack([signals[:, 0] + signals[:, 1], signals[:, 0] - signals[:, 1]], 1)
        return signals

    def _trim(self, pieces: Iterator[tuple[Samples, bool]], position: int) -> Iterator[Samples]:
        """Cut a stream that begins with sample `position` to the range and the recording's length.

        While the length is unknown, as many samples are held back as the last latent frame may have too many.
        """
        parameters = self.header.parameters
        held_back = 2 * parameters.hop * self.sample_rate // parameters.sample_rate + 2
        pending = np.zeros((0, self.channels), np.float32)
        for samples, last in pieces:
            first = max(0, self._range.first - position)
            position += len(samples)
            pending = np.concatenate([pending, samples[first:]])
            keep = 0 if last or self.reader.total_samples is not None else held_back
            ready, pending = pending[: max(0, len(pending) - keep)], pending[max(0, len(pending) - keep) :]
            limits = [limit for limit in (self.reader.total_samples, self._range.stop) if limit is not None]
            end = position - len(pending)
            excess = max(0, end - min([end, *limits]))
            if len(ready) > excess:
                yield ready[: len(ready) - excess]


def _mark_last(items: Iterator[Item]) -> Iterator[tuple[Item, bool]]:
    """Yield each item with whether it is the last."""
    try:
        previous = next(items)
    except StopIteration:
        return
    for item in items:
        yield previous, False
        previous = item
    yield previous, True
