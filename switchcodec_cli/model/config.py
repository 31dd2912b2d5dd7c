"""Configuration of a model: plain dataclasses, stored as JSON in the metadata of every weights file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..config_fields import FieldError, bounded, check_fields, field_errors_as, from_mapping
from ..errors import WeightsError
from .dsp.mel import MEL_BANDS

# Limits of the stream format
_LONGEST_HOP = 65535  # samples
_MOST_STRIDES = 15  # strides are 2 or more
_LONGEST_WINDOW = 1 << 22  # samples

# Limits of what coding may cost, whatever the weights. All are several times what the default weights and the
# configuration of the paper need.
_WINDOWS_PER_RUN = 8  # windows that go through the networks together
_MOST_VALUES = 1 << 26  # of one layer in a run of a network, per signal
_WIDEST_CONTEXT = 16  # windows to either side; a run processes them besides its own
_MOST_OVERLAP = 16  # analysis windows that cover a sample
_MOST_SPECTRA = 4000  # per second
_MOST_TRANSFORMED = 1 << 23  # samples per second that go through all iterations of phase reconstruction
_MOST_PHASE_STATE = 1 << 17  # samples of the analysis windows of all iterations, each of which keeps a block


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
    refiner_blocks: int = bounded(0, 0, 256)  # of the network that corrects latents; 0: there is none

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return self.hop_length * self.spectra_per_frame

    @property
    def bins(self) -> int:
        """Frequencies of a spectrum."""
        return self.window_length // 2 + 1

    @property
    def encoder_context(self) -> int:
        """Latent frames to either side that can influence a latent."""
        # samples beyond a latent frame: the neighbouring spectrum in the stem, and its analysis window
        beyond = self.hop_length + (self.window_length - self.hop_length) // 2
        return self.encoder_blocks * (self.kernel // 2) - (-beyond // self.hop)

    @property
    def decoder_context(self) -> int:
        """Latent frames to either side that can influence the spectra of a frame."""
        return self.decoder_blocks * (self.kernel // 2) + 1

    @property
    def latent_context(self) -> int:
        """Latent frames to either side that can influence a latent, the refiner included."""
        if not self.refiner_blocks:
            return self.encoder_context
        # the gradient at a frame depends on all frames that its latent can influence, and on their context
        return self.encoder_context + 2 * self.decoder_context + self.refiner_blocks * (self.kernel // 2)

    @property
    def refiner_inputs(self) -> int:
        """Bins and mel bands of a latent frame."""
        return self.spectra_per_frame * (self.bins + sum(MEL_BANDS))

    @property
    def widest_layer(self) -> int:
        """Most values of one layer in a latent frame."""
        inputs = self.bins * (self.spectra_per_frame + 2)
        return max(self.expansion * self.width, inputs, self.refiner_inputs if self.refiner_blocks else 0)

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
        if parts > _MOST_OVERLAP:
            raise FieldError(
                f"{name}.window_length must be at most {_MOST_OVERLAP} times hop_length: {parts}"
            )
        if self.kernel % 2 == 0:
            raise FieldError(f"{name}.kernel must be odd: {self.kernel}")

    def check_cost(self, name: str, sample_rate: int) -> None:
        """Raises FieldError if phase reconstruction at this rate would take too much time or memory."""
        if sample_rate > _MOST_SPECTRA * self.hop_length:
            raise FieldError(f"{name}.hop_length is too short for {sample_rate} Hz: {self.hop_length}")
        parts = self.window_length // self.hop_length
        work = sample_rate * parts * self.phase_iterations
        state = self.window_length * self.phase_iterations
        if work > _MOST_TRANSFORMED or state > _MOST_PHASE_STATE:
            raise FieldError(
                f"{name}.phase_iterations is too large for {sample_rate} Hz and windows of "
                f"{self.window_length} samples: {self.phase_iterations}"
            )


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

    @property
    def encoder_context(self) -> int:
        """Latent frames to either side that can influence a latent, at most."""
        reach, spacing = 3, 1  # front convolution, in samples
        for stride in self.strides:
            reach += spacing * 3 * (1 + 3 + 9)  # residual units
            reach += spacing * 2 * stride  # strided convolution
            spacing *= stride
        return -(-(reach + 3 * spacing) // spacing) + 1

    @property
    def decoder_context(self) -> int:
        """Latent frames to either side that can influence a frame's samples, at most."""
        return self.encoder_context + 3

    @property
    def latent_context(self) -> int:
        """The same: these networks have no refiner."""
        return self.encoder_context

    @property
    def widest_layer(self) -> int:
        """Most values of one layer in a latent frame."""
        encoder, positions = self.encoder_width, self.hop
        decoder, samples = self.decoder_width, 1
        widest = max(encoder * positions, decoder)
        for down, up in zip(self.strides, reversed(self.strides), strict=True):
            encoder, positions = 2 * encoder, positions // down
            decoder, samples = decoder // 2, samples * up
            widest = max(widest, encoder * positions, decoder * samples)
        return widest

    def check(self, name: str) -> None:
        """Raises FieldError on values that no network of this kind can have."""
        check_fields(self, name)
        if len(self.strides) > _MOST_STRIDES:
            raise FieldError(f"{name}.strides are too many: {len(self.strides)}")
        if not self.strides or any(stride % 2 for stride in self.strides):
            raise FieldError(f"{name}.strides must be even numbers: {self.strides}")
        if self.decoder_width % 2 ** len(self.strides):  # each stride halves the width
            raise FieldError(
                f"{name}.decoder_width must be a multiple of {2 ** len(self.strides)}: {self.decoder_width}"
            )

    def check_cost(self, name: str, sample_rate: int) -> None:
        """Does nothing: the networks alone determine the cost."""


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
            self._check_cost()

    def _check_cost(self) -> None:
        """Raises FieldError if coding would take too much time or memory."""
        config, name = self.backbone_config, f"model.{self.backbone}"
        context = max(config.latent_context, config.decoder_context)
        if context > _WIDEST_CONTEXT * self.frames_per_window:
            raise FieldError(
                f"the networks of {name} see {context} latent frames to either side, too many for windows of "
                f"{self.frames_per_window}"
            )
        run = _WINDOWS_PER_RUN * self.frames_per_window + 2 * context
        if run * max(config.widest_layer, self.latent_dimension) > _MOST_VALUES:
            raise FieldError(
                f"windows of {self.frames_per_window} frames are too long for networks of {name} this wide"
            )
        config.check_cost(name, self.sample_rate)

    @property
    def backbone_config(self) -> SpectralConfig | DacConfig:
        """The section of the backbone in use."""
        return self.spectral if self.backbone == "spectral" else self.dac

    @property
    def latents_are_refined(self) -> bool:
        """Whether a refiner follows the encoder network."""
        return self.backbone == "spectral" and self.spectral.refiner_blocks > 0

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return self.backbone_config.hop

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON types, without the section of the backbone that is not used."""
        result = asdict(self)
        del result["dac" if self.backbone == "spectral" else "spectral"]
        if self.backbone == "spectral" and not self.latents_are_refined:
            del result["spectral"]["refiner_blocks"]  # keeps the fingerprint of weights older than the field
        return result

    @classmethod
    def from_dict(cls, values: object) -> ModelConfig:
        """The inverse of `to_dict`. Raises WeightsError on unknown, ill-typed or impossible fields."""
        with field_errors_as(WeightsError):
            return from_mapping(cls, values, "model")
