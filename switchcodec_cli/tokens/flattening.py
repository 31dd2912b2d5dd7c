"""Tokens as sequences for language models, and back.

Both forms begin a window with special tokens: its length, and for each signal the kind of its block, then
the experts of a coded block or the levels of intensity stereo. Numbers of experts may thus change from window
to window. Neither form holds waveform layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..bitstream import LEVEL_BANDS, LEVEL_BITS, BlockKind, Header, StreamParameters
from ..errors import UsageError
from .arrays import CODED, INTENSITY, KINDS, BlockArrays
from .tokens import Tokens

Sequence = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of the tokens in a sequence.

    First the indices: that of codeword i in codebook s of quantizer q has the number (q S + s) K + i, where
    quantizer 0 is the shared one and 1 + e is expert e. Then the special tokens in the order of the methods.

    Attributes:
        parameters: Of the stream.
    """

    parameters: StreamParameters

    @property
    def indices(self) -> int:
        """Number of tokens that are indices: (1 + Nr) S K."""
        parameters = self.parameters
        return (1 + parameters.experts) * parameters.codebooks_per_quantizer * parameters.codebook_size

    def window(self, frames: int) -> int:
        """The token that begins a window of 1 to F frames."""
        return self.indices + frames - 1

    def kind(self, kind: BlockKind) -> int:
        """The token that begins a block of this kind."""
        return self._kinds + KINDS.index(kind)

    def expert(self, expert: int) -> int:
        """The token of an expert in the mask of a block."""
        return self._experts + expert

    def level(self, level: int) -> int:
        """The token of a level of intensity stereo."""
        return self._levels + level

    @property
    def pad(self) -> int:
        """The token that stands where nothing else does."""
        return self._levels + (1 << LEVEL_BITS)

    @property
    def size(self) -> int:
        """Number of all tokens."""
        return self.pad + 1

    @property
    def _kinds(self) -> int:
        return self.indices + self.parameters.frames_per_window

    @property
    def _experts(self) -> int:
        return self._kinds + len(KINDS)

    @property
    def _levels(self) -> int:
        return self._experts + self.parameters.experts

    def offsets(self, experts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The tokens of index 0 in the codebooks of a block with these experts. # (1 + k, S)"""
        parameters = self.parameters
        quantizers = np.concatenate([[0], 1 + experts])
        codebooks = np.arange(parameters.codebooks_per_quantizer)
        offsets: npt.NDArray[np.int64] = (
            quantizers[:, None] * parameters.codebooks_per_quantizer + codebooks
        ) * parameters.codebook_size
        return offsets


def to_sequence(tokens: Tokens) -> Sequence:
    """One sequence: for each window its special tokens, then frame by frame the indices of all codebooks.

    The indices of a frame are ordered by signal, then by quantizer, then by codebook.

    Returns:
        Numbers of tokens, see `Vocabulary`. # (n,)
    """
    vocabulary = Vocabulary(tokens.header.parameters)
    parts: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for start, indices in _windows(tokens, vocabulary):
        parts += [np.array(start), np.concatenate(indices).T.ravel()]
    return np.concatenate(parts).astype(np.int32)


def from_sequence(sequence: npt.ArrayLike, like: Tokens) -> Tokens:
    """The inverse of `to_sequence`.

    Args:
        sequence: Numbers of tokens. # (n,)
        like: Tokens of the same model and the same signals, from which all else but waveform layers is
            taken. If the number of frames differs, the recording gets as many samples as its frames hold, and
            no digest of a source.

    Raises:
        UsageError: The sequence is not that of tokens.
    """
    array = _integers(sequence, 1)
    parser = _Parser(like.header, array)
    windows: list[_ParsedWindow] = []
    while parser.at < len(array):
        start = parser.start()
        offsets = np.concatenate([np.zeros(0, np.int64), *(each.ravel() for each in start.offsets)])
        count = start.frames * len(offsets)
        body = array[parser.at : parser.at + count]
        if len(body) < count:
            raise UsageError(f"the sequence ends within window {len(windows)}")
        windows.append((start, parser.checked(body.reshape(start.frames, -1).T, offsets)))
        parser.at += count
    return _assembled(windows, like)


def to_delay_pattern(tokens: Tokens, experts: int | None = None) -> Sequence:
    """The delay pattern of Copet et al. 2023, "Simple and Controllable Music Generation", section 2.2.

    Row q holds one codebook: rows are ordered by signal, then by place in the mask (the shared quantizer
    first), then by codebook. It is delayed by q steps. Special tokens at the start of a window fill whole
    steps from the first row down, before the delay. Rows of experts that a window does not have, and the
    rest of a step, hold `Vocabulary.pad`.

    Args:
        tokens: What to arrange.
        experts: Largest number of experts of a block; determines the number of rows. By default, the largest
            one that the header allows.

    Returns:
        Numbers of tokens. # (C (1 + experts) S, steps)

    Raises:
        UsageError: A block has more experts.
    """
    header = tokens.header
    vocabulary = Vocabulary(header.parameters)
    experts = _most_experts(header) if experts is None else experts
    if tokens.masks.sum(2).max(initial=0) > experts:
        raise UsageError(f"a block has {tokens.masks.sum(2).max()} experts, more than {experts}")
    height = (1 + experts) * tokens.codebooks
    rows = header.signals * height
    columns = [np.zeros((0, rows), np.int64)]
    for start, indices in _windows(tokens, vocabulary):
        heads = np.full(-(-len(start) // rows) * rows, vocabulary.pad)
        heads[: len(start)] = start
        body = np.full((indices[0].shape[1], rows), vocabulary.pad)
        for signal, codebooks in enumerate(indices):
            body[:, signal * height : signal * height + len(codebooks)] = codebooks.T
        columns += [heads.reshape(-1, rows), body]
    grid = np.concatenate(columns)
    pattern = np.full((rows, len(grid) + rows - 1), vocabulary.pad, np.int32)
    for row in range(rows):
        pattern[row, row : row + len(grid)] = grid[:, row]
    return pattern


def from_delay_pattern(pattern: npt.ArrayLike, like: Tokens) -> Tokens:
    """The inverse of `to_delay_pattern`.

    Args:
        pattern: Numbers of tokens. # (rows, steps)
        like: See `from_sequence`.

    Raises:
        UsageError: The pattern is not that of tokens.
    """
    array = _integers(pattern, 2)
    rows, steps = array.shape
    signals, codebooks = like.signals, like.codebooks
    length = steps - rows + 1
    if rows == 0 or rows % (signals * codebooks) or length < 0:
        raise UsageError(f"a delay pattern of this model cannot have the shape {array.shape}")
    pad = Vocabulary(like.header.parameters).pad
    step = np.arange(steps) - np.arange(rows)[:, None]
    if (array[(step < 0) | (step >= length)] != pad).any():
        raise UsageError("the delay pattern has tokens outside of the steps of their row")
    grid = array[(step >= 0) & (step < length)].reshape(rows, length).T
    parser, height = _Parser(like.header, grid.ravel()), rows // signals
    windows: list[_ParsedWindow] = []
    while parser.at < grid.size:
        start = parser.start()
        parser.skip_pads(-parser.at % rows)
        first = parser.at // rows
        body = grid[first : first + start.frames]
        if len(body) < start.frames:
            raise UsageError(f"the delay pattern ends within window {len(windows)}")
        offsets = np.full((signals, height), -1)
        for signal, used in enumerate(start.offsets):
            if used.size > height:
                raise UsageError(f"window {len(windows)} has more experts than the delay pattern has rows")
            offsets[signal, : used.size] = used.ravel()
        is_used = offsets.ravel() >= 0
        if (body[:, ~is_used] != pad).any():
            raise UsageError(f"window {len(windows)} has indices of experts that are not in its masks")
        windows.append((start, parser.checked(body[:, is_used].T, offsets.ravel()[is_used])))
        parser.at += start.frames * rows
    return _assembled(windows, like)


def _most_experts(header: Header) -> int:
    """The largest number of experts of a block that the rate mode allows."""
    if header.experts_total is None:
        return header.parameters.experts
    return min(header.parameters.experts, header.experts_total + header.signals - 1)


def _windows(
    tokens: Tokens, vocabulary: Vocabulary
) -> Iterator[tuple[list[int], list[npt.NDArray[np.int64]]]]:
    """For each window its special tokens, and for each signal the tokens of its indices (rows, frames)."""
    for number in range(tokens.windows):
        frames = tokens.last_frames if number == tokens.windows - 1 else tokens.indices.shape[-1]
        start, indices = [vocabulary.window(frames)], []
        for signal in range(tokens.signals):
            kind = KINDS[tokens.kinds[number, signal]]
            experts = np.flatnonzero(tokens.masks[number, signal])
            start.append(vocabulary.kind(kind))
            start += [vocabulary.expert(int(expert)) for expert in experts]
            if kind is BlockKind.INTENSITY:
                start += [vocabulary.level(int(level)) for level in tokens.levels[number, signal]]
            if kind is BlockKind.CODED:
                rows = np.concatenate([[0], 1 + experts])
                values = (
                    tokens.indices[number, signal, rows, :, :frames] + vocabulary.offsets(experts)[..., None]
                )
                indices.append(values.reshape(-1, frames))
            else:
                indices.append(np.zeros((0, frames), np.int64))
        yield start, indices


@dataclass(frozen=True)
class _WindowStart:
    """What the special tokens of a window say."""

    frames: int
    kinds: list[int]  # of each signal
    experts: list[npt.NDArray[np.int64]]
    levels: list[list[int]]
    offsets: list[npt.NDArray[np.int64]]  # of each signal; without rows if it is not coded, (1 + k, S)


_ParsedWindow = tuple[_WindowStart, npt.NDArray[np.int64]]
"""A window and its indices. # (rows of all signals, frames)"""


class _Parser:
    """Reads special tokens from a sequence; `at` is the position of the next one."""

    def __init__(self, header: Header, sequence: npt.NDArray[np.int64]) -> None:
        self._header, self._sequence = header, sequence
        self._vocabulary = Vocabulary(header.parameters)
        self.at = 0

    def start(self) -> _WindowStart:
        """Read the start of a window."""
        vocabulary, parameters = self._vocabulary, self._header.parameters
        frames = 1 + self._take(vocabulary.window(1), parameters.frames_per_window, "the start of a window")
        start = _WindowStart(frames, [], [], [], [])
        for _ in range(self._header.signals):
            kind = self._take(vocabulary.kind(KINDS[0]), len(KINDS), "the kind of a block")
            experts: list[int] = []
            while kind == CODED and self._is_expert():
                experts.append(self._take(vocabulary.expert(0), parameters.experts, "an expert"))
            if experts != sorted(set(experts)):
                raise UsageError(f"token {self.at - 1}: the experts of a block must ascend")
            bands = LEVEL_BANDS if kind == INTENSITY else 0
            levels = [self._take(vocabulary.level(0), 1 << LEVEL_BITS, "a level") for _ in range(bands)]
            start.kinds.append(kind)
            start.experts.append(np.array(experts, np.int64))
            start.levels.append(levels)
            none = np.zeros((0, parameters.codebooks_per_quantizer), np.int64)
            start.offsets.append(vocabulary.offsets(start.experts[-1]) if kind == CODED else none)
        return start

    def skip_pads(self, count: int) -> None:
        """Skip so many tokens, which must be padding."""
        for _ in range(count):
            self._take(self._vocabulary.pad, 1, "padding")

    def checked(self, values: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Indices of tokens (rows, frames), given the tokens of index 0 in each row."""
        indices = values - offsets[:, None]
        wrong = (indices < 0) | (indices >= self._header.parameters.codebook_size)
        if wrong.any():
            row, frame = np.argwhere(wrong)[0]
            raise UsageError(
                f"token {values[row, frame]} is not an index of the codebook whose turn it is, "
                f"in frame {frame} of the window after token {self.at - 1}"
            )
        return indices

    def _is_expert(self) -> bool:
        first = self._vocabulary.expert(0)
        at_end = self.at >= len(self._sequence)
        return not at_end and 0 <= self._sequence[self.at] - first < self._header.parameters.experts

    def _take(self, first: int, count: int, what: str) -> int:
        """The next token, which must be one of `count` from `first` on; relative to that."""
        if self.at >= len(self._sequence):
            raise UsageError(f"the sequence ends where {what} is expected")
        value = int(self._sequence[self.at]) - first
        if not 0 <= value < count:
            raise UsageError(f"token {self.at} is {self._sequence[self.at]}, where {what} is expected")
        self.at += 1
        return value


def _integers(values: npt.ArrayLike, dimensions: int) -> npt.NDArray[np.int64]:
    """An array of integers. Raises UsageError."""
    array = np.asarray(values)
    if array.ndim != dimensions or (array.size and array.dtype.kind not in "iu"):
        raise UsageError(f"numbers of tokens must be an array of integers of {dimensions} dimension(s)")
    return array.astype(np.int64)


def _assembled(windows: list[_ParsedWindow], like: Tokens) -> Tokens:
    """Tokens of these windows."""
    header = replace(like.header, waveform_layers=False)
    parameters = header.parameters
    arrays = BlockArrays.unsent(parameters, header.signals, len(windows))
    for number, (start, indices) in enumerate(windows):
        if start.frames < parameters.frames_per_window and number < len(windows) - 1:
            raise UsageError(f"window {number} has {start.frames} frames; only the last may be short")
        first = 0
        for signal, (kind, experts) in enumerate(zip(start.kinds, start.experts, strict=True)):
            arrays.kinds[number, signal] = kind
            arrays.masks[number, signal, experts] = True
            if kind == INTENSITY:
                arrays.levels[number, signal] = start.levels[signal]
            if kind == CODED:
                count = (1 + len(experts)) * like.codebooks
                values = indices[first : first + count].reshape(1 + len(experts), like.codebooks, -1)
                arrays.indices[number, signal, [0, *(1 + experts)], :, : start.frames] = values
                first += count
    frames = (len(windows) - 1) * parameters.frames_per_window + windows[-1][0].frames if windows else 0
    if frames == like.frames:
        return Tokens.from_arrays(header, like.samples, arrays, like.source, like.request)
    samples = frames * parameters.hop * header.original_rate // parameters.sample_rate
    total = None if header.total_samples is None else samples
    return Tokens.from_arrays(replace(header, total_samples=total), samples, arrays, None, like.request)
