"""Saving and loading the weights of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from ..atomic_io import atomic_output
from ..errors import WeightsError, one_line
from .codec_model import CodecModel
from .eight_bit_storage import to_eight_bits
from .weights_info import (
    INDEX_MODEL_PREFIX,
    WAVEFORM_MODEL_PREFIX,
    WeightsFile,
    encode_metadata,
    fingerprint,
    read_weights,
)

# Weights files do not contain this prefix of the names in the state dict.
_BACKBONE_PREFIX = "backbone."


class LoadedWeights(NamedTuple):
    """A model built from a weights file."""

    model: CodecModel
    """In float32 and evaluation mode, on the CPU."""
    fingerprint: bytes
    provenance: dict[str, Any]


def save_weights(
    path: Path, model: CodecModel, provenance: Mapping[str, Any], eight_bits: Collection[str] = ()
) -> bytes:
    """Write the weights of a model in half precision, and its models of indices and waveforms.

    An existing file is replaced.

    Args:
        path: Of the file.
        model: The model.
        provenance: Of the weights.
        eight_bits: Prefixes of the names of tensors whose large matrices are stored in eight bits.

    Returns:
        The fingerprint of the weights.
    """
    state = {
        name: value.detach().cpu().contiguous() for name, value in to_file_names(model.state_dict()).items()
    }
    # in eight bits from full precision, so that saving what was loaded gives the same tensors
    stored = to_eight_bits({name: value.float().numpy() for name, value in state.items()}, eight_bits)
    tensors = {
        name: array.astype(np.float16) if name in state and array.dtype == np.float32 else array
        for name, array in stored.items()
    }
    if model.index_tensors is not None:
        arrays = model.index_tensors.arrays
        tensors |= {INDEX_MODEL_PREFIX + name: array for name, array in arrays.items()}
    if model.waveform_tensors is not None:
        arrays = model.waveform_tensors.arrays
        tensors |= {WAVEFORM_MODEL_PREFIX + name: array for name, array in arrays.items()}
    metadata = encode_metadata(model.config, provenance)
    with atomic_output(path, force=True) as file:
        file.write(save(tensors, metadata=metadata))
    return fingerprint(metadata, tensors)


def load_weights(path: Path) -> LoadedWeights:
    """Build a model from a weights file.

    Raises:
        WeightsError: the file is unreadable, its tensors do not match the model of its configuration, or the
            model cannot be built from them.
    """
    stored = read_weights(path)
    try:
        model = _build(path, stored)
        silence = model.silence_latent()
    except (MemoryError, NotImplementedError, OverflowError, RuntimeError, ValueError) as error:
        reason = "out of memory" if _is_out_of_memory(error) else one_line(str(error)) or type(error).__name__
        raise WeightsError(f"{path}: no model can be built from these weights ({reason})") from None
    if not silence.isfinite().all():
        raise WeightsError(
            f"{path}: the encoder of these weights turns silence into values that are not finite"
        )
    return LoadedWeights(model, stored.info.fingerprint, stored.info.provenance)


@torch.inference_mode(False)  # tensors made in that mode could not be used for refinement
def _build(path: Path, stored: WeightsFile) -> CodecModel:
    """The model with the tensors of a file, in evaluation mode."""
    with torch.device("meta"):  # without memory for the tensors, before their shapes are known to be right
        expected = CodecModel(stored.info.config).state_dict()
    _check_tensors(path, stored.tensors, to_file_names(expected))
    model = CodecModel(stored.info.config)
    model.load_state_dict(to_state_dict(stored.tensors, model.state_dict()))
    model.index_tensors = stored.index_model
    model.waveform_tensors = stored.waveform_model
    return model.eval()


def _is_out_of_memory(error: Exception) -> bool:
    # torch's allocator for the CPU raises a RuntimeError
    return isinstance(error, MemoryError) or "alloc" in str(error)


def to_file_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a state dict by their names in a weights file."""
    return {name.removeprefix(_BACKBONE_PREFIX): tensor for name, tensor in state.items()}


def to_state_dict(tensors: Mapping[str, np.ndarray], state_names: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of a weights file as a state dict with the given names, in float32."""
    return {
        name: torch.from_numpy(tensors[name.removeprefix(_BACKBONE_PREFIX)].astype(np.float32))
        for name in state_names
    }


def _check_tensors(path: Path, tensors: Mapping[str, np.ndarray], expected: Mapping[str, Tensor]) -> None:
    """Check that the tensors of a file have the expected names and shapes, and are finite floats."""
    if missing := sorted(expected.keys() - tensors.keys()):
        raise WeightsError(f"{path}: missing tensor {missing[0]} ({len(missing)} in total)")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise WeightsError(f"{path}: unknown tensor {unknown[0]} ({len(unknown)} in total)")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(f"{path}: {name} has shape {tensor.shape}, not {tuple(expected[name].shape)}")
        if not np.issubdtype(tensor.dtype, np.floating):
            raise WeightsError(f"{path}: {name} has type {tensor.dtype}, not a floating-point type")
        with np.errstate(over="ignore"):  # a double beyond the range of float32 becomes infinite
            values = tensor if tensor.dtype.itemsize <= 4 else tensor.astype(np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(f"{path}: {name} contains values that are not finite")
