"""Configuration of a model: plain dataclasses, stored as JSON in the metadata of every weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from ..errors import WeightsError


@dataclass(frozen=True)
class QuantizerConfig:
    """Residual expert vector quantization.

    A quantizer is a cascade of `codebooks` codebooks, each coding the residual of the one before it.
    Two latent frames of 11.6 ms merged into one of 23.2 ms, with two codebooks instead of one, cost
    the same bits and code the pair jointly.
    """

    experts: int = 8
    codebook_size: int = 1024
    codebooks: int = 2
    form: Literal["full", "factorised"] = "full"
    code_dimension: int = 8  # of the factorised form only


@dataclass(frozen=True)
class SpectralConfig:
    """Networks on log-magnitudes of the short-time spectrum."""

    window_length: int = 2048
    hop_length: int = 512
    spectra_per_frame: int = 2
    floor: float = 1e-3  # magnitudes below are coded as silence
    width: int = 384
    encoder_blocks: int = 6
    decoder_blocks: int = 6
    expansion: int = 3
    kernel: int = 7
    phase_iterations: int = 16
    phase_momentum: float = 0.99


@dataclass(frozen=True)
class DacConfig:
    """The convolutional waveform backbone of the paper (after DAC)."""

    encoder_width: int = 64
    decoder_width: int = 1536
    strides: tuple[int, ...] = (2, 4, 8, 8)


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a model."""

    backbone: Literal["spectral", "dac"] = "spectral"
    sample_rate: int = 44100
    frames_per_window: int = 43
    latent_dimension: int = 128
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    spectral: SpectralConfig = field(default_factory=SpectralConfig)
    dac: DacConfig = field(default_factory=DacConfig)

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        if self.backbone == "spectral":
            return self.spectral.hop_length * self.spectral.spectra_per_frame
        product = 1
        for stride in self.dac.strides:
            product *= stride
        return product

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types; the section of the other backbone is left out."""
        result = asdict(self)
        del result["dac" if self.backbone == "spectral" else "spectral"]
        return result

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`. Raises WeightsError on unknown or ill-typed fields."""
        config = build_dataclass(cls, values, "model")
        if config.backbone not in ("spectral", "dac") or config.quantizer.form not in ("full", "factorised"):
            raise WeightsError(
                f"unknown backbone {config.backbone!r} or codebook form {config.quantizer.form!r}"
            )
        return config


def build_dataclass(cls: type, values: Any, where: str) -> Any:
    """Build a (nested) config dataclass from a dict, refusing anything it does not know."""
    if not isinstance(values, dict):
        raise WeightsError(f"configuration: {where} must be a table, not {values!r}")
    known = {f.name: f for f in fields(cls)}
    if unknown := sorted(set(values) - set(known)):
        raise WeightsError(f"configuration: unknown field {where}.{unknown[0]}")
    default = cls()
    built = {}
    for name, value in values.items():
        current = getattr(default, name)
        if is_dataclass(current):
            value = build_dataclass(type(current), value, f"{where}.{name}")
        elif isinstance(current, tuple) and isinstance(value, list):
            value = tuple(value)
        elif isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif current is not None and type(value) is not type(current):
            raise WeightsError(f"configuration: {where}.{name} must be {type(current).__name__}: {value!r}")
        built[name] = value
    return cls(**built)
