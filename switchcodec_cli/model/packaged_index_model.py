"""The index and waveform models of the weights of streams. Does not import torch."""

from __future__ import annotations

from ..bitstream import Header
from ..bitstream.index_model import Float64Arithmetic, IndexModel
from ..bitstream.waveform_model import WaveformModel
from ..errors import WeightsError
from .weights_info import WeightsFile, read_weights
from .weights_registry import find_weights, find_weights_of


def index_model_of(header: Header, weights: str | None = None) -> IndexModel:
    """Read the index model that a stream needs.

    Args:
        header: Of the stream.
        weights: Name or path of the weights; None for the packaged ones that the stream was made with.

    Raises:
        WeightsError: There are no such weights, or they have no index model.
    """
    path, stored = _read(header, weights)
    if stored.index_model is None:
        raise WeightsError(f"{path}: these weights have no index model, which entropy-coded streams need")
    return IndexModel(stored.index_model, Float64Arithmetic())


def waveform_model_of(header: Header, weights: str | None = None) -> WaveformModel:
    """Read the waveform model that a stream needs; see `index_model_of`."""
    path, stored = _read(header, weights)
    if stored.waveform_model is None:
        raise WeightsError(f"{path}: these weights have no waveform model, which waveform layers need")
    return WaveformModel(stored.waveform_model, Float64Arithmetic())


def _read(header: Header, weights: str | None) -> tuple[str, WeightsFile]:
    """The weights of a stream and their path."""
    path = find_weights_of(header.fingerprint) if weights is None else find_weights(weights)
    stored = read_weights(path)
    if stored.info.fingerprint != header.fingerprint:
        raise WeightsError(
            f"the stream was encoded with weights {header.fingerprint.hex()[:12]}, "
            f"but those of {path} are {stored.info.fingerprint.hex()[:12]}"
        )
    return str(path), stored


class IndexModels:
    """Index models of streams; each is read once.

    Args:
        weights: See `index_model_of`.
    """

    def __init__(self, weights: str | None = None) -> None:
        self._weights = weights
        self._models: dict[bytes, IndexModel] = {}  # by fingerprint

    def __call__(self, header: Header) -> IndexModel:
        """The index model that a stream needs; see `index_model_of`. Raises WeightsError."""
        if header.fingerprint not in self._models:
            self._models[header.fingerprint] = index_model_of(header, self._weights)
        return self._models[header.fingerprint]
