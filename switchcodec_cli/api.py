"""The Python API: audio to `.swc` streams and back."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .audio.samples import FloatSamples, as_samples
from .batch.decode_job import DecodeRequest, DecodeResult, FileDecoder
from .batch.encode_job import EncodeRequest, EncodeResult, FileEncoder
from .batch.plan import Job
from .bitstream import Header, StreamParameters, StreamReader, StreamWriter
from .decoder.stream import StreamDecoder
from .encoder import DEFAULT_EFFORT, EncoderSettings, SourceFormat, make_header
from .encoder.analysis import network_inputs
from .encoder.network_batch import encode_together
from .encoder.rate.control import RateAllocation
from .encoder.stream import FirstPass, StreamEncoder
from .errors import UsageError, WeightsError
from .model.codec_model import CodecModel
from .model.device import adapt_to_fork, choose_device
from .model.weights import load_weights
from .model.weights_registry import find_weights, find_weights_of
from .storage import is_same_file
from .tokens import Tokens


class Codec:
    """A model that is ready to encode and decode.

    Args:
        model: The model.
        fingerprint: Of its weights; stored in streams.
        provenance: How the weights were made.
        decodes_packaged: Decode streams of other packaged weights too, with those weights.

    Attributes:
        parameters: What readers of the streams must know of the model.
        has_index_model: Whether streams can be entropy-coded.
        has_waveform_model: Whether entropy-coded streams have waveform layers.
    """

    def __init__(
        self,
        model: CodecModel,
        fingerprint: bytes,
        provenance: Mapping[str, Any] | None = None,
        *,
        decodes_packaged: bool = False,
    ) -> None:
        self.model, self.fingerprint = model, fingerprint
        self.decodes_packaged = decodes_packaged
        self._packaged: dict[bytes, Codec] = {}  # codecs of other packaged weights, by fingerprint
        self.provenance = dict(provenance or {})
        self._process = os.getpid()
        self.has_index_model = model.index_tensors is not None
        self.has_waveform_model = model.waveform_tensors is not None
        config, quantizer = model.config, model.config.quantizer
        self.parameters = StreamParameters(
            sample_rate=config.sample_rate,
            hop=model.hop,
            frames_per_window=config.frames_per_window,
            experts=quantizer.experts,
            codebook_size=quantizer.codebook_size,
            codebooks_per_quantizer=quantizer.codebooks,
        )

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "auto") -> Codec:
        """Load weights.

        Args:
            weights: Name of packaged weights, or path of a weights file; the codec then uses these only. None
                for the default weights; streams that were made with other packaged weights are decoded
                with those, which are loaded once, when they are needed.
            device: "auto", "cpu", "cuda" or "cuda:N".

        Raises:
            WeightsError: The weights are missing or malformed.
            DeviceError: There is no such device.
        """
        chosen = choose_device(device)
        model, fingerprint, provenance = load_weights(find_weights(weights))
        return cls(model.to(chosen), fingerprint, provenance, decodes_packaged=weights is None)

    def to(self, device: str) -> Codec:
        """This codec on a device, for the process that calls it.

        Args:
            device: See `load`.

        Raises:
            DeviceError: There is no such device.
        """
        model = self.model.to(choose_device(device))
        return Codec(model, self.fingerprint, self.provenance, decodes_packaged=self.decodes_packaged)

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, in Hz."""
        return self.parameters.sample_rate

    def encode(
        self,
        audio: Any,
        sample_rate: int,
        *,
        kbps: float | None = None,
        experts: int | None = None,
        average_kbps: float | None = None,
        quality: float | None = None,
        max_kbps: float | None = None,
        effort: int = DEFAULT_EFFORT,
        cbr: bool = False,
        tags: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Encode a whole recording.

        Args:
            audio: Floating-point samples of full scale 1, or integers of 8, 16 or 32 bits, which are scaled;
                an array or a torch tensor. # (n,) or (n, channels)
            sample_rate: In Hz.
            kbps: Rate of the whole stream at most, over all channels, 2.67 by default. See `EncoderSettings`
                for this and the other forms of a rate.
            experts: Constant number of experts per window and signal.
            average_kbps: As kbps, also with weights without an index model.
            quality: 0 to 10.
            max_kbps: Limit for every window, with a rate of the whole stream or a quality.
            effort: Search effort, 0 (fastest) to 3 (best quality).
            cbr: Constant bit rate, with plain indices.
            tags: Stored in the stream: pairs of key and value, or a mapping.

        Returns:
            The bytes of a `.swc` file.

        Raises:
            UsageError: The audio or the settings cannot be encoded.
        """
        samples = as_samples(audio)
        settings = EncoderSettings(kbps, experts, average_kbps, quality, max_kbps, effort, cbr)
        return self._encode(samples, _source_format(samples, sample_rate, tags), settings)

    def tokenize(
        self,
        audio: Any,
        sample_rate: int,
        *,
        kbps: float | None = None,
        experts: int | None = None,
        average_kbps: float | None = None,
        quality: float | None = None,
        max_kbps: float | None = None,
        effort: int = DEFAULT_EFFORT,
        cbr: bool = False,
        tags: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Tokens:
        """The tokens of a whole recording: those of the stream that `encode` makes, see there.

        Raises:
            UsageError: The audio or the settings cannot be encoded.
        """
        samples = as_samples(audio)
        settings = EncoderSettings(kbps, experts, average_kbps, quality, max_kbps, effort, cbr)
        return self._tokens(self._encode(samples, _source_format(samples, sample_rate, tags), settings))

    def tokenize_batch(
        self,
        recordings: Sequence[Any],
        sample_rate: int | Sequence[int],
        *,
        kbps: float | None = None,
        experts: int | None = None,
        average_kbps: float | None = None,
        quality: float | None = None,
        max_kbps: float | None = None,
        effort: int = DEFAULT_EFFORT,
        cbr: bool = False,
    ) -> list[Tokens]:
        """The tokens of several recordings, which may differ in length, channels and sample rate.

        They are those of `tokenize`. At effort 0, the encoder network runs on many recordings at once; the
        rounding then differs, which changes an index where two codewords are equally near. At higher efforts
        the recordings are encoded one by one.

        Args:
            recordings: Samples of each, see `encode`.
            sample_rate: In Hz, of all or of each.
            kbps, experts, average_kbps, quality, max_kbps, effort, cbr: See `encode`.

        Raises:
            UsageError: A recording or the settings cannot be encoded.
        """
        settings = EncoderSettings(kbps, experts, average_kbps, quality, max_kbps, effort, cbr)
        rates = [sample_rate] * len(recordings) if isinstance(sample_rate, int) else list(sample_rate)
        if len(rates) != len(recordings):
            raise UsageError(f"{len(recordings)} recordings need as many sample rates, not {len(rates)}")
        samples = [as_samples(audio) for audio in recordings]
        sources = [_source_format(each, rate) for each, rate in zip(samples, rates, strict=True)]
        latents: Sequence[Sequence[Tensor] | None] = [None] * len(samples)
        if settings.effort == 0:
            resolved = settings.resolved(self.has_index_model)
            latents = self._latents(samples, [self._header(source, resolved) for source in sources])
        return [
            self._tokens(self._encode(each, source, settings, z))
            for each, source, z in zip(samples, sources, latents, strict=True)
        ]

    def detokenize(
        self, tokens: Tokens, *, phase_iterations: int | None = None
    ) -> tuple[npt.NDArray[np.float32], int]:
        """The audio of tokens.

        Args:
            tokens: Of this model.
            phase_iterations: See `decoder`.

        Returns:
            Samples (n,) or (n, 2), and the sample rate in Hz.

        Raises:
            WeightsError: The tokens are of other weights.
        """
        return self.decode(tokens.to_stream(plain=True), phase_iterations=phase_iterations)

    def decode(
        self,
        data: bytes,
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Decode the bytes of a `.swc` file.

        Args:
            data: The file.
            start, duration, conceal, phase_iterations: See `decoder`.

        Returns:
            Samples (n,) or (n, 2), and the sample rate in Hz.

        Raises:
            BadInputError: The stream is malformed, damaged or truncated.
            WeightsError: The stream was encoded with other weights.
        """
        decoder = self.decoder(
            io.BytesIO(data),
            start=start,
            duration=duration,
            conceal=conceal,
            phase_iterations=phase_iterations,
        )
        audio = np.concatenate([np.zeros((0, decoder.channels), np.float32), *decoder.blocks()])
        return (audio[:, 0] if decoder.channels == 1 else audio), decoder.sample_rate

    def encode_file(
        self,
        path: str | os.PathLike[str],
        output: str | os.PathLike[str],
        settings: EncoderSettings | None = None,
        *,
        channels: str = "auto",
        tags: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        copy_tags: bool = True,
        preserve_time: bool = False,
        force: bool = False,
    ) -> EncodeResult:
        """Encode an audio file into a `.swc` file, in constant memory.

        The output appears under its name when it is complete; after an error there is none.

        Args:
            path: Audio file of any supported format, or a URL such as "s3://bucket/a.wav", or "-" for
                standard input.
            output: File or URL to write, or "-" for standard output.
            settings: The rate and the effort; 2.67 kbps by default.
            channels: "auto" keeps mono and stereo, "mono" and "stereo" mix the channels.
            tags: Stored in the stream, instead of tags of the same keys in the input.
            copy_tags: Store the tags of the input.
            preserve_time: Give the output the modification time of the input.
            force: Overwrite an existing output.

        Returns:
            What was encoded: its length (`seconds`, `samples`), size (`output_bytes`) and rate (`kbps`).

        Raises:
            UsageError: The settings cannot be met, or the output exists.
            BadInputError: The input is not audio, damaged or truncated.
            SwcError: The output cannot be written.
        """
        request = EncodeRequest(settings or EncoderSettings(), channels, tags, copy_tags, preserve_time)
        return FileEncoder(self, request, force).run(_job(path, output), _NoProgress())

    def decode_file(
        self,
        path: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
        format: str | None = None,
        subtype: str | None = None,
        sample_rate: int | None = None,
        copy_tags: bool = True,
        preserve_time: bool = False,
        force: bool = False,
    ) -> DecodeResult:
        """Decode a `.swc` file into an audio file, in constant memory.

        The output appears under its name when it is complete; after an error there is none.

        Args:
            path: The `.swc` file, a URL, or "-" for standard input.
            output: File or URL to write, or "-" for standard output. Its suffix determines the format.
            start, duration, conceal, phase_iterations: See `decoder`.
            format: A suffix such as "flac" that takes precedence over that of the output.
            subtype: Coding of samples, such as "PCM_24", "FLOAT" or "VORBIS"; by default that of the format.
            sample_rate: Of the output, in Hz; by default that of the original, or the next higher one that
                the format supports.
            copy_tags: Write the tags of the stream, as far as the format has fields for them.
            preserve_time: Give the output the modification time of the input.
            force: Overwrite an existing output.

        Returns:
            What was decoded: its length (`seconds`, `samples`), how many samples were clipped (`clipped`),
            and what was concealed (`concealed`, `truncated`).

        Raises:
            UsageError: The format is not supported, or the output exists.
            BadInputError: The stream is malformed, damaged or truncated.
            WeightsError: The stream was encoded with other weights.
            SwcError: The output cannot be written.
        """
        request = DecodeRequest(
            start,
            duration,
            conceal,
            phase_iterations,
            format,
            subtype,
            sample_rate,
            copy_tags,
            preserve_time,
        )
        job = _job(path, output)
        request.check_output(job.output)
        return FileDecoder(self, request, force).run(job, _NoProgress())

    def encoder(
        self,
        file: BinaryIO,
        source: SourceFormat,
        settings: EncoderSettings | None = None,
        allocation: RateAllocation | None = None,
    ) -> StreamEncoder:
        """Make an encoder that takes blocks of audio and writes a stream.

        Args:
            file: Where to write; pipes will do.
            source: The audio.
            settings: The rate and the effort.
            allocation: From `first_pass`, where the audio can be read twice; without it an average rate is
                kept with half a minute of look-ahead.

        Raises:
            UsageError: The settings cannot be met.
        """
        adapt_to_fork(self.model.device, self._process)
        settings = (settings or EncoderSettings()).resolved(self.has_index_model)
        writer = StreamWriter(file, self._header(source, settings), settings.request)
        return StreamEncoder(self.model, writer, settings, allocation)

    def needs_first_pass(self, settings: EncoderSettings) -> bool:
        """Whether a first pass over the audio improves the allocation of the rate enough to pay for it."""
        resolved = settings.resolved(self.has_index_model)
        return resolved.average_kbps is not None and (resolved.effort >= 2 or not self.has_index_model)

    def first_pass(self, source: SourceFormat, settings: EncoderSettings) -> FirstPass:
        """Make a first pass for an average rate: it takes the blocks that the encoder will take.

        Raises:
            UsageError: The settings cannot be met, or have no average rate.
        """
        settings = settings.resolved(self.has_index_model)
        if settings.average_kbps is None:
            raise UsageError("a first pass is for an average rate only")
        adapt_to_fork(self.model.device, self._process)
        return FirstPass(self.model, self._header(source, settings), settings)

    def decoder(
        self,
        file: BinaryIO,
        *,
        start: float = 0.0,
        duration: float | None = None,
        conceal: bool = False,
        phase_iterations: int | None = None,
    ) -> StreamDecoder:
        """Make a decoder that reads a stream and yields blocks of audio.

        Args:
            file: The stream; pipes will do.
            start: Where to begin, in seconds.
            duration: How much to decode, in seconds; None for all.
            conceal: Replace damaged windows by silence instead of raising an error.
            phase_iterations: Iterations of Griffin-Lim; None for the model's own number.

        Raises:
            BadInputError: This is not a stream.
            WeightsError: The stream was encoded with other weights.
        """
        reader = StreamReader(file)
        model = self._codec_of(reader.header).model
        adapt_to_fork(model.device, self._process)
        return StreamDecoder(model, reader, start, duration, conceal, phase_iterations)

    def _codec_of(self, header: Header) -> Codec:
        """The codec with the weights of a stream: this one, or one of other packaged weights.

        Raises:
            WeightsError: There are no such weights.
        """
        fingerprint = header.fingerprint
        codec = self if fingerprint == self.fingerprint else self._packaged.get(fingerprint)
        if codec is None and self.decodes_packaged:
            model, _, provenance = load_weights(find_weights_of(fingerprint))
            codec = Codec(model.to(self.model.device), fingerprint, provenance)
            self._packaged[fingerprint] = codec
        if codec is None or header.parameters != codec.parameters:
            raise WeightsError(
                f"the stream was encoded with weights {fingerprint.hex()[:12]}, "
                f"but those loaded are {self.fingerprint.hex()[:12]}"
            )
        return codec

    def _encode(
        self,
        samples: FloatSamples,
        source: SourceFormat,
        settings: EncoderSettings,
        latents: Sequence[Tensor] | None = None,
    ) -> bytes:
        """The stream of a recording (n, channels); `latents` of the encoder network if they are known."""
        adapt_to_fork(self.model.device, self._process)
        settings = settings.resolved(self.has_index_model)
        header = self._header(source, settings)
        allocation = None
        if self.needs_first_pass(settings):
            first_pass = FirstPass(self.model, header, settings, latents)
            first_pass.write(samples)
            allocation = first_pass.close()
        file = io.BytesIO()
        writer = StreamWriter(file, header, settings.request)
        with StreamEncoder(self.model, writer, settings, allocation, latents) as encoder:
            encoder.write(samples)
        return file.getvalue()

    def _tokens(self, stream: bytes) -> Tokens:
        """The tokens of a stream of this codec."""
        return Tokens.from_stream(stream, lambda _: self.model.index_model)

    @torch.inference_mode(False)  # the refiner needs gradients
    def _latents(self, samples: Sequence[FloatSamples], headers: Sequence[Header]) -> list[list[Tensor]]:
        """Latents of each run of the encoder network for recordings (n, channels)."""
        adapt_to_fork(self.model.device, self._process)
        inputs = [
            network_inputs(self.model, header, each) for header, each in zip(headers, samples, strict=True)
        ]
        latents = iter(encode_together(self.model, [audio for each in inputs for audio in each]))
        return [list(islice(latents, len(each))) for each in inputs]

    def _header(self, source: SourceFormat, settings: EncoderSettings) -> Header:
        return make_header(
            self.parameters,
            self.fingerprint,
            source,
            settings,
            self.has_index_model,
            self.has_waveform_model,
        )


def _source_format(
    samples: FloatSamples, sample_rate: int, tags: Mapping[str, str] | Sequence[tuple[str, str]] = ()
) -> SourceFormat:
    """What is known of a whole recording. # (n, channels)"""
    channels = samples.shape[1]
    return SourceFormat(
        sample_rate,
        channels,
        dual_mono=channels == 2 and bool((samples[:, 0] == samples[:, 1]).all()),
        total_samples=len(samples),
        tags=tags or (),
    )


class _NoProgress:
    """Ignores the progress of a file."""

    def start(self, name: str, seconds: float | None) -> None:
        """A file begins."""

    def advance(self, seconds: float) -> None:
        """So many more seconds of audio are done."""


def _job(path: str | os.PathLike[str], output: str | os.PathLike[str]) -> Job:
    """The conversion of one file. Raises UsageError if it would replace its input."""
    if is_same_file(path, output):
        raise UsageError(f"{os.fspath(path)}: its output would replace it")
    return Job(os.fspath(path), os.fspath(output))
