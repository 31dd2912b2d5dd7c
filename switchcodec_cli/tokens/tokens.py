"""Tokens of a recording."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..bitstream import (
    LEVEL_BANDS,
    LEVEL_BITS,
    BlockMode,
    EncodingRequest,
    Header,
    RateMode,
    SourceDigest,
    StreamReader,
    StreamWriter,
    TruncatedError,
)
from ..bitstream.index_model import IndexModel
from ..bitstream.parameters import MAX_LAYER_BYTES
from ..bitstream.transcoding import LoadIndexModel, sound_windows, write_windows
from ..errors import BadInputError, UsageError, WeightsError, system_message
from ..model.packaged_index_model import IndexModels
from ..storage import storage_of
from .arrays import (
    CODED,
    FILL,
    INTENSITY,
    KINDS,
    BlockArrays,
    arrays_to_windows,
    sent_indices,
    windows_to_arrays,
)

_DTYPES = {"kinds": np.uint8, "masks": np.bool_, "indices": np.int32, "levels": np.int8}


@dataclass(frozen=True, eq=False)
class Tokens:
    """All that a stream says of a recording: W windows of C coded signals.

    A window has F latent frames, the last one perhaps fewer. The shared quantizer and each of the Nr experts
    have S codebooks.

    Attributes:
        header: The header of the stream and its tags.
        samples: Per channel, at the original sample rate.
        kinds: How each block is coded, as a position in `KINDS`: 0 is coded. # (W, C) uint8
        masks: The experts of each block; none unless it is coded. # (W, C, Nr) bool
        indices: Of codewords, those of the shared quantizer first; FILL (-1) where none is sent: for blocks
            that are not coded, experts outside the mask, and frames after the end.
            # (W, C, 1 + Nr, S, F) int32
        levels: Of intensity stereo; FILL in other blocks. # (W, C, bands) int8
        source: Digest of the recording, None if unknown.
        request: What the encoder was asked for, None if unknown.
        layers: Waveform layers of the blocks as they are stored, b"" where there is none. If the array is
            empty, no block has one. # (W, C) bytes

    Raises:
        UsageError: The arrays contradict each other or the header.
    """

    header: Header
    samples: int
    kinds: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    indices: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int8]
    source: SourceDigest | None = None
    request: EncodingRequest | None = None
    layers: npt.NDArray[np.object_] = field(default_factory=lambda: np.zeros((0, 0), object))

    def __post_init__(self) -> None:
        if not self.layers.size:
            object.__setattr__(self, "layers", np.full((self.windows, self.signals), b"", object))
        self.header.check_total(self.samples)
        if self.header.total_samples not in (None, self.samples):
            raise UsageError(f"the header says {self.header.total_samples} samples, not {self.samples}")
        self._check_arrays()
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, getattr(self, name).astype(dtype, copy=False))
        self._check_sent()
        self._check_layers()
        self._check_modes()

    @classmethod
    def from_stream(
        cls,
        stream: bytes | str | os.PathLike[str] | BinaryIO,
        index_model: IndexModel | LoadIndexModel | None = None,
    ) -> Tokens:
        """The tokens in a stream; needs no torch, and of the weights only the index model.

        Args:
            stream: The bytes of a `.swc` file, its path, or a binary file, which may be a pipe.
            index_model: Of the weights, if the stream is entropy-coded, or a function that reads it for a
                header, such as `model.packaged_index_model.IndexModels`. None for that of the packaged
                weights that the stream was made with.

        Raises:
            BadInputError: The stream cannot be read, or is malformed, damaged or truncated.
            WeightsError: There is no index model for the stream.
        """
        with _opened(stream) as file:
            reader = StreamReader(file)
            windows = list(sound_windows(reader, _lazy_index_model(reader.header, index_model), None))
        header, trailer = reader.header, reader.trailer
        if trailer is None:
            raise TruncatedError("the stream is truncated: it has no trailer")
        arrays = windows_to_arrays(header.parameters, header.signals, windows)
        return cls.from_arrays(header, trailer.total_samples, arrays, trailer.source, trailer.request)

    @classmethod
    def from_arrays(
        cls,
        header: Header,
        samples: int,
        arrays: BlockArrays,
        source: SourceDigest | None = None,
        request: EncodingRequest | None = None,
    ) -> Tokens:
        """Tokens with these blocks; see the attributes of the class."""
        blocks = (arrays.kinds, arrays.masks, arrays.indices, arrays.levels)
        return cls(header, samples, *blocks, source, request, arrays.layers)

    def to_stream(
        self, index_model: IndexModel | LoadIndexModel | None = None, *, plain: bool = False
    ) -> bytes:
        """The bytes of a `.swc` file; those that `swc encode` wrote if the tokens are from its output.

        Args:
            index_model: See `from_stream`; needed if the header says that the stream is entropy-coded.
            plain: Write plain indices whatever the header says, which needs no index model.

        Raises:
            WeightsError: There is no index model for the stream.
        """
        file, header = io.BytesIO(), self.header
        if plain:  # waveform layers need entropy-coded packets
            header = replace(header, entropy_coded=header.waveform_layers)
        writer = StreamWriter(file, header, self.request)
        windows = arrays_to_windows(self.arrays, self.last_frames)
        modelled = header.entropy_coded and not plain
        write_windows(writer, windows, _lazy_index_model(header, index_model) if modelled else None)
        writer.close(self.samples, self.source)
        return file.getvalue()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokens):
            return NotImplemented
        pairs = [(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    @property
    def arrays(self) -> BlockArrays:
        """The blocks."""
        return BlockArrays(self.kinds, self.masks, self.indices, self.levels, self.layers)

    @property
    def mono(self) -> npt.NDArray[np.int32]:
        """The indices of one signal with k experts in every coded window. # ((k + 1) * S, frames)

        The S codebooks of the shared quantizer come first, then those of the experts in ascending order;
        which experts these are varies from window to window. Frames of silent windows hold FILL.

        Raises:
            UsageError: There are two signals, or the number of experts varies.
        """
        if self.signals != 1:
            raise UsageError("two signals are coded, so there is no mono view; see `indices`")
        coded = self.kinds[:, 0] == CODED
        counts = np.unique(self.masks[coded, 0].sum(1))
        if len(counts) > 1:
            raise UsageError(
                f"the windows have {counts[0]} to {counts[-1]} experts, and a mono view needs the same "
                "number in all; see `indices`"
            )
        k = int(counts[0]) if len(counts) else self.header.experts_total or 0
        rows = np.zeros((len(coded), 1 + k), np.int64)  # in silent windows, any row holds FILL
        rows[coded, 1:] = 1 + np.nonzero(self.masks[coded, 0])[1].reshape(coded.sum(), k)
        chosen = np.take_along_axis(self.indices[:, 0], rows[:, :, None, None], 1)  # (W, 1 + k, S, F)
        joined = chosen.transpose(1, 2, 0, 3).reshape((1 + k) * self.codebooks, -1)
        return np.ascontiguousarray(joined[:, : self.frames])

    # What the header says

    @property
    def windows(self) -> int:
        """Number of windows, W."""
        return self.header.parameters.windows_in(self.frames)

    @property
    def signals(self) -> int:
        """Number of coded signals, C."""
        return self.header.signals

    @property
    def frames(self) -> int:
        """Latent frames of all windows."""
        return self.header.frames_in(self.samples)

    @property
    def last_frames(self) -> int:
        """Latent frames of the last window; 0 if there is none."""
        return self.header.parameters.last_frames_of(self.frames)

    @property
    def codebooks(self) -> int:
        """Codebooks of a quantizer, S."""
        return self.header.parameters.codebooks_per_quantizer

    @property
    def vocabulary_size(self) -> int:
        """Codewords of a codebook; indices are below it."""
        return self.header.parameters.codebook_size

    @property
    def frame_rate(self) -> float:
        """Latent frames in a second."""
        return self.header.parameters.sample_rate / self.header.parameters.hop

    @property
    def sample_rate(self) -> int:
        """Original sample rate in Hz."""
        return self.header.original_rate

    @property
    def channels(self) -> int:
        """Channels of the recording."""
        return self.header.channels

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.header.original_rate

    @property
    def rate_mode(self) -> RateMode:
        """How the number of experts was chosen."""
        return self.header.rate_mode

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Pairs of key and value."""
        return self.header.tags

    @property
    def fingerprint(self) -> bytes:
        """Of the weights, 16 bytes."""
        return self.header.fingerprint

    # Checks

    def _check_arrays(self) -> None:
        """Check shapes, types and ranges of the arrays."""
        parameters = self.header.parameters
        blocks = (self.windows, self.signals)
        codebooks = (1 + parameters.experts, self.codebooks, parameters.frames_per_window)
        _check_array("kinds", self.kinds, blocks, 0, len(KINDS) - 1)
        _check_array("masks", self.masks, (*blocks, parameters.experts), 0, 1)
        _check_array("indices", self.indices, (*blocks, *codebooks), FILL, self.vocabulary_size - 1)
        _check_array("levels", self.levels, (*blocks, LEVEL_BANDS), FILL, (1 << LEVEL_BITS) - 1)

    def _check_sent(self) -> None:
        """Check that exactly what is sent has values."""
        if (self.masks & (self.kinds != CODED)[..., None]).any():
            raise UsageError("only coded blocks have experts")
        if ((self.levels != FILL) != (self.kinds == INTENSITY)[..., None]).any():
            raise UsageError(f"exactly the blocks of intensity stereo have levels, the others {FILL}")
        wrong = (self.indices != FILL) != sent_indices(self.arrays, self.last_frames)
        if wrong.any():
            place = tuple(np.argwhere(wrong)[0].tolist())
            problem = "is missing" if self.indices[place] == FILL else "is not sent"
            window, signal, quantizer, _, frame = place
            where = f"window {window}, signal {signal}, quantizer {quantizer}"
            raise UsageError(f"{where}: the index of frame {frame} {problem}")

    def _check_layers(self) -> None:
        """Check that layers are bytes of coded blocks, in a stream that may have them."""
        if self.layers.shape != self.kinds.shape:
            raise UsageError(f"layers must have the shape {self.kinds.shape}, not {self.layers.shape}")
        if not all(isinstance(layer, bytes) for layer in self.layers.flat):
            raise UsageError("layers must be bytes")
        sizes = np.array([len(layer) for layer in self.layers.flat], np.int64).reshape(self.layers.shape)
        if sizes.max(initial=0) > MAX_LAYER_BYTES:
            raise UsageError(f"a waveform layer has at most {MAX_LAYER_BYTES} bytes, not {sizes.max()}")
        if sizes.any() and not self.header.waveform_layers:
            raise UsageError("the header does not announce waveform layers")
        if sizes[self.kinds != CODED].any():
            raise UsageError("only coded blocks have waveform layers")

    def _check_modes(self) -> None:
        """Check that the stream may have the kinds and numbers of experts of each window."""
        counts = self.masks.sum(2)
        both = np.concatenate([self.kinds, counts], 1)  # (W, 2 C)
        for row, window in zip(*np.unique(both, axis=0, return_index=True), strict=True):
            numbers = zip(row[: self.signals], row[self.signals :], strict=True)
            modes = tuple(BlockMode(KINDS[kind], int(count)) for kind, count in numbers)
            error = self.header.parameters.mode_error(modes)
            if error is None and not self.header.modes_allowed(modes):
                error = f"breaks the constant rate of {self.header.experts_total} experts per window"
            if error is not None:
                raise UsageError(f"window {window} ({', '.join(map(str, modes))}): {error}")


def _check_array(name: str, array: Any, shape: tuple[int, ...], low: int, high: int) -> None:
    """Check an array of integers or, from 0 to 1, booleans. Raises UsageError."""
    allowed = "b" if _DTYPES[name] is np.bool_ else "iu"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in allowed:
        raise UsageError(f"{name} must be an array of type {np.dtype(_DTYPES[name]).name}")
    if array.shape != shape:
        raise UsageError(f"{name} must have the shape {shape}, not {array.shape}")
    if array.size and not low <= array.min() <= array.max() <= high:
        raise UsageError(f"{name} must be {low} to {high}")


_PACKAGED = IndexModels()


def _lazy_index_model(header: Header, given: IndexModel | LoadIndexModel | None) -> Callable[[], IndexModel]:
    """A function that gives the index model of a stream, and raises WeightsError if there is none."""

    @cache
    def load() -> IndexModel:
        try:
            model = given if isinstance(given, IndexModel) else (given or _PACKAGED)(header)
        except WeightsError as error:
            raise WeightsError(f"the index model of an entropy-coded stream is missing: {error}") from None
        tensors, parameters = model.tensors, header.parameters
        quantizers = 1 + parameters.experts
        found = (tensors.codebooks, tensors.size, tensors.experts)
        expected = (quantizers * parameters.codebooks_per_quantizer, parameters.codebook_size)
        if found != (*expected, parameters.experts):
            raise WeightsError("the index model is of other weights than the stream")
        return model

    return load


@contextmanager
def _opened(stream: bytes | str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """A stream as a binary file."""
    if isinstance(stream, bytes | bytearray | memoryview):
        yield io.BytesIO(stream)
    elif isinstance(stream, str | os.PathLike):
        try:
            file = storage_of(os.fspath(stream)).open(os.fspath(stream))
        except OSError as error:
            raise BadInputError(f"{os.fspath(stream)}: cannot read: {system_message(error)}") from None
        with file:
            yield file
    else:
        yield stream
