"""Encoding as a stream: blocks of audio in, packets out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .audio import StreamResampler
from .bitstream import (
    COPY,
    SILENT,
    Block,
    BlockKind,
    StreamWriter,
    Trailer,
    Window,
    coded_block,
    split_experts,
)
from .model.stream import ContextStream

if TYPE_CHECKING:
    from .codec import Codec

CHUNK_WINDOWS = 8  # windows per run of the networks
SILENCE = 2.0**-17  # below half of the least step of 16 bits


class StreamEncoder:
    """Takes blocks of audio and writes a stream; memory does not grow with the length of the input.

    The result does not depend on how the audio is cut into blocks.
    """

    def __init__(self, codec: Codec, writer: StreamWriter):
        self.codec, self.writer = codec, writer
        header = writer.header
        self.signals, self.channels = header.signals, header.channels
        self.resampler = StreamResampler(header.original_rate, codec.sample_rate, self.signals)
        self.samples = 0  # per channel, at the original rate
        self.pending: list[np.ndarray] = []  # at the codec's rate, less than a chunk in all
        self.pending_length = 0
        frames = codec.parameters.frames_per_window
        self.network: ContextStream = codec.model.encoder_stream(CHUNK_WINDOWS * frames)
        self.levels: list[np.ndarray] = []  # peak of each frame not yet coded, (signals, n)
        self.equal: list[np.ndarray] = []  # whether both signals are the same in each of these frames, (n,)
        self.closed = False

    def write(self, block: np.ndarray) -> None:
        """The next samples (n, channels), floats of full scale 1."""
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (n, {self.channels}), not {block.shape}")
        self.samples += len(block)
        self._take(self.resampler.process(block[:, : self.signals]), last=False)

    def close(self) -> Trailer:
        """The end of the audio: writes what is left, and the trailer."""
        self._take(self.resampler.process(np.zeros((0, self.signals), np.float32), last=True), last=True)
        self.closed = True
        return self.writer.close(self.samples)

    @torch.inference_mode()
    def _take(self, audio: np.ndarray, last: bool) -> None:
        self.pending.append(audio)
        self.pending_length += len(audio)
        hop, device = self.codec.model.hop, self.codec.silence.device
        chunk = CHUNK_WINDOWS * self.codec.parameters.frames_per_window * hop
        if not last and self.pending_length < chunk:
            return
        joined = np.concatenate(self.pending).T  # (signals, n)
        if last:
            joined = np.pad(joined, ((0, 0), (0, -joined.shape[1] % hop)))
        ready = joined.shape[1] // hop * hop
        self.pending, self.pending_length = [joined[:, ready:].T], joined.shape[1] - ready
        frames = joined[:, :ready].reshape(self.signals, -1, hop)
        self.levels.append(np.abs(frames).max(-1, initial=0))
        self.equal.append((frames[0] == frames[-1]).all(-1))
        block = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32)).to(device)
        for z in self.network.push(block, last):
            self._code(z)

    def _code(self, z: Tensor) -> None:
        """Quantize and write a chunk of latents (signals, T, D): whole windows, but for the very last."""
        levels, equal = np.concatenate(self.levels, 1), np.concatenate(self.equal)
        count = z.shape[1]
        self.levels, self.equal = [levels[:, count:]], [equal[count:]]
        size = self.codec.parameters.frames_per_window
        whole = count // size * size
        if whole:
            self._code_windows(z[:, :whole].unflatten(1, (-1, size)), levels[:, :whole], equal[:whole])
        if whole < count:
            self._code_windows(z[:, None, whole:], levels[:, whole:count], equal[whole:count])

    def _code_windows(self, z: Tensor, levels: np.ndarray, equal: np.ndarray) -> None:
        """Windows z (signals, W, F, D) with levels (signals, W * F) and equal (W * F,)."""
        _, count, frames, _ = z.shape
        silent = levels.reshape(self.signals, count, frames).max(-1) < SILENCE  # (signals, W)
        same = equal.reshape(count, frames).all(-1) & (self.signals == 2)
        active = self._active(silent, same)
        blocks = self._quantize(z, active)
        for number in range(count):
            row = [blocks[signal][number] for signal in range(self.signals)]
            for signal in range(self.signals):
                if silent[signal, number]:
                    row[signal] = SILENT
            if same[number] and row[0].kind is BlockKind.CODED:
                row[1] = COPY
            self.writer.write(Window(frames, tuple(row)))

    def _active(self, silent: np.ndarray, same: np.ndarray) -> np.ndarray:
        """Experts per signal and window, (signals, W): what a silent signal leaves goes to the other."""
        parameters, total = self.codec.parameters, self.writer.header.experts_total or 0
        shares = split_experts(total, parameters, self.signals)
        active = np.repeat(np.array(shares)[:, None], silent.shape[1], 1)
        if self.signals == 2:
            for signal in range(2):
                alone = silent[1 - signal] | (same if signal == 0 else np.zeros_like(same))
                active[signal, alone] = min(total, parameters.experts)
        return active

    def _quantize(self, z: Tensor, active: np.ndarray) -> list[list[Block]]:
        """Blocks for windows z (signals, W, F, D) with so many active experts (signals, W)."""
        quantizer = self.codec.model.quantizer
        flat = z.flatten(0, 1)
        mask = quantizer.route(flat, torch.from_numpy(active.ravel()).to(z.device))
        indices = quantizer.encode(flat, mask).cpu().numpy()  # (B, 1 + Nr, S, F)
        masks = mask.cpu().numpy()
        blocks = []
        for row, chosen in zip(indices, masks, strict=True):
            experts = np.flatnonzero(chosen)
            blocks.append(coded_block(tuple(experts), row[[0, *(experts + 1)]].astype(np.uint16)))
        return [blocks[start : start + z.shape[1]] for start in range(0, len(blocks), z.shape[1])]
