"""Sample rate conversion that can run block by block and keeps lengths exact."""

from __future__ import annotations

import numpy as np
import soxr


def resampled_length(frames: int, rate_in: int, rate_out: int) -> int:
    """How many frames `frames` become: ceil(frames * rate_out / rate_in).

    Rounding up means that going there and back never loses a frame, only ever adds some to be cut off.
    """
    return -(-frames * rate_out // rate_in)


class StreamResampler:
    """Convert a stream of blocks from one sample rate to another.

    The output is aligned with the input (no delay), its total length is `resampled_length` of the input's,
    and it does not depend on how the input was cut into blocks. Equal rates pass through untouched.

    Args:
        rate_in, rate_out: in Hz.
        channels: of every block.
        quality: of soxr, "VHQ" (28 bits) or "HQ" (20 bits).
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int, quality: str = "VHQ") -> None:
        if rate_in < 1 or rate_out < 1 or channels < 1:
            raise ValueError("sample rates and the number of channels must be positive")
        self.rate_in, self.rate_out, self.channels = rate_in, rate_out, channels
        self._frames_in = self._frames_out = 0
        self._stream = None
        if rate_in != rate_out:
            self._stream = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", quality=quality)

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """Feed frames, get those that are ready; `last` flushes the rest. # (n, channels) -> (m, channels)

        An empty block is fine, so `process(empty, last=True)` ends a stream whose end came as a surprise.
        """
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (frames, {self.channels}), not {block.shape}")
        if self._stream is None:
            return block
        self._frames_in += len(block)
        output = self._stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
        if last:
            # soxr rounds the length to nearest: a few zeros more, and every frame up to the ceiling is there.
            zeros = np.zeros((self.rate_in // self.rate_out + 2, self.channels), np.float32)
            total = resampled_length(self._frames_in, self.rate_in, self.rate_out)
            output = np.concatenate([output, self._stream.resample_chunk(zeros, last=True)])
            output = output[: total - self._frames_out]
        self._frames_out += len(output)
        return output


class ExactLength:
    """Cut a stream, or fill it up with silence, to `frames` frames."""

    def __init__(self, frames: int, channels: int) -> None:
        self._left, self._channels = frames, channels

    def process(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        """Pass on what still fits; with `last`, add what is missing. # (n, channels) -> (m, channels)"""
        block = block[: self._left]
        self._left -= len(block)
        if last and self._left:
            silence = np.zeros((self._left, self._channels), block.dtype)
            block, self._left = np.concatenate([block, silence]), 0
        return block


def resample(audio: np.ndarray, rate_in: int, rate_out: int, quality: str = "VHQ") -> np.ndarray:
    """A whole signal at once, the same samples as `StreamResampler` gives. # (n,) or (n, channels)"""
    frames = audio if audio.ndim == 2 else audio[:, None]
    output = StreamResampler(rate_in, rate_out, frames.shape[1], quality).process(frames, last=True)
    return output if audio.ndim == 2 else output[:, 0]
