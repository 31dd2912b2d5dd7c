"""Random streams, and files to read them from, for the tests of the container."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from switchcodec_cli.bitstream import (
    COPY,
    LEVEL_BANDS,
    SILENT,
    Block,
    BlockKind,
    ChannelCoding,
    DigestKind,
    EncodingRequest,
    Header,
    RateMode,
    SourceDigest,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Trailer,
    Window,
    all_splits,
    coded_block,
    intensity_block,
    modelled_block,
)

FINGERPRINT = bytes(range(16))
SOURCE = SourceDigest(DigestKind.FILE, bytes(range(100, 116)))
REQUEST = EncodingRequest(effort=3, quality=6.125, max_bits_per_second=24000)
SMALL = StreamParameters(
    sample_rate=8000, hop=10, frames_per_window=4, experts=4, codebook_size=16, codebooks_per_quantizer=1
)
PACKETS = {  # forms of packets, as arguments of make_header
    "plain": {},
    "entropy-coded": {"entropy_coded": True},
    "waveform layers": {"entropy_coded": True, "waveform_layers": True},
}
LARGE = StreamParameters(44100, 512, 86, 8, 1024)  # windows of one second, as in practice


class Pipe(io.RawIOBase):
    """A file that cannot seek and returns at most ``limit`` bytes per call."""

    def __init__(self, data: bytes, limit: int = 1000) -> None:
        self._data, self._at, self._limit = data, 0, limit

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        count = self._limit if size < 0 else min(size, self._limit)
        part = self._data[self._at : self._at + count]
        self._at += len(part)
        return part


class CountingFile(io.BytesIO):
    """A seekable file that counts the bytes read from it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data

    def read1(self, size: int | None = -1) -> bytes:
        data = super().read1(size)
        self.count += len(data)
        return data


def random_block(parameters: StreamParameters, count: int, frames: int, rng: np.random.Generator) -> Block:
    """A coded block with random indices of ``count`` random experts."""
    mask = tuple(sorted(rng.choice(parameters.experts, count, replace=False).tolist()))
    shape = (1 + count, parameters.codebooks_per_quantizer, frames)
    return coded_block(mask, rng.integers(0, parameters.codebook_size, shape))


def with_random_payload(
    parameters: StreamParameters, block: Block, frames: int, rng: np.random.Generator
) -> Block:
    """Most coded blocks with random bytes as their modelled indices, the others as they are."""
    plain_bytes = parameters.plain_bytes(len(block.experts), frames)
    if block.kind is not BlockKind.CODED or plain_bytes < 2 or rng.random() < 0.3:
        return block
    return modelled_block(block.experts, rng.bytes(int(rng.integers(1, plain_bytes))))


def with_random_layer(block: Block, rng: np.random.Generator) -> Block:
    """Most coded blocks with random bytes as their waveform layer, the others as they are."""
    if block.kind is not BlockKind.CODED or rng.random() < 0.3:
        return block
    return replace(block, waveform=rng.bytes(int(rng.integers(1, 31))))


def make_header(
    parameters: StreamParameters = SMALL,
    coding: ChannelCoding = ChannelCoding.MONO,
    mode: RateMode = RateMode.CONSTANT,
    experts_total: int = 2,
    total_samples: int | None = None,
    original_rate: int | None = None,
    tags: tuple[tuple[str, str], ...] = (),
    entropy_coded: bool = False,
    waveform_layers: bool = False,
) -> Header:
    """A header with defaults for all fields."""
    return Header(
        parameters=parameters,
        fingerprint=FINGERPRINT,
        original_rate=original_rate or parameters.sample_rate,
        channels=1 if coding == ChannelCoding.MONO else 2,
        channel_coding=coding,
        rate_mode=mode,
        experts_total=experts_total if mode == RateMode.CONSTANT else None,
        nominal_bits_per_second=2670,
        total_samples=total_samples,
        tags=tags,
        entropy_coded=entropy_coded,
        waveform_layers=waveform_layers,
    )


def random_windows(
    header: Header, total: int, rng: np.random.Generator, derived: float = 0.0
) -> list[Window]:
    """Windows for ``total`` samples; after the first, a share ``derived`` of the blocks is not coded.

    In an entropy-coded stream, most coded blocks have random bytes in place of indices, and in a stream with
    waveform layers some have random bytes as their layer.
    """
    parameters, signals = header.parameters, header.signals
    frames = header.frames_in(total)
    windows: list[Window] = []
    while frames:
        here = min(frames, parameters.frames_per_window)
        frames -= here
        if header.experts_total is None:
            counts = rng.integers(0, parameters.experts + 1, signals).tolist()
        else:
            splits = all_splits(header.experts_total, parameters, signals)
            counts = splits[rng.integers(len(splits))]
        blocks = [random_block(parameters, count, here, rng) for count in counts]
        if windows and rng.random() < derived:
            blocks[0] = SILENT
        if signals == 2 and windows and rng.random() < derived:
            choices = [COPY, intensity_block(rng.integers(0, 32, LEVEL_BANDS).tolist())]
            blocks[1] = choices[rng.integers(2)] if blocks[0].kind is BlockKind.CODED else SILENT
        if header.entropy_coded:
            blocks = [with_random_payload(parameters, block, here, rng) for block in blocks]
        if header.waveform_layers:
            blocks = [with_random_layer(block, rng) for block in blocks]
        windows.append(Window(here, tuple(blocks)))
    return windows


def write_stream(
    header: Header,
    windows: list[Window],
    total: int,
    source: SourceDigest | None = None,
    request: EncodingRequest | None = None,
) -> bytes:
    """The bytes of a stream."""
    file = io.BytesIO()
    writer = StreamWriter(file, header, request)
    for window in windows:
        writer.write(window)
    writer.close(total, source)
    assert writer.budget.total == 8 * len(file.getvalue())
    return file.getvalue()


def make_stream(
    total: int,
    header: Header | None = None,
    seed: int = 0,
    derived: float = 0.0,
    source: SourceDigest | None = None,
    request: EncodingRequest | None = None,
) -> tuple[bytes, list[Window]]:
    """A stream of ``total`` samples and the windows in it; see random_windows."""
    header = header or make_header()
    windows = random_windows(header, total, np.random.default_rng(seed), derived)
    return write_stream(header, windows, total, source, request), windows


def trailer_of(data: bytes) -> Trailer:
    """The trailer of a sound stream."""
    trailer = StreamReader(io.BytesIO(data)).trailer
    assert trailer is not None
    return trailer


def packet_sizes_of(data: bytes) -> list[int]:
    """Sizes of the packets of a sound stream."""
    return [len(packet.data) for packet in StreamReader(io.BytesIO(data)).packets()]
