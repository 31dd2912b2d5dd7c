"""Comparison of existing streams with what encoding would write. Does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ..audio import AudioReader
from ..audio.digest import SampleDigest
from ..bitstream import (
    ChannelCoding,
    DigestKind,
    EncodingRequest,
    Header,
    RateMode,
    SourceDigest,
    StreamParameters,
    StreamReader,
    Trailer,
    verify,
)
from ..encoder import DEFAULT_KBPS, make_header
from ..errors import BadInputError
from .files import open_input
from .plan import Job
from .run import Difference, was_edited

if TYPE_CHECKING:
    from ..model.config import ModelConfig
    from .encode_job import EncodeRequest


class StreamComparison:
    """Compares the outputs of jobs with what the encoder would write.

    Args:
        parameters: of the model.
        fingerprint: of its weights.
        request: settings of the encoder.
        modelled: whether the weights have an index model.
        layered: whether they have a waveform model.

    Raises:
        UsageError: the model does not support the settings.
    """

    def __init__(
        self,
        parameters: StreamParameters,
        fingerprint: bytes,
        request: EncodeRequest,
        modelled: bool,
        layered: bool,
    ) -> None:
        self._settings = request.settings.resolved(modelled)
        self._settings.check(parameters, 1)
        self._parameters, self._fingerprint, self._request = parameters, fingerprint, request
        self._modelled, self._layered = modelled, layered

    def difference(self, job: Job) -> Difference | None:
        """How the output of a job differs from what would be written; None if it does not.

        The whole output and the whole source are read. Raises SwcError if one of them cannot be read.
        """
        with open_input(job.output) as file:
            return self.difference_of(job, file)

    def difference_of(self, job: Job, stream: BinaryIO) -> Difference | None:
        """How a stream differs from what would be written for the source of a job; see `difference`."""
        header, trailer, is_sound = _read_stream(stream)
        source = None if trailer is None else trailer.source
        if header is not None and trailer is not None and source is None and is_sound:
            return Difference("does not say from which recording it was made", is_replaceable=False)
        with self._request.open_source(job.source) as reader:
            if source is not None and source != source_digest(reader):
                return Difference(f"contains other audio than {job.source}", was_edited(job))
            if not is_sound or header is None or trailer is None:
                return Difference("is damaged")
            expected = make_header(
                self._parameters,
                self._fingerprint,
                self._request.source_format(
                    job.source, reader, header.channel_coding == ChannelCoding.DUAL_MONO
                ),
                self._settings,
                self._modelled,
                self._layered,
            )
        return _weights_difference(header, expected) or self._settings_difference(header, expected, trailer)

    def _settings_difference(self, header: Header, expected: Header, trailer: Trailer) -> Difference | None:
        """Settings that differ for the same recording."""
        stored, asked = trailer.request or EncodingRequest(), self._settings.request
        pairs: dict[str, tuple[object, object]] = {
            "channels": (header.channels, expected.channels),
            "indices": (_index_coding(header), _index_coding(expected)),
            "rate mode": (header.rate_mode.name.lower(), expected.rate_mode.name.lower()),
            "kbps": (_asked_kbps(header), _asked_kbps(expected)),
            "experts": (header.experts_total, expected.experts_total),
            "quality": (stored.quality, asked.quality),
            "maximum bit/s": (stored.max_bits_per_second, asked.max_bits_per_second),
            "effort": (stored.effort, asked.effort),
        }
        texts = [
            f"{name} {_text(found)} instead of {_text(wanted)}"
            for name, (found, wanted) in pairs.items()
            if found != wanted
        ]
        if header.tags != expected.tags:
            texts.append("other tags")
        return Difference(f"was made with other settings ({'; '.join(texts)})") if texts else None


def stream_parameters(config: ModelConfig) -> StreamParameters:
    """The parameters of the streams of a model."""
    return StreamParameters(
        sample_rate=config.sample_rate,
        hop=config.hop,
        frames_per_window=config.frames_per_window,
        experts=config.quantizer.experts,
        codebook_size=config.quantizer.codebook_size,
        codebooks_per_quantizer=config.quantizer.codebooks,
    )


def _weights_difference(header: Header, expected: Header) -> Difference | None:
    if (header.fingerprint, header.parameters) == (expected.fingerprint, expected.parameters):
        return None
    found, wanted = header.fingerprint.hex()[:12], expected.fingerprint.hex()[:12]
    return Difference(f"was made with other weights ({found} instead of {wanted})")


def _index_coding(header: Header) -> str:
    return "modelled" if header.entropy_coded else "plain"


def _asked_kbps(header: Header) -> float | None:
    """The rate that was asked for; the default one counts as not asked for."""
    kbps = header.nominal_bits_per_second / 1000
    is_default = header.rate_mode == RateMode.CONSTANT and kbps == DEFAULT_KBPS
    return None if kbps == 0 or is_default else kbps


def _text(value: object) -> str:
    if value is None:
        return "unset"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read_stream(file: BinaryIO) -> tuple[Header | None, Trailer | None, bool]:
    """Header and trailer of a stream as far as they can be read, and whether all of it is sound."""
    is_sound = verify(file).ok
    file.seek(0)
    try:
        reader = StreamReader(file)
    except BadInputError:
        return None, None, False
    return reader.header, reader.trailer, is_sound


def source_digest(reader: AudioReader) -> SourceDigest:
    """Digest of a recording, which is read to its end if its format is lossless. Raises BadInputError."""
    if reader.is_lossless:
        digest = SampleDigest()
        for block in reader.blocks():
            digest.update(block)
        return SourceDigest(DigestKind.SAMPLES, digest.value())
    value = reader.file_digest()
    if value is None:
        raise BadInputError(f"{reader.name}: cannot be read again")
    return SourceDigest(DigestKind.FILE, value)
