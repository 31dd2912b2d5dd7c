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
    floor: float = 4e-5  # magnitudes below look all the same to the encoder
    output_floor: float = 1e-5  # and the decoder says what usually lies there, down to this
    width: int = 384
    encoder_blocks: int = 6
    decoder_blocks: int = 6
    expansion: int = 3
    kernel: int = 7
    phase_iterations: int = 8
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

    def __post_init__(self) -> None:
        """Raises WeightsError on values that no model can have."""
        if self.backbone not in ("spectral", "dac"):
            raise WeightsError(f"configuration: unknown backbone {self.backbone!r}")
        if self.quantizer.form not in ("full", "factorised"):
            raise WeightsError(f"configuration: unknown codebook form {self.quantizer.form!r}")
        _check_limits(self, "model")
        _check_limits(self.quantizer, "model.quantizer")
        if self.backbone == "spectral":
            spectral = self.spectral
            _check_limits(spectral, "model.spectral")
            # shifted squares of the window must add up to a constant, and spectra lie in whole samples
            parts, rest = divmod(spectral.window_length, spectral.hop_length)
            if rest or parts < 3 or (spectral.window_length - spectral.hop_length) % 2:
                raise WeightsError(
                    "configuration: model.spectral.window_length must be a multiple of hop_length, at least "
                    f"three times as long, by an even number: {spectral.window_length}, {spectral.hop_length}"
                )
            if spectral.kernel % 2 == 0:
                raise WeightsError(f"configuration: model.spectral.kernel must be odd: {spectral.kernel}")
        else:
            dac = self.dac
            _check_limits(dac, "model.dac")
            if not dac.strides or any(stride % 2 for stride in dac.strides):
                raise WeightsError(f"configuration: model.dac.strides must be even numbers: {dac.strides}")
            if dac.decoder_width % 2 ** len(dac.strides):
                raise WeightsError(
                    f"configuration: model.dac.decoder_width must be a multiple of {2 ** len(dac.strides)}: "
                    f"{dac.decoder_width}"
                )
        if self.hop > 65535 or self.hop * self.frames_per_window > 1 << 22:
            raise WeightsError(
                f"configuration: windows of {self.frames_per_window} x {self.hop} are too long"
            )

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
        return build_dataclass(cls, values, "model")


# Least and greatest value of every number; those that a stream depends on are the container's.
_LIMITS: dict[str, tuple[float, float]] = {
    "sample_rate": (1000, 768_000),
    "frames_per_window": (1, 65535),
    "latent_dimension": (1, 65536),
    "experts": (1, 32),
    "codebook_size": (2, 65536),
    "codebooks": (1, 8),
    "code_dimension": (1, 65536),
    "window_length": (2, 65536),
    "hop_length": (1, 65535),
    "spectra_per_frame": (1, 64),
    "floor": (1e-9, 1.0),
    "output_floor": (1e-9, 1.0),
    "width": (1, 65536),
    "encoder_blocks": (0, 256),
    "decoder_blocks": (0, 256),
    "expansion": (1, 64),
    "kernel": (1, 255),
    "phase_iterations": (0, 1000),
    "phase_momentum": (0.0, 2.0),
    "encoder_width": (1, 4096),
    "decoder_width": (2, 65536),
    "strides": (2, 1024),
}


def _check_limits(section: Any, where: str) -> None:
    """Raises WeightsError where a number of a configuration section is out of its limits."""
    for item in fields(section):
        if item.name not in _LIMITS:
            continue
        value, (low, high) = getattr(section, item.name), _LIMITS[item.name]
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high:  # NaN is not either
                raise WeightsError(f"configuration: {where}.{item.name} must be {low} to {high}: {value!r}")


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
            # where the default is empty, so that it tells nothing of its elements, any kind will do
            kind = type(current[0]) if current else object
            value = tuple(float(x) if kind is float and type(x) is int else x for x in value)
            if not all(isinstance(x, kind) and not isinstance(x, bool) for x in value):
                raise WeightsError(f"configuration: {where}.{name} must hold {kind.__name__} only: {value!r}")
        elif isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif current is not None and type(value) is not type(current):
            raise WeightsError(f"configuration: {where}.{name} must be {type(current).__name__}: {value!r}")
        built[name] = value
    return cls(**built)
