"""Weight normalisation (Salimans and Kingma 2016), during training only."""

from __future__ import annotations

import torch
from torch import nn

from ..model.codec_model import CodecModel


def add_weight_norm(model: nn.Module) -> None:
    """Normalise the weights of every convolution and linear layer, as DAC does (its codebooks' too)."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            nn.utils.parametrizations.weight_norm(module)


def without_weight_norm(model: CodecModel) -> CodecModel:
    """The same model with plain weights, which share memory with the given one where they can."""
    # Removing the parametrisations from a deep copy would not do: copies share the class that
    # holds them, so that the original would lose its weights.
    with torch.device("meta"):
        plain = CodecModel(model.config)
    state = {}
    for name in plain.state_dict():
        path, _, key = name.rpartition(".")
        state[name] = getattr(model.get_submodule(path), key).detach()
    plain.load_state_dict(state, assign=True)
    return plain
