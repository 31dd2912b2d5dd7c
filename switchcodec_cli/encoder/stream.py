"""Encoding as a stream: blocks of audio in, packets out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audio.digest import SampleDigest
from ..audio.samples import FloatSamples, as_samples
from ..bitstream import DigestKind, Header, RateMode, SourceDigest, StreamWriter, Trailer
from ..errors import UsageError
from ..model.codec_model import CodecModel
from ..perceptual import PerceptualDistance
from .analysis import AnalysisOptions, ChunkAnalyzer
from .chunks import AllocatedChunk, AnalysedChunk, ChunkModes
from .packing import Packer, RateKeepingPacker, layer_limit
from .rate.control import (
    Allocator,
    FirstPassAllocator,
    RateAllocation,
    RateControl,
    index_cost_experts,
    needs_distortion,
)
from .search.stream_search import StreamSearch
from .settings import EncoderSettings
from .waveform_coder import WaveformCoder


class StreamEncoder:
    """Encodes blocks of audio to a stream; memory does not grow with the length of the input.

    The result does not depend on how the audio is cut into blocks.

    Args:
        model: The model to encode with.
        writer: Of the stream; its header says what is encoded.
        settings: The rate and the effort.
        allocation: Result of a `FirstPass` over the same audio with the same settings.
        latents: Of each run of the encoder network, if they are known; see `analysis.network_inputs`.
    """

    @torch.inference_mode(False)  # the refiner and latent refinement need gradients
    def __init__(
        self,
        model: CodecModel,
        writer: StreamWriter,
        settings: EncoderSettings,
        allocation: RateAllocation | None = None,
        latents: Sequence[Tensor] | None = None,
    ) -> None:
        header = writer.header
        distance = PerceptualDistance(model)
        self.writer = writer
        self._search = StreamSearch(model, distance, settings.preset, header.signals)
        keeps_rate = header.entropy_coded and header.rate_mode == RateMode.AVERAGE
        options = AnalysisOptions(
            features=self._search.needs_features,
            distortion=keeps_rate or (allocation is None and needs_distortion(settings, header)),
            # A quality is defined in distances of what is decoded. For a rate, an estimate from latents does
            # where time matters, and after a first pass, when it serves small corrections only.
            decode_for_distortion=allocation is None
            and (settings.effort > 0 or settings.quality is not None),
            index_cost_experts=index_cost_experts(settings, header),
        )
        waveform_coder = waveform_coder_of(model, header)
        self._analyzer = ChunkAnalyzer(model, distance, header, options, latents, waveform_coder)
        self._allocator: Allocator = (
            RateControl(settings, header) if allocation is None else FirstPassAllocator(allocation)
        )
        index_model = model.index_model if header.entropy_coded else None
        if index_model is not None and keeps_rate:
            self._packer: Packer = RateKeepingPacker(
                writer, index_model, waveform_coder, settings, self._search.requantize
            )
        else:
            self._packer = Packer(writer, index_model, waveform_coder, layer_limit(settings, header))
        self._unallocated: deque[AnalysedChunk] = deque()
        self._digest = SampleDigest()
        self._trailer: Trailer | None = None  # once closed

    @property
    def samples(self) -> int:
        """Samples per channel taken so far."""
        return self._analyzer.samples

    def write(self, block: Any) -> None:
        """Encode the next samples.

        Args:
            block: Floating-point samples of full scale 1, or integers of 8, 16 or 32 bits, which are scaled;
                an array or a torch tensor. # (n, channels), or (n,) for one channel

        Raises:
            UsageError: The block cannot be encoded, or the encoder is closed.
        """
        if self._trailer is not None:
            raise UsageError("the encoder is closed")
        samples = as_samples(block)
        self._encode(samples, last=False)
        self._digest.update(samples)

    def close(self, source: SourceDigest | None = None) -> Trailer:
        """Encode what is left at the end of the audio, and write the trailer; the file stays open.

        Args:
            source: Digest of the recording, which the trailer stores; by default that of all samples written.

        Raises:
            UsageError: The header announces another number of samples.
        """
        if self._trailer is None:
            total = self.writer.header.total_samples
            if total not in (None, self.samples):
                raise UsageError(f"{self.samples} samples were written, but {total} were announced")
            empty = np.zeros((0, self.writer.header.channels), np.float32)
            self._encode(empty, last=True)
            source = source or SourceDigest(DigestKind.SAMPLES, self._digest.value())
            self._trailer = self.writer.close(self.samples, source)
        return self._trailer

    def __enter__(self) -> StreamEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    @torch.inference_mode(False)
    def _encode(self, block: FloatSamples, last: bool) -> None:
        """The whole path of encoding: analyse, allocate, search, pack."""
        analysed = self._analyzer.process(block, last)
        allocated = self._allocate(analysed, last)
        coded = self._search.process(allocated, last)
        for chunk in coded:
            self._packer.push(chunk)
        if last:
            self._packer.finish(self.samples)

    def _allocate(self, chunks: Iterator[AnalysedChunk], last: bool) -> Iterator[AllocatedChunk]:
        """Pair chunks with their modes, as soon as these are decided."""
        for chunk in chunks:
            self._unallocated.append(chunk)
            yield from self._decided(self._allocator.push(chunk))
        if last:
            yield from self._decided(self._allocator.finish(self.samples))

    def _decided(self, decided: list[ChunkModes]) -> Iterator[AllocatedChunk]:
        for modes in decided:
            yield AllocatedChunk(self._unallocated.popleft(), modes)


class FirstPass:
    """A first pass over a recording, for an average rate with the whole of it in view.

    Takes the blocks that the encoder will take. Memory grows by some hundred bytes per second.

    Args:
        model: The model to encode with.
        header: Of the stream to be written.
        settings: With an average rate.
        latents: See `StreamEncoder`.
    """

    @torch.inference_mode(False)  # the refiner needs gradients
    def __init__(
        self,
        model: CodecModel,
        header: Header,
        settings: EncoderSettings,
        latents: Sequence[Tensor] | None = None,
    ) -> None:
        options = AnalysisOptions(distortion=True, index_cost_experts=index_cost_experts(settings, header))
        self._channels = header.channels
        self._analyzer = ChunkAnalyzer(
            model, PerceptualDistance(model), header, options, latents, waveform_coder_of(model, header)
        )
        self._control = RateControl(settings, header, look_ahead=None)

    def write(self, block: Any) -> None:
        """Analyse the next samples; see `StreamEncoder.write`."""
        self._analyse(as_samples(block), last=False)

    def close(self) -> RateAllocation:
        """The allocation, at the end of the audio."""
        empty = np.zeros((0, self._channels), np.float32)
        self._analyse(empty, last=True)
        decided = self._control.finish(self._analyzer.samples)
        return RateAllocation([modes for chunk in decided for modes in chunk])

    @torch.inference_mode(False)
    def _analyse(self, block: FloatSamples, last: bool) -> None:
        for chunk in self._analyzer.process(block, last):
            self._control.push(chunk)


def waveform_coder_of(model: CodecModel, header: Header) -> WaveformCoder | None:
    """What codes the waveform layers of a stream; None if it has none."""
    if not header.waveform_layers:
        return None
    return WaveformCoder(model.waveform_model, header.parameters.experts)
