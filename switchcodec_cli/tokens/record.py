"""Tokens as named values: the columns of a row, or the arrays of a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.additions import ADDITIONS_BYTES, decode_additions, encode_additions
from ..bitstream.header import Header, encode_header, read_header
from ..bitstream.intensity import LEVEL_BANDS
from ..errors import BadInputError, UsageError
from .tokens import Tokens

REQUIRED_ARRAYS = ("kinds", "masks", "indices", "levels")
ARRAYS = (*REQUIRED_ARRAYS, "layer_sizes")  # files of earlier versions have no layers
REQUIRED_BINARY = ("header", "additions")
BINARY = (*REQUIRED_BINARY, "layers")


def to_record(tokens: Tokens, path: str) -> dict[str, Any]:
    """The values of a recording.

    `path`, `samples`, `header`, `additions`, the arrays and `layers` hold everything; the others repeat what
    the header says, for queries. `layers` holds the bytes of all waveform layers one after the other, window
    by window, and `layer_sizes` (W, C) their sizes.

    Args:
        tokens: Of the recording.
        path: Its name in the data set, a relative path with slashes.
    """
    header = tokens.header
    return {
        "path": path,
        "seconds": tokens.seconds,
        "samples": tokens.samples,
        "sample_rate": tokens.sample_rate,
        "channels": tokens.channels,
        "channel_coding": header.channel_coding.name.lower(),
        "windows": tokens.windows,
        "signals": tokens.signals,
        "experts": header.parameters.experts,
        "codebooks": tokens.codebooks,
        "frames": tokens.frames,
        "frames_per_window": header.parameters.frames_per_window,
        "frame_rate": tokens.frame_rate,
        "vocabulary_size": tokens.vocabulary_size,
        "rate_mode": tokens.rate_mode.name.lower(),
        "nominal_bits_per_second": header.nominal_bits_per_second,
        "fingerprint": tokens.fingerprint.hex(),
        "tags": [{"key": key, "value": value} for key, value in tokens.tags],
        "header": encode_header(header),
        "additions": encode_additions(tokens.source, tokens.request),
        "kinds": tokens.kinds,
        "masks": tokens.masks,
        "indices": tokens.indices,
        "levels": tokens.levels,
        "layer_sizes": _layer_sizes(tokens),
        "layers": b"".join(tokens.layers.flat),
    }


def from_record(record: Mapping[str, Any]) -> Tokens:
    """The tokens of a recording.

    Args:
        record: Values as `to_record` returns them, or as they are read from a file: arrays may be flat, and
            may be lists. Without `layers`, no block has a waveform layer.

    Raises:
        BadInputError: The values are not those of tokens.
    """
    missing = [name for name in ("samples", *REQUIRED_BINARY, *REQUIRED_ARRAYS) if name not in record]
    if missing:
        raise BadInputError(f"these are no tokens: {', '.join(missing)} missing")
    try:
        header = read_header(io.BytesIO(bytes(record["header"])).read)
        additions = bytes(record["additions"])
        if len(additions) != ADDITIONS_BYTES:
            raise BadInputError(f"additions must have {ADDITIONS_BYTES} bytes, not {len(additions)}")
        source, request = decode_additions(additions)
        samples = int(record["samples"])
        header.check_total(samples)
        arrays = _shaped_arrays(record, header, samples)
        layers = _layers(record, arrays["kinds"].shape)
        return Tokens(header, samples, **arrays, source=source, request=request, layers=layers)
    except (UsageError, ValueError, TypeError) as error:
        raise BadInputError(f"these are no tokens: {error}") from None


def path_of(record: Mapping[str, Any]) -> str:
    """The name of a recording in its data set, a relative path that leads to no other folder.

    Raises:
        BadInputError: There is none, or it is not such a path.
    """
    path = str(record["path"]) if "path" in record else ""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise BadInputError(f"the path of a recording must be relative, without '..', not {path!r}")
    return path


def _layer_sizes(tokens: Tokens) -> npt.NDArray[np.uint16]:
    """Sizes of the waveform layers. # (W, C)"""
    sizes = np.array([len(layer) for layer in tokens.layers.flat], np.uint16)
    return sizes.reshape(tokens.layers.shape)


def _layers(record: Mapping[str, Any], shape: tuple[int, ...]) -> npt.NDArray[np.object_]:
    """The waveform layers of all blocks, none if the record has none. Raises ValueError."""
    layers = np.full(shape, b"", object)
    if record.get("layers") is None:
        return layers
    if record.get("layer_sizes") is None:
        raise ValueError("the sizes of the waveform layers are missing")
    data, at = bytes(record["layers"]), 0
    sizes = np.asarray(record["layer_sizes"]).reshape(shape).astype(np.int64)
    if sizes.min(initial=0) < 0 or sizes.sum() != len(data):
        raise ValueError(f"the sizes of the waveform layers do not add up to {len(data)} bytes")
    for place, size in np.ndenumerate(sizes):
        layers[place] = data[at : at + size]
        at += int(size)
    return layers


def _shaped_arrays(record: Mapping[str, Any], header: Header, samples: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays in their shapes. Raises ValueError."""
    parameters = header.parameters
    blocks = (parameters.windows_in(header.frames_in(samples)), header.signals)
    codebooks = (1 + parameters.experts, parameters.codebooks_per_quantizer, parameters.frames_per_window)
    shapes = {
        "kinds": (*blocks, 1),
        "masks": (*blocks, parameters.experts),
        "indices": (*blocks, *codebooks),
        "levels": (*blocks, LEVEL_BANDS),
    }
    arrays = {}
    for name, shape in shapes.items():
        array = np.asarray(record[name])
        if array.size == 0:  # lists without values have no type
            array = array.astype(bool if name == "masks" else np.int32)
        arrays[name] = array.reshape(shape)
    arrays["kinds"] = arrays["kinds"][..., 0]
    return arrays
