"""Reading weights files, their metadata and their fingerprint. Does not import torch.

A weights file is a safetensors file. Its metadata holds the model configuration and the provenance as JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from ..bitstream.index_model import IndexModelTensors
from ..bitstream.waveform_model import WaveformModelTensors
from ..errors import WeightsError
from .config import ModelConfig
from .eight_bit_storage import from_eight_bits

FORMAT = "switchcodec-1"  # in the metadata of every weights file
INDEX_MODEL_PREFIX = "index_model."  # of the names of the index model's tensors
WAVEFORM_MODEL_PREFIX = "waveform_model."
FINGERPRINT_BYTES = 16

# What safetensors raises for files that it cannot read, and numpy for data types that it lacks.
_UNREADABLE = (
    OSError,
    SafetensorError,
    TypeError,
    AttributeError,
    ValueError,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True)
class WeightsInfo:
    """Description of a weights file."""

    config: ModelConfig
    provenance: dict[str, Any]
    """Origin of the weights: data, training recipes, commit."""
    fingerprint: bytes
    """Identifies the weights; stored in the header of every stream."""
    parameters: int
    """Number of values, see `count_parameters`."""
    file_bytes: int
    has_index_model: bool
    """Whether the file holds an index model, so that indices can be entropy-coded."""
    has_waveform_model: bool = False
    """Whether the file holds a waveform model, so that blocks can have waveform layers."""


@dataclass(frozen=True)
class WeightsFile:
    """The content of a weights file."""

    info: WeightsInfo
    tensors: dict[str, np.ndarray]
    """Of the networks and the quantizers; those stored in eight bits as float32."""
    index_model: IndexModelTensors | None
    waveform_model: WaveformModelTensors | None


def encode_metadata(config: ModelConfig, provenance: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a weights file."""
    return {
        "format": FORMAT,
        "config": json.dumps(config.to_dict(), sort_keys=True),
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }


def fingerprint(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> bytes:
    """The first 16 bytes of a SHA-256 hash of the configuration and all tensors as stored.

    The configuration is hashed as its JSON text, so that new fields with default values do not change the
    fingerprint of existing files. The provenance is not included.
    """
    digest = hashlib.sha256(metadata["config"].encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} torch.{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.digest()[:FINGERPRINT_BYTES]


class _Shaped(Protocol):
    """An array or a tensor."""

    @property
    def shape(self) -> Sequence[int]: ...


def count_parameters(tensors: Mapping[str, _Shaped]) -> int:
    """Number of values that a weights file stores, codebooks included however they were trained.

    Args:
        tensors: of a weights file, or the state dict of a model.
    """
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def read_weights(path: Path) -> WeightsFile:
    """Read a weights file.

    Raises:
        WeightsError: the file is unreadable, or its metadata is invalid.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsError(f"{path}: not SwitchCodec weights (format {metadata.get('format')!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        file_bytes = path.stat().st_size
    except MemoryError:
        raise WeightsError(f"{path}: out of memory") from None
    except _UNREADABLE as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    config, provenance = _decode_metadata(path, metadata)
    of_file = fingerprint(metadata, tensors)
    of_indices, of_waveforms = (
        {name.removeprefix(prefix): tensors.pop(name) for name in sorted(tensors) if name.startswith(prefix)}
        for prefix in (INDEX_MODEL_PREFIX, WAVEFORM_MODEL_PREFIX)
    )
    try:
        tensors = from_eight_bits(tensors)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from None
    index_model = _index_model(path, config, of_indices) if of_indices else None
    waveform_model = _waveform_model(path, config, of_waveforms) if of_waveforms else None
    info = WeightsInfo(
        config,
        provenance,
        of_file,
        count_parameters(tensors),
        file_bytes,
        has_index_model=bool(of_indices),
        has_waveform_model=bool(of_waveforms),
    )
    return WeightsFile(info, tensors, index_model, waveform_model)


def _index_model(path: Path, config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> IndexModelTensors:
    try:
        tensors = IndexModelTensors.from_arrays(arrays)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    if (tensors.codebooks, tensors.size, tensors.experts) != (*_codebooks(config), config.quantizer.experts):
        raise WeightsError(f"{path}: the index model is not for the quantizers of these weights")
    return tensors


def _waveform_model(
    path: Path, config: ModelConfig, arrays: Mapping[str, np.ndarray]
) -> WaveformModelTensors:
    try:
        tensors = WaveformModelTensors.from_arrays(arrays)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    if (tensors.codebooks, tensors.size) != _codebooks(config) or tensors.bins > config.hop:
        raise WeightsError(
            f"{path}: the waveform model is not for the quantizers and the hop of these weights"
        )
    return tensors


def _codebooks(config: ModelConfig) -> tuple[int, int]:
    """Number and size of all codebooks."""
    quantizer = config.quantizer
    return quantizer.codebooks * (1 + quantizer.experts), quantizer.codebook_size


def _decode_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[ModelConfig, dict[str, Any]]:
    """Configuration and provenance."""
    try:
        config = ModelConfig.from_dict(json.loads(metadata["config"]))
        provenance = json.loads(metadata.get("provenance", "{}"))
    except (KeyError, ValueError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: invalid metadata ({error})") from None
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    if not isinstance(provenance, dict):
        raise WeightsError(f"{path}: invalid metadata (the provenance is not a JSON object)")
    return config, provenance
