"""What the stages of the encoder hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..bitstream import BlockMode
from ..perceptual import PerceptualFeatures
from .search.chunk_search import QuantizedChunk

CHUNK_WINDOWS = 8  # windows in a chunk, and in a run of the networks

ChunkModes = list[tuple[BlockMode, ...]]
"""For each window of a chunk, the mode of the block of each signal."""


@dataclass(frozen=True)
class AnalysedChunk:
    """W windows of audio after the encoder network; all but the very last of a stream are whole."""

    z: Tensor  # latents; in silent blocks that of digital silence, (signals, T, D)
    silent: npt.NDArray[np.bool_]  # (signals, W)
    same: npt.NDArray[np.bool_]  # whether the second signal can be a copy of the first, (W,)
    intensity: npt.NDArray[np.bool_]  # whether the signal is the other one at other levels, (signals, W)
    levels: npt.NDArray[np.int64]  # these levels, (W, bands)
    features: PerceptualFeatures | None  # of the input, where the search needs them
    distortion: npt.NDArray[np.float64] | None  # by number of experts, (signals, W, Nr + 1), where estimated
    # expected bytes of indices and layers by number of experts, (signals, W, Nr + 1), where estimated
    payload_bytes: npt.NDArray[np.int64] | None = None
    # MDCT coefficients of the low band for waveform layers, (signals, T, bins), where there are to be any
    coefficients: npt.NDArray[np.float32] | None = None

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self.same)

    @property
    def frames(self) -> int:
        """Number of latent frames."""
        return int(self.z.shape[1])


@dataclass(frozen=True)
class AllocatedChunk:
    """A chunk with the mode of each block."""

    chunk: AnalysedChunk
    modes: ChunkModes


@dataclass(frozen=True)
class CodedChunk:
    """A chunk with masks and indices."""

    allocated: AllocatedChunk
    quantized: QuantizedChunk
