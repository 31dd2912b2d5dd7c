"""Encoding of the recordings in data sets of Ray Data."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from .api import Codec
from .audio import AudioReader
from .errors import SwcError, UsageError


class EncodeBatch:
    """Encodes the recordings of a batch, for `ray.data.Dataset.map_batches`.

    The model is loaded once in each actor:

        dataset.map_batches(
            EncodeBatch,
            fn_constructor_kwargs={"kbps": 2.67, "effort": 1},
            compute=ray.data.ActorPoolStrategy(size=8),
            num_cpus=1,
            batch_size=16,
        )

    A recording is the bytes of an audio file, or an array of samples (n,) or (n, channels). The stream does
    not depend on the other recordings of the batch.

    Args:
        audio: Name of the column with the recordings.
        sample_rate: Name of the column with the rates of arrays in Hz, or the rate of all.
        output: Name of the column for the streams.
        error: Name of a column for messages: a recording that cannot be encoded gets an empty stream. None
            raises the error, which ends the execution of the data set.
        weights: See `Codec.load`.
        device: See `Codec.load`.
        settings: Arguments of `Codec.encode`, such as `kbps` and `effort`.

    Raises:
        WeightsError: The weights are missing or malformed.
        DeviceError: There is no such device.
    """

    def __init__(
        self,
        audio: str = "bytes",
        sample_rate: str | int = "sample_rate",
        output: str = "stream",
        error: str | None = None,
        weights: str | None = None,
        device: str = "auto",
        **settings: Any,
    ) -> None:
        self._audio, self._sample_rate, self._output, self._error = audio, sample_rate, output, error
        self._settings = settings
        self._codec = Codec.load(weights, device)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Add the streams to a batch of columns.

        Raises:
            SwcError: A recording cannot be encoded, and there is no column for errors.
        """
        recordings = batch[self._audio]
        streams, messages = [], []
        for row, recording in enumerate(recordings):
            stream, message = b"", ""
            try:
                stream = self._encode(recording, batch, row)
            except SwcError as error:
                if self._error is None:
                    raise
                message = str(error)
            streams.append(stream)
            messages.append(message)
        result = dict(batch) | {self._output: np.array(streams, dtype=object)}
        return result if self._error is None else result | {self._error: np.array(messages, dtype=object)}

    def _encode(self, recording: Any, batch: Mapping[str, Any], row: int) -> bytes:
        """The stream of a recording. Raises SwcError."""
        if isinstance(recording, (bytes, bytearray, memoryview)):
            with AudioReader(io.BytesIO(recording)) as reader:
                return self._codec.encode(reader.read(), reader.sample_rate, **self._settings)
        rate = self._sample_rate
        if isinstance(rate, str):
            if rate not in batch:
                raise UsageError(f"arrays need their sample rates, in a column {rate!r} or as a number")
            rate = int(batch[rate][row])
        return self._codec.encode(np.asarray(recording), rate, **self._settings)
