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
    StreamParameters,
    StreamReader,
    StreamWriter,
    Trailer,
)
from .decoder.stream import StreamDecoder
from .encoder import DEFAULT_EFFORT, DEFAULT_KBPS, EncoderSettings, RateAllocation
from .encoder.stream import FirstPass, StreamEncoder
from .errors import DeviceError, UsageError, WeightsError
from .model.codec_model import CodecModel
from .model.weights import load_weights
from .model.weights_registry import find_weights


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
        total = EncoderSettings(kbps=kbps, experts=experts).total_experts(self.parameters, channels)
        assert total is not None
        return total

    def header(
        self,
        sample_rate: int,
        channels: int,
        settings: EncoderSettings,
        *,
        dual_mono: bool = False,
        total_samples: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Header:
        """The header of a stream to be made with these settings. Raises UsageError."""
        if channels not in (1, 2):
            raise UsageError(f"one or two channels can be encoded, not {channels}: mix them down first")
        coding = ChannelCoding.MONO
        if channels == 2:
            coding = ChannelCoding.DUAL_MONO if dual_mono else ChannelCoding.LEFT_RIGHT
        signals = 2 if coding == ChannelCoding.LEFT_RIGHT else 1
        settings.check(self.parameters, signals)
        return Header(
            parameters=self.parameters,
            fingerprint=self.fingerprint,
            original_rate=sample_rate,
            channels=channels,
            channel_coding=coding,
            rate_mode=settings.rate_mode,
            experts_total=settings.total_experts(self.parameters, signals),
            nominal_bits_per_second=settings.nominal_bits_per_second,
            total_samples=total_samples,
            tags=tuple((tags or {}).items()),
        )

    def encoder(
        self,
        file: BinaryIO,
        sample_rate: int,
        channels: int,
        *,
        settings: EncoderSettings | None = None,
        dual_mono: bool = False,
        total_samples: int | None = None,
        tags: Mapping[str, str] | None = None,
        plan: RateAllocation | None = None,
    ) -> StreamEncoder:
        """An encoder that takes blocks of audio and writes a stream to `file` (pipes included).

        channels: 1 or 2. dual_mono: both channels are equal, code one. plan: from `planner`, where the
        audio can be read twice; without it an average rate is kept with half a minute in view. Raises
        UsageError.
        """
        settings = settings or EncoderSettings()
        header = self.header(
            sample_rate, channels, settings, dual_mono=dual_mono, total_samples=total_samples, tags=tags
        )
        return StreamEncoder(self, StreamWriter(file, header), settings, plan)

    def planner(
        self,
        sample_rate: int,
        channels: int,
        *,
        settings: EncoderSettings,
        dual_mono: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> FirstPass:
        """A first pass for an average rate: takes the blocks that `encoder` will, and gives its plan.

        Raises UsageError, also for settings that have nothing to plan.
        """
        if settings.average_kbps is None:
            raise UsageError("only an average rate is planned ahead")
        header = self.header(sample_rate, channels, settings, dual_mono=dual_mono, tags=tags)
        return FirstPass(self, header, settings)

    def encode(
        self,
        audio: np.ndarray,
        sample_rate: int,
        *,
        kbps: float | None = None,
        experts: int | None = None,
        average_kbps: float | None = None,
        quality: float | None = None,
        max_kbps: float | None = None,
        effort: int = DEFAULT_EFFORT,
        tags: Mapping[str, str] | None = None,
    ) -> bytes:
        """Audio (n,) or (n, channels), floats of full scale 1, to the bytes of a `.swc` file.

        One of kbps, experts (both constant), average_kbps and quality (0..10) sets the rate; max_kbps is a
        ceiling for the last two. effort: 0 (fastest) to 3. Raises UsageError.
        """
        audio = np.asarray(audio, dtype=np.float32)
        if audio.ndim == 1:
            audio = audio[:, None]
        if audio.ndim != 2:
            raise UsageError(f"audio must be (n,) or (n, channels), not {audio.shape}")
        if not np.isfinite(audio).all():
            raise UsageError("audio holds samples that are not finite")
        settings = EncoderSettings(kbps, experts, average_kbps, quality, max_kbps, effort)
        channels = audio.shape[1]
        dual = channels == 2 and bool((audio[:, 0] == audio[:, 1]).all())
        plan = None
        if settings.average_kbps is not None:
            planner = self.planner(sample_rate, channels, settings=settings, dual_mono=dual, tags=tags)
            planner.write(audio)
            plan = planner.close()
        file = io.BytesIO()
        encoder = self.encoder(
            file,
            sample_rate,
            channels,
            settings=settings,
            dual_mono=dual,
            total_samples=len(audio),
            tags=tags,
            plan=plan,
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


__all__ = [
    "DEFAULT_KBPS",
    "BitBudget",
    "Codec",
    "EncoderSettings",
    "StreamDecoder",
    "StreamEncoder",
    "Trailer",
    "choose_device",
]
