"""What jobs need of a codec; `api.Codec` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..bitstream import StreamParameters
from ..encoder import EncoderSettings, SourceFormat

if TYPE_CHECKING:  # these import torch
    from ..decoder.stream import StreamDecoder
    from ..encoder.rate.control import RateAllocation
    from ..encoder.stream import FirstPass, StreamEncoder


class JobCodec(Protocol):
    """Makes encoders and decoders of streams, see `api.Codec`."""

    parameters: StreamParameters
    fingerprint: bytes
    has_index_model: bool
    has_waveform_model: bool

    def encoder(
        self,
        file: BinaryIO,
        source: SourceFormat,
        settings: EncoderSettings | None = None,
        allocation: RateAllocation | None = None,
    ) -> StreamEncoder:
        """Make an encoder that takes blocks of audio and writes a stream. Raises UsageError."""

    def needs_first_pass(self, settings: EncoderSettings) -> bool:
        """Whether a first pass over the audio is worth its time."""

    def first_pass(self, source: SourceFormat, settings: EncoderSettings) -> FirstPass:
        """Make a first pass for an average rate. Raises UsageError."""

    def decoder(
        self,
        file: BinaryIO,
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> StreamDecoder:
        """Make a decoder that reads a stream and yields blocks of audio. Raises SwcError."""
