"""The index model of a stream's weights. Does not import torch."""

from __future__ import annotations

from ..bitstream import Header
from ..bitstream.index_model import Float64Arithmetic, IndexModel
from ..errors import WeightsError
from .weights_info import read_weights
from .weights_registry import find_weights, find_weights_of


def index_model_of(header: Header, weights: str | None = None) -> IndexModel:
    """Read the index model that a stream needs.

    Args:
        header: Of the stream.
        weights: Name or path of the weights; None for the packaged ones that the stream was made with.

    Raises:
        WeightsError: There are no such weights, or they have no index model.
    """
    path = find_weights_of(header.fingerprint) if weights is None else find_weights(weights)
    stored = read_weights(path)
    if stored.info.fingerprint != header.fingerprint:
        raise WeightsError(
            f"the stream was encoded with weights {header.fingerprint.hex()[:12]}, "
            f"but those of {path} are {stored.info.fingerprint.hex()[:12]}"
        )
    if stored.index_model is None:
        raise WeightsError(f"{path}: these weights have no index model, which entropy-coded streams need")
    return IndexModel(stored.index_model, Float64Arithmetic())
