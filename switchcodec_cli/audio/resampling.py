"""Sample rate conversion, block by block, with exact lengths."""

from __future__ import annotations

import numpy as np
import soxr


def resampled_length(frames: int, rate_in: int, rate_out: int) -> int:
    """Length in frames after resampling: ceil(frames * rate_out / rate_in).

    Since it is rounded up, converting back gives at least the original length.
    """
    return -(-frames * rate_out // rate_in)


class StreamResampler:
    """Converts a stream of blocks from one sample rate to another.

    The output has no delay, its total length is given by `resampled_length`, and it does not depend on the
    division into blocks. With equal rates blocks are passed through unchanged.

    Args:
        rate_in: sample rate of the input in Hz.
        rate_out: sample rate of the output in Hz.
        channels: number of channels.
        quality: quality of soxr, "VHQ" (28 bits) or "HQ" (20 bits).
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
        """Resample the next block. # (n, channels) -> (m, channels)

        Args:
            block: frames of the input; may be empty.
            last: whether this is the last block; returns all remaining frames.
        """
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise ValueError(f"a block must be (frames, {self.channels}), not {block.shape}")
        if self._stream is None:
            return block
        self._frames_in += len(block)
        output: np.ndarray = self._stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
        if last:
            # soxr rounds the length to nearest, so zeros are appended to get the frame that rounding up adds.
            zeros = np.zeros((self.rate_in // self.rate_out + 2, self.channels), np.float32)
            total = resampled_length(self._frames_in, self.rate_in, self.rate_out)
            output = np.concatenate([output, self._stream.resample_chunk(zeros, last=True)])
            output = output[: total - self._frames_out]
        self._frames_out += len(output)
        return output


def resample(audio: np.ndarray, rate_in: int, rate_out: int, quality: str = "VHQ") -> np.ndarray:
    """Resample a whole signal, with the same result as `StreamResampler`. # (n,) or (n, channels)"""
    frames = audio if audio.ndim == 2 else audio[:, None]
    output = StreamResampler(rate_in, rate_out, frames.shape[1], quality).process(frames, last=True)
    return output if audio.ndim == 2 else output[:, 0]
