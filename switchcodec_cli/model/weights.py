"""Weights files: safetensors with the configuration and the provenance in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..atomic_io import atomic_output
from ..errors import WeightsError
from .codec_model import CodecModel
from .config import ModelConfig
from .weights_registry import FORMAT


def fingerprint(config: str, tensors: Mapping[str, Tensor]) -> bytes:
    """First 16 bytes of a SHA-256 over the configuration and every tensor, both as they are in the file.

    The configuration goes in as its text, so that a field added in a later version leaves it as it was.
    """
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.digest()[:16]


def save_weights(path: Path, model: CodecModel, provenance: Mapping[str, Any]) -> bytes:
    """Write a model's tensors in half precision; returns their fingerprint."""
    tensors = {
        name.removeprefix("backbone."): value.detach().cpu().half().contiguous()
        for name, value in model.state_dict().items()
    }
    config = json.dumps(model.config.to_dict(), sort_keys=True)
    metadata = {
        "format": FORMAT,
        "config": config,
        "provenance": json.dumps(dict(provenance), sort_keys=True),
    }
    with atomic_output(path, force=True) as file:
        file.write(save(tensors, metadata=metadata))
    return fingerprint(config, tensors)


def read_metadata(path: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Configuration and provenance of a weights file. Raises WeightsError."""
    return _parse_metadata(path, _read_metadata(path))


def _read_metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None


def _parse_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[ModelConfig, dict[str, Any]]:
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path}: not SwitchCodec weights (format {metadata.get('format')!r})")
    try:
        config = ModelConfig.from_dict(json.loads(metadata["config"]))
        provenance = json.loads(metadata.get("provenance", "{}"))
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged metadata ({error})") from None
    if not isinstance(provenance, dict):
        raise WeightsError(f"{path}: damaged metadata (the provenance is not a table)")
    return config, provenance


def load_weights(path: Path) -> tuple[CodecModel, bytes, dict[str, Any]]:
    """Build the model a weights file describes: the model in float32, its fingerprint, its provenance.

    Raises WeightsError where the file is unreadable or its tensors are not exactly the model's.
    """
    metadata = _read_metadata(path)
    config, provenance = _parse_metadata(path, metadata)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    with torch.device("meta"):
        model = CodecModel(config)
    expected = {name.removeprefix("backbone."): value for name, value in model.state_dict().items()}
    if missing := sorted(expected.keys() - tensors.keys()):
        raise WeightsError(f"{path}: tensor {missing[0]} is missing ({len(missing)} in all)")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise WeightsError(f"{path}: unknown tensor {unknown[0]} ({len(unknown)} in all)")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            )
        if not tensor.is_floating_point():
            raise WeightsError(f"{path}: {name} holds {str(tensor.dtype)[6:]}, not floating point numbers")
        if not tensor.isfinite().all():
            raise WeightsError(f"{path}: {name} holds values that are not finite")
    model = model.to_empty(device="cpu")
    model.reset_buffers()
    model.load_state_dict(
        {name: tensors[name.removeprefix("backbone.")].float() for name in model.state_dict()}
    )
    return model.eval(), fingerprint(metadata["config"], tensors), provenance
