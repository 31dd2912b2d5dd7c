"""Encoding as a stream: blocks of audio in, packets out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..bitstream import (
    COPY,
    SILENT,
    Block,
    Header,
    StreamWriter,
    Trailer,
    Window,
    coded_block,
    intensity_block,
)
from ..perceptual.distance import PerceptualDistance
from .analysis import Chunk, ChunkAnalyzer
from .rate.control import RateAllocation, RateControl
from .search.chunk_search import EFFORT_PRESETS, ChunkCodes, ChunkSearch
from .search.parallel import OrderedWorkers
from .settings import EncoderSettings

if TYPE_CHECKING:
    from ..api import Codec


class StreamEncoder:
    """Takes blocks of audio and writes a stream; memory does not grow with the length of the input.

    The result does not depend on how the audio is cut into blocks.
    """

    def __init__(
        self,
        codec: Codec,
        writer: StreamWriter,
        settings: EncoderSettings,
        plan: RateAllocation | None = None,
    ):
        """plan: what a `FirstPass` found for the same audio and settings, for an average rate."""
        self.codec, self.writer = codec, writer
        likeness = PerceptualDistance(codec.model)
        self.search = ChunkSearch(codec.model, likeness, EFFORT_PRESETS[settings.effort])
        self.front_end = ChunkAnalyzer(
            codec,
            writer.header,
            likeness,
            target=self.search.needs_target,
            tables=plan is None and weighs_up(settings, writer.header),
            decoding=settings.effort > 0 or not settings.constant,
        )
        self.planner = RateControl(settings, writer.header) if plan is None else None
        self.plan = plan
        self.planned_windows = 0  # of the plan, handed out so far
        self.waiting: deque[Chunk] = deque()  # for their codes
        self.decided: deque[tuple[Chunk, np.ndarray]] = deque()  # with codes (W, signals), to be searched
        self.before = codec.silence.new_zeros(writer.header.signals, 0, codec.silence.shape[-1])
        # chunks see their neighbours' latents as they were before the search, so each can be searched alone
        threads = torch.get_num_threads() if codec.silence.device.type == "cpu" else 1
        searched: OrderedWorkers[tuple[Chunk, np.ndarray, ChunkCodes]] = OrderedWorkers(threads)
        self.workers = searched if self.search.context and threads > 1 else None
        self.closed = False

    @property
    def samples(self) -> int:
        """Samples per channel taken so far."""
        return self.front_end.samples

    def write(self, block: np.ndarray) -> None:
        """The next samples (n, channels), floats of full scale 1."""
        self._take(self.front_end.push(block))

    def close(self) -> Trailer:
        """The end of the audio: writes what is left, and the trailer."""
        self._take(self.front_end.finish())
        if self.planner is not None:
            self._decide(self.planner.finish(self.samples))
        while self.decided:
            self._code()
        if self.workers is not None:
            self._write(self.workers.results(last=True))
            self.workers.close()
        self.closed = True
        return self.writer.close(self.samples)

    def _take(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self.waiting.append(chunk)
            if self.planner is not None:
                codes = self.planner.push(chunk)
                chunk.tables = None
                self._decide(codes)
            elif self.plan is not None:
                start = self.planned_windows
                self.planned_windows += chunk.windows
                self._decide([self.plan.codes[start : self.planned_windows]])
            # the search looks at latents of the chunk behind
            while len(self.decided) > 1 or (self.decided and not self.search.context):
                self._code()

    def _decide(self, decided: list[np.ndarray]) -> None:
        for codes in decided:
            self.decided.append((self.waiting.popleft(), codes))

    def _code(self) -> None:
        """Search the chunk that was decided on first, and write it or have it written in its turn."""
        chunk, codes = self.decided.popleft()
        following = [each for each, _ in self.decided] + list(self.waiting)
        before, after, context = self.before, self.before[:, :0], self.search.context
        if context:
            if following:
                after = following[0].z[:, :context]
            self.before = torch.cat([before, chunk.z], 1)[:, -context:].clone()
        experts = self.codec.parameters.experts
        counts = np.where(codes <= experts, codes, -1).T  # (signals, W)

        def search() -> tuple[Chunk, np.ndarray, ChunkCodes]:
            return chunk, codes, self.search(chunk.z, counts, before, after, chunk.target)

        # a chunk that is the only one is better off with all cores
        if self.workers is None or not (following or self.workers.started):
            self._write([search()])
        else:
            self.workers.call(search)
            self._write(self.workers.results())

    def _write(self, searched: Iterable[tuple[Chunk, np.ndarray, ChunkCodes]]) -> None:
        """Chunks and their codes (W, signals), in order."""
        for chunk, codes, found in searched:
            for number, row in enumerate(codes):
                indices = found.indices[number]  # (signals, 1 + Nr, S, F)
                blocks = [
                    self._block(int(code), found.masks[signal, number], indices[signal], chunk.levels[number])
                    for signal, code in enumerate(row)
                ]
                self.writer.write(Window(indices.shape[-1], tuple(blocks)))

    def _block(self, code: int, mask: np.ndarray, indices: np.ndarray, levels: np.ndarray) -> Block:
        if code == self.codec.parameters.silent_code:
            return SILENT
        if code == self.codec.parameters.copy_code:
            return COPY
        if code == self.codec.parameters.intensity_code:
            return intensity_block(levels)
        experts = np.flatnonzero(mask)
        return coded_block(tuple(experts), indices[[0, *(experts + 1)]])


class FirstPass:
    """The first pass over an input, for an average rate kept over the whole of it.

    Takes the same blocks as the encoder will; memory grows by some hundred bytes a second.
    """

    def __init__(self, codec: Codec, header: Header, settings: EncoderSettings):
        """header: that of the stream to be written."""
        self.front_end = ChunkAnalyzer(
            codec, header, PerceptualDistance(codec.model), target=False, tables=True
        )
        self.planner = RateControl(settings, header, look_ahead=None)

    def write(self, block: np.ndarray) -> None:
        """The next samples (n, channels), floats of full scale 1."""
        for chunk in self.front_end.push(block):
            self.planner.push(chunk)

    def close(self) -> RateAllocation:
        """The end of the audio."""
        for chunk in self.front_end.finish():
            self.planner.push(chunk)
        codes = self.planner.finish(self.front_end.samples)
        signals = self.front_end.signals
        return RateAllocation(np.concatenate([np.zeros((0, signals), np.int64), *codes]))


def weighs_up(settings: EncoderSettings, header: Header) -> bool:
    """Whether there is anything to decide: how many experts for this window, or for this signal."""
    return not settings.constant or (
        header.signals == 2 and 0 < (header.experts_total or 0) < 2 * header.parameters.experts
    )


__all__ = ["FirstPass", "StreamEncoder", "weighs_up"]
