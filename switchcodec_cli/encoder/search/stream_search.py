"""The search as a stage of the encoder: chunks in order, several at a time on a CPU with several cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from ...bitstream import BlockKind
from ...model.codec_model import CodecModel
from ...perceptual import PerceptualDistance
from ..chunks import AllocatedChunk, CodedChunk
from ..settings import EffortPreset
from .chunk_search import ChunkSearch, QuantizedChunk, SearchInput
from .parallel import OrderedWorkers


class StreamSearch:
    """Searches the chunks of a stream.

    A chunk is searched with the neighbouring chunks' latents as they were before their own search, so each
    can be searched alone and the result depends neither on the number of threads nor on timing.

    Args:
        model: The model to search in.
        distance: Of the model.
        preset: What the search may spend.
        signals: Signals of the stream.
    """

    def __init__(
        self, model: CodecModel, distance: PerceptualDistance, preset: EffortPreset, signals: int
    ) -> None:
        self._search = ChunkSearch(model, distance, preset)
        self._before = torch.zeros(signals, 0, model.config.latent_dimension, device=model.device)
        self._pending: AllocatedChunk | None = None  # until the latents after it are known
        threads = torch.get_num_threads() if model.device.type == "cpu" else 1
        self._workers: OrderedWorkers[CodedChunk] = OrderedWorkers(threads)
        self._parallel = self._search.context > 0 and threads > 1

    @property
    def needs_features(self) -> bool:
        """Whether chunks must hold the features of the input."""
        return self._search.needs_features

    def process(self, chunks: Iterator[AllocatedChunk], last: bool) -> Iterator[CodedChunk]:
        """Yield coded chunks in order, as far as they are complete; all of them with `last`."""
        for chunk in self._workers.limited(chunks):
            if not self._search.context:
                yield self._task(chunk, None)()
                continue
            if self._pending is not None:
                yield from self._run(self._task(self._pending, chunk))
            self._pending = chunk
        if last:
            if self._pending is not None:
                task, self._pending = self._task(self._pending, None), None
                # a chunk that is the only one gets all cores
                yield from self._run(task) if self._workers.started else (task(),)
            yield from self._workers.results(last=True)
            self._workers.close()

    def requantize(self, chunk: QuantizedChunk, window: int, counts: npt.NDArray[np.int64]) -> QuantizedChunk:
        """See ChunkSearch.requantize."""
        return self._search.requantize(chunk, window, counts)

    def _run(self, task: Callable[[], CodedChunk]) -> Iterator[CodedChunk]:
        if not self._parallel:
            yield task()
            return
        self._workers.submit(task)
        yield from self._workers.results()

    def _task(self, allocated: AllocatedChunk, following: AllocatedChunk | None) -> Callable[[], CodedChunk]:
        """The search of a chunk, ready to be called in any thread."""
        z, context = allocated.chunk.z, self._search.context
        before, after = self._before, self._before[:, :0]
        if context:
            if following is not None:
                after = following.chunk.z[:, :context]
            self._before = torch.cat([before, z], 1)[:, -context:].clone()
        counts = [
            [mode.experts if mode.kind is BlockKind.CODED else -1 for mode in modes]
            for modes in allocated.modes
        ]
        chunk = SearchInput(z, np.array(counts, np.int64).T, before, after, allocated.chunk.features)
        return partial(self._search_chunk, allocated, chunk)

    def _search_chunk(self, allocated: AllocatedChunk, chunk: SearchInput) -> CodedChunk:
        return CodedChunk(allocated, self._search(chunk))
