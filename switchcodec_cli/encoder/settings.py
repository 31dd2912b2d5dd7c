"""What an encoder is asked for: the source, the rate in one of its forms, and the effort."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..bitstream import (
    BlockKind,
    BlockMode,
    ChannelCoding,
    EncodingRequest,
    Header,
    RateMode,
    StreamParameters,
    attainable_rates,
    format_kbps,
    largest_experts,
)
from ..errors import UsageError

DEFAULT_KBPS = 2.67
MAX_QUALITY = 10.0

# Where waveform layers begin to serve better than as many bits of experts, by measurement; of one signal and
# of two. Two signals need more, since a layer in only one of them blurs the stereo image.
LEAST_LAYERED_SHARE = 3 / 8  # of the experts
LEAST_LAYERED_KBPS = (3.5, 10.0)
LEAST_LAYERED_QUALITY = (2.0, 4.0)


@dataclass(frozen=True)
class EffortPreset:
    """What the search for masks and indices may spend."""

    beam_width: int = 1  # index sequences kept for each latent frame; 1 is greedy quantization
    initial_steps: int = 0  # of latent refinement before quantization
    quantized_steps: int = 0  # of latent refinement at quantized latents, each followed by quantization
    step_size: float = 0.0  # of refinement, relative to the root mean square of the shared codewords
    candidate_masks: int = 0  # masks compared by decoding, besides the router's
    tries_first_experts: bool = False  # take the first experts where they leave a smaller quantization error


# Steps at quantized latents gain more than initial ones, but need a few of these to start from.
EFFORT_PRESETS = (
    EffortPreset(beam_width=4, tries_first_experts=True),
    EffortPreset(beam_width=8, tries_first_experts=True),
    EffortPreset(beam_width=8, initial_steps=3, quantized_steps=3, step_size=0.045, tries_first_experts=True),
    EffortPreset(
        beam_width=8,
        initial_steps=6,
        quantized_steps=8,
        step_size=0.03,
        candidate_masks=6,
        tries_first_experts=True,
    ),
)
EFFORTS = tuple(range(len(EFFORT_PRESETS)))
DEFAULT_EFFORT = 2


@dataclass(frozen=True)
class SourceFormat:
    """What is known of the audio before the first sample.

    Attributes:
        sample_rate: In Hz.
        channels: 1 or 2.
        dual_mono: Both channels are equal, so that one signal is coded.
        total_samples: Samples per channel, None if unknown; the trailer then holds the number.
        tags: Stored in the stream: pairs of key and value, or a mapping. Keys may repeat.
    """

    sample_rate: int
    channels: int = 1
    dual_mono: bool = False
    total_samples: int | None = None
    tags: Mapping[str, str] | Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if self.channels not in (1, 2):
            raise UsageError(f"one or two channels can be encoded, not {self.channels}; mix them down first")

    @property
    def channel_coding(self) -> ChannelCoding:
        """How the channels are coded."""
        if self.channels == 1:
            return ChannelCoding.MONO
        return ChannelCoding.DUAL_MONO if self.dual_mono else ChannelCoding.LEFT_RIGHT

    @property
    def tag_pairs(self) -> tuple[tuple[str, str], ...]:
        """The tags as pairs of key and value."""
        tags = self.tags
        return (
            tuple(tags.items()) if isinstance(tags, Mapping) else tuple((key, value) for key, value in tags)
        )

    @property
    def signals(self) -> int:
        """Number of signals that are coded."""
        return 2 if self.channel_coding == ChannelCoding.LEFT_RIGHT else 1


@dataclass(frozen=True)
class EncoderSettings:
    """The rate in one of four forms, a limit for two of them, and the effort.

    Attributes:
        kbps: Rate of the whole file at most, over all channels; windows vary. The default, at 2.67. With
            `cbr`, or weights without an index model, a constant rate that no window exceeds.
        experts: Constant number of experts per window and signal.
        average_kbps: As kbps, also with weights without an index model.
        quality: 0 to 10; each window gets the experts that it needs.
        max_kbps: Limit for every window, with a rate of the whole file or a quality.
        effort: 0 (fastest) to 3 (best quality).
        cbr: Constant number of experts and plain indices, so that packets have one size.

    Raises:
        UsageError: The fields contradict each other.
    """

    kbps: float | None = None
    experts: int | None = None
    average_kbps: float | None = None
    quality: float | None = None
    max_kbps: float | None = None
    effort: int = DEFAULT_EFFORT
    cbr: bool = False

    def __post_init__(self) -> None:
        forms = {
            "a constant rate in kbps": self.kbps,
            "a number of experts": self.experts,
            "an average rate": self.average_kbps,
            "a quality": self.quality,
        }
        given = [name for name, value in forms.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if self.max_kbps is not None and (self.cbr or self.experts is not None):
            raise UsageError("a maximum rate goes with a rate of the whole file or a quality")
        if self.cbr and (self.average_kbps is not None or self.quality is not None):
            raise UsageError("a constant bit rate goes with a rate in kbps or a number of experts")
        for name, rate in (("an average rate", self.average_kbps), ("a maximum rate", self.max_kbps)):
            if rate is not None and not (math.isfinite(rate) and rate > 0):
                raise UsageError(f"{name} must be a positive number of kbps, not {rate}")
        if self.quality is not None and not 0 <= self.quality <= MAX_QUALITY:
            raise UsageError(f"a quality must be a number from 0 to {MAX_QUALITY:g}, not {self.quality}")
        if isinstance(self.effort, bool) or self.effort not in EFFORTS:
            raise UsageError(f"the effort must be one of {', '.join(map(str, EFFORTS))}, not {self.effort!r}")

    def resolved(self, modelled: bool) -> EncoderSettings:
        """The settings for weights with or without an index model.

        With one, a rate in kbps is that of the whole file, unless a constant bit rate is asked for.

        Raises:
            UsageError: A maximum rate is given for a constant rate.
        """
        given = (self.experts, self.average_kbps, self.quality)
        if modelled and not self.cbr and given == (None, None, None):
            return replace(self, kbps=None, average_kbps=DEFAULT_KBPS if self.kbps is None else self.kbps)
        if self.max_kbps is not None and self.constant:
            raise UsageError(
                "a constant rate is a maximum itself; a maximum rate goes with an average rate or a quality "
                "(--abr or --vbr)"
            )
        return self

    @property
    def constant(self) -> bool:
        """Whether every window uses the same number of experts."""
        return self.average_kbps is None and self.quality is None

    @property
    def rate_mode(self) -> RateMode:
        """The rate mode for the header of the stream."""
        if self.constant:
            return RateMode.CONSTANT
        return RateMode.QUALITY if self.average_kbps is None else RateMode.AVERAGE

    @property
    def nominal_bits_per_second(self) -> int:
        """The rate that was asked for, 0 where none was."""
        rate = self.kbps if self.average_kbps is None else self.average_kbps
        return 0 if rate is None else round(1000 * rate)

    @property
    def request(self) -> EncodingRequest:
        """What the trailer of the stream stores, beyond what its header says."""
        limit = None if self.max_kbps is None else min(max(round(1000 * self.max_kbps), 1), 0xFFFFFFFF)
        return EncodingRequest(self.effort, self.quality, limit)

    @property
    def preset(self) -> EffortPreset:
        """What the search may spend."""
        return EFFORT_PRESETS[self.effort]

    def total_experts(self, parameters: StreamParameters, signals: int) -> int | None:
        """Experts per window over all signals for a constant rate; None for the other forms.

        Raises:
            UsageError: The rate is not attainable with these parameters.
        """
        if not self.constant:
            return None
        if self.experts is not None:
            if not 0 <= self.experts <= parameters.experts:
                raise UsageError(
                    f"the number of experts must be 0 to {parameters.experts}, not {self.experts}"
                )
            return self.experts * signals
        return largest_experts(DEFAULT_KBPS if self.kbps is None else self.kbps, parameters, signals)

    def max_packet_bytes(self, parameters: StreamParameters, signals: int) -> int:
        """Size limit in bytes for the packet of a whole window.

        Raises:
            UsageError: Even the smallest packet of a coded window exceeds the limit.
        """
        all_experts = BlockMode(BlockKind.CODED, parameters.experts)
        largest = parameters.packet_bytes((all_experts,) * signals)
        limit = self.max_kbps
        if self.constant and self.experts is None:
            limit = DEFAULT_KBPS if self.kbps is None else self.kbps
        if limit is None:
            return largest
        largest_experts(limit, parameters, signals)
        return min(largest, int(limit * 1000 * parameters.window_seconds / 8 * (1 + 1e-9)))

    def affords_layers(self, parameters: StreamParameters, signals: int) -> bool:
        """Whether waveform layers serve better than as many bits of experts at this rate."""
        if self.cbr:
            return False
        if self.average_kbps is not None:
            return self.average_kbps >= LEAST_LAYERED_KBPS[signals - 1]
        if self.quality is not None:
            return self.quality >= LEAST_LAYERED_QUALITY[signals - 1]
        experts = self.total_experts(parameters, signals) or 0
        return experts >= LEAST_LAYERED_SHARE * parameters.experts * signals

    def check(self, parameters: StreamParameters, signals: int) -> None:
        """Check that a model with these parameters can encode `signals` signals this way.

        Raises:
            UsageError: It cannot.
        """
        self.total_experts(parameters, signals)
        self.max_packet_bytes(parameters, signals)
        if self.average_kbps is None:
            return
        least = attainable_rates(parameters, signals)[0].real_kbps
        if self.average_kbps < least:
            raise UsageError(
                f"an average rate of {self.average_kbps:g} kbps is too low: "
                f"ask for {format_kbps(least)} kbps or more" + (", or for mono" if signals > 1 else "")
            )
        if self.max_kbps is not None and self.max_kbps < self.average_kbps:
            raise UsageError(
                f"the maximum rate of {self.max_kbps:g} kbps is below the average rate of "
                f"{self.average_kbps:g} kbps; raise it, or lower the average"
            )


def make_header(
    parameters: StreamParameters,
    fingerprint: bytes,
    source: SourceFormat,
    settings: EncoderSettings,
    modelled: bool = False,
    layered: bool = False,
) -> Header:
    """The header of a stream.

    Args:
        parameters: Of the model.
        fingerprint: Of the weights.
        source: The audio to be encoded.
        settings: How it is to be encoded, resolved.
        modelled: Whether the weights have an index model.
        layered: Whether the weights have a waveform model.

    Raises:
        UsageError: The settings cannot be met with this model and source.
    """
    settings.check(parameters, source.signals)
    return Header(
        parameters=parameters,
        fingerprint=fingerprint,
        original_rate=source.sample_rate,
        channels=source.channels,
        channel_coding=source.channel_coding,
        rate_mode=settings.rate_mode,
        experts_total=settings.total_experts(parameters, source.signals),
        nominal_bits_per_second=settings.nominal_bits_per_second,
        total_samples=source.total_samples,
        tags=source.tag_pairs,
        entropy_coded=modelled and not settings.cbr,
        waveform_layers=modelled and layered and settings.affords_layers(parameters, source.signals),
    )
