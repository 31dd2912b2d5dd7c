"""Configuration of a model: plain dataclasses, stored as JSON in the metadata of every weights file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..config_fields import FieldError, bounded, check_fields, field_errors_as, from_mapping
from ..errors import WeightsError

# Limits of the stream format
_LONGEST_HOP = 65535  # samples
_LONGEST_WINDOW = 1 << 22  # samples


@dataclass(frozen=True)
class QuantizerConfig:
    """Residual expert vector quantization.

    A quantizer is a cascade of `codebooks` codebooks, each of which codes the residual of the one before.
    """

    experts: int = bounded(8, 1, 32)
    codebook_size: int = bounded(1024, 2, 65536)
    codebooks: int = bounded(2, 1, 8)
    form: Literal["full", "factorised"] = "full"
    code_dimension: int = bounded(8, 1, 65536)  # of the factorised form only


@dataclass(frozen=True)
class SpectralConfig:
    """Networks on log-magnitudes of the short-time Fourier transform."""

    window_length: int = bounded(2048, 2, 65536)
    hop_length: int = bounded(512, 1, 65535)
    spectra_per_frame: int = bounded(2, 1, 64)
    floor: float = bounded(4e-5, 1e-9, 1.0)  # least magnitude of the encoder's input
    output_floor: float = bounded(1e-5, 1e-9, 1.0)  # least magnitude that the decoder is trained to predict
    width: int = bounded(384, 1, 65536)
    encoder_blocks: int = bounded(6, 0, 256)
    decoder_blocks: int = bounded(6, 0, 256)
    expansion: int = bounded(3, 1, 64)
    kernel: int = bounded(7, 1, 255)
    phase_iterations: int = bounded(8, 0, 1000)
    phase_momentum: float = bounded(0.99, 0.0, 2.0)

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return self.hop_length * self.spectra_per_frame

    def check(self, name: str) -> None:
        """Raises FieldError on values that no network of this kind can have."""
        check_fields(self, name)
        # the shifted squares of the analysis window must add up to a constant, and padding be whole samples
        parts, rest = divmod(self.window_length, self.hop_length)
        if rest or parts < 3 or (self.window_length - self.hop_length) % 2:
            raise FieldError(
                f"{name}.window_length must be a multiple of hop_length, at least 3 times as long, and "
                f"differ from it by an even number: {self.window_length}, {self.hop_length}"
            )
        if self.kernel % 2 == 0:
            raise FieldError(f"{name}.kernel must be odd: {self.kernel}")


@dataclass(frozen=True)
class DacConfig:
    """The convolutional waveform networks of the paper, after the Descript Audio Codec."""

    encoder_width: int = bounded(64, 1, 4096)
    decoder_width: int = bounded(1536, 2, 65536)
    strides: tuple[int, ...] = bounded((2, 4, 8, 8), 2, 1024)

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.strides)

    def check(self, name: str) -> None:
        """Raises FieldError on values that no network of this kind can have."""
        check_fields(self, name)
        if not self.strides or any(stride % 2 for stride in self.strides):
            raise FieldError(f"{name}.strides must be even numbers: {self.strides}")
        if self.decoder_width % 2 ** len(self.strides):  # each stride halves the width
            raise FieldError(
                f"{name}.decoder_width must be a multiple of {2 ** len(self.strides)}: {self.decoder_width}"
            )


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a model.

    Raises WeightsError on values that no model can have. The section of the backbone that is not used is
    not checked.
    """

    backbone: Literal["spectral", "dac"] = "spectral"
    sample_rate: int = bounded(44100, 1000, 768_000)
    frames_per_window: int = bounded(43, 1, 65535)
    latent_dimension: int = bounded(128, 1, 65536)
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    spectral: SpectralConfig = field(default_factory=SpectralConfig)
    dac: DacConfig = field(default_factory=DacConfig)

    def __post_init__(self) -> None:
        with field_errors_as(WeightsError):
            check_fields(self, "model")
            check_fields(self.quantizer, "model.quantizer")
            self.backbone_config.check(f"model.{self.backbone}")
            if self.hop > _LONGEST_HOP or self.hop * self.frames_per_window > _LONGEST_WINDOW:
                raise FieldError(f"windows of {self.frames_per_window} x {self.hop} samples are too long")

    @property
    def backbone_config(self) -> SpectralConfig | DacConfig:
        """The section of the backbone in use."""
        return self.spectral if self.backbone == "spectral" else self.dac

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return self.backbone_config.hop

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON types, without the section of the backbone that is not used."""
        result = asdict(self)
        del result["dac" if self.backbone == "spectral" else "spectral"]
        return result

    @classmethod
    def from_dict(cls, values: object) -> ModelConfig:
        """The inverse of `to_dict`. Raises WeightsError on unknown, ill-typed or impossible fields."""
        with field_errors_as(WeightsError):
            return from_mapping(cls, values, "model")
