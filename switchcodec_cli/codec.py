"""The codec: audio to `.swc` streams and back. The Python API."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from .bitstream import (
    BitBudget,
    ChannelCoding,
    Header,
    RateMode,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Trailer,
    largest_experts,
)
from .errors import DeviceError, UsageError, WeightsError
from .model.codec_model import CodecModel
from .model.weights import load_weights
from .stream_decoder import StreamDecoder
from .stream_encoder import StreamEncoder
from .weights_files import find_weights

DEFAULT_KBPS = 2.67


def choose_device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:n`. Raises DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:n") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:n")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(f"device {name} is not available ({count} CUDA devices found)")
    return device


class Codec:
    """A model ready to encode and decode."""

    def __init__(self, model: CodecModel, fingerprint: bytes, provenance: Mapping[str, Any] | None = None):
        self.model, self.fingerprint = model, fingerprint
        self.provenance = dict(provenance or {})
        config, quantizer = model.config, model.config.quantizer
        self.parameters = StreamParameters(
            sample_rate=config.sample_rate,
            hop=model.hop,
            frames_per_window=config.frames_per_window,
            experts=quantizer.experts,
            codebook_size=quantizer.codebook_size,
            codebooks_per_quantizer=quantizer.codebooks,
        )
        self.silence = model.silence()

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "auto") -> Codec:
        """Load weights: packaged ones by name, any by path, the default ones for None.

        Raises WeightsError where they are missing or malformed, DeviceError where the device is.
        """
        chosen = choose_device(device)
        model, fingerprint, provenance = load_weights(find_weights(weights))
        return cls(model.to(chosen), fingerprint, provenance)

    @property
    def sample_rate(self) -> int:
        """The rate the model works at, in Hz."""
        return self.parameters.sample_rate

    def total_experts(self, channels: int, kbps: float | None, experts: int | None) -> int:
        """Experts per window over all signals for a rate, or for a number of experts per signal.

        Raises UsageError where both or impossible values are given.
        """
        if kbps is not None and experts is not None:
            raise UsageError("give either a rate in kbps or a number of experts, not both")
        if experts is not None:
            if not 0 <= experts <= self.parameters.experts:
                raise UsageError(f"experts must be 0 to {self.parameters.experts}, not {experts}")
            return experts * channels
        return largest_experts(DEFAULT_KBPS if kbps is None else kbps, self.parameters, channels)

    def encoder(
        self,
        file: BinaryIO,
        sample_rate: int,
        channels: int,
        *,
        kbps: float | None = None,
        experts: int | None = None,
        dual_mono: bool = False,
        total_samples: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> StreamEncoder:
        """An encoder that takes blocks of audio and writes a stream to `file` (pipes included).

        channels: 1 or 2. dual_mono: both channels are equal, code one. Raises UsageError.
        """
        if channels not in (1, 2):
            raise UsageError(f"one or two channels can be encoded, not {channels}: mix them down first")
        coding = ChannelCoding.MONO
        if channels == 2:
            coding = ChannelCoding.DUAL_MONO if dual_mono else ChannelCoding.LEFT_RIGHT
        total = self.total_experts(2 if coding == ChannelCoding.LEFT_RIGHT else 1, kbps, experts)
        header = Header(
            parameters=self.parameters,
            fingerprint=self.fingerprint,
            original_rate=sample_rate,
            channels=channels,
            channel_coding=coding,
            rate_mode=RateMode.CONSTANT,
            experts_total=total,
            nominal_bits_per_second=round(1000 * kbps) if kbps is not None else 0,
            total_samples=total_samples,
            tags=tuple((tags or {}).items()),
        )
        return StreamEncoder(self, StreamWriter(file, header))

    def encode(
        self,
        audio: np.ndarray,
        sample_rate: int,
        *,
        kbps: float | None = None,
        experts: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> bytes:
        """Audio (n,) or (n, channels), floats of full scale 1, to the bytes of a `.swc` file."""
        audio = np.asarray(audio, dtype=np.float32)
        if audio.ndim == 1:
            audio = audio[:, None]
        if audio.ndim != 2:
            raise UsageError(f"audio must be (n,) or (n, channels), not {audio.shape}")
        if not np.isfinite(audio).all():
            raise UsageError("audio holds samples that are not finite")
        dual = audio.shape[1] == 2 and bool((audio[:, 0] == audio[:, 1]).all())
        file = io.BytesIO()
        encoder = self.encoder(
            file,
            sample_rate,
            audio.shape[1],
            kbps=kbps,
            experts=experts,
            dual_mono=dual,
            total_samples=len(audio),
            tags=tags,
        )
        encoder.write(audio)
        encoder.close()
        return file.getvalue()

    def decoder(
        self,
        file: BinaryIO,
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> StreamDecoder:
        """A decoder that reads a stream from `file` (pipes included) and yields blocks of audio.

        start, duration: in seconds. conceal: fade over damaged windows instead of refusing.
        Raises BadInputError on what is no stream, WeightsError where other weights made it.
        """
        reader = StreamReader(file)
        header = reader.header
        if header.fingerprint != self.fingerprint or header.parameters != self.parameters:
            raise WeightsError(
                f"the stream was made with weights {header.fingerprint.hex()[:12]}, "
                f"but those loaded are {self.fingerprint.hex()[:12]}"
            )
        return StreamDecoder(self, reader, start, duration, conceal, phase_iterations)

    def decode(
        self,
        data: bytes,
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> tuple[np.ndarray, int]:
        """The bytes of a `.swc` file to audio (n,) or (n, 2) float32, and its sample rate."""
        decoder = self.decoder(
            io.BytesIO(data),
            start=start,
            duration=duration,
            conceal=conceal,
            phase_iterations=phase_iterations,
        )
        blocks: Iterator[np.ndarray] = decoder.blocks()
        audio = np.concatenate([np.zeros((0, decoder.channels), np.float32), *blocks])
        return (audio[:, 0] if decoder.channels == 1 else audio), decoder.sample_rate


__all__ = ["BitBudget", "Codec", "StreamDecoder", "StreamEncoder", "Trailer", "choose_device"]
