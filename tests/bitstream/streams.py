"""Random streams for the tests of the container."""

from __future__ import annotations

import io

import numpy as np

from switchcodec_cli.bitstream import (
    COPY,
    LEVEL_BANDS,
    SILENT,
    Block,
    BlockKind,
    ChannelCoding,
    Header,
    RateMode,
    StreamParameters,
    StreamWriter,
    Window,
    all_splits,
    coded_block,
    intensity_block,
)

FINGERPRINT = bytes(range(16))
SMALL = StreamParameters(
    sample_rate=8000, hop=10, frames_per_window=4, experts=4, codebook_size=16, codebooks_per_quantizer=1
)
SHIPPED = StreamParameters(44100, 512, 86, 8, 1024)


class Pipe(io.RawIOBase):
    """A file that cannot seek and gives few bytes at a time."""

    def __init__(self, data: bytes, most: int = 1000) -> None:
        self._data, self._at, self._most = data, 0, most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        count = self._most if size < 0 else min(size, self._most)
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


def random_block(parameters: StreamParameters, chosen: int, frames: int, rng: np.random.Generator) -> Block:
    """A coded block with random experts and indices."""
    experts = tuple(sorted(rng.choice(parameters.experts, chosen, replace=False).tolist()))
    shape = (1 + chosen, parameters.codebooks_per_quantizer, frames)
    return coded_block(experts, rng.integers(0, parameters.codebook_size, shape))


def make_header(
    parameters: StreamParameters = SMALL,
    coding: ChannelCoding = ChannelCoding.MONO,
    mode: RateMode = RateMode.CONSTANT,
    experts_total: int = 2,
    total_samples: int | None = None,
    original_rate: int | None = None,
    tags: tuple[tuple[str, str], ...] = (),
) -> Header:
    """A header with everything else filled in."""
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
    )


def random_windows(
    header: Header, total: int, rng: np.random.Generator, silence: float = 0.0
) -> list[Window]:
    """Windows for ``total`` samples, a share ``silence`` of the later blocks silent, copied or panned."""
    parameters, signals = header.parameters, header.signals
    frames = header.frames_in(total)
    windows = []
    while frames:
        here = min(frames, parameters.frames_per_window)
        frames -= here
        if header.experts_total is None:
            chosen = rng.integers(0, parameters.experts + 1, signals).tolist()
        else:
            splits = all_splits(header.experts_total, parameters, signals)
            chosen = splits[rng.integers(len(splits))]
        blocks = [random_block(parameters, count, here, rng) for count in chosen]
        if windows and rng.random() < silence:
            blocks[0] = SILENT
        if signals == 2 and windows and rng.random() < silence:
            derived = [COPY, intensity_block(rng.integers(0, 32, LEVEL_BANDS))]
            blocks[1] = derived[rng.integers(2)] if blocks[0].kind is BlockKind.CODED else SILENT
        windows.append(Window(here, tuple(blocks)))
    return windows


def write_stream(header: Header, windows: list[Window], total: int) -> bytes:
    """The bytes of a stream."""
    file = io.BytesIO()
    writer = StreamWriter(file, header)
    for window in windows:
        writer.write(window)
    writer.close(total)
    assert writer.budget.total == 8 * len(file.getvalue())
    return file.getvalue()


def make_stream(
    total: int, header: Header | None = None, seed: int = 0, silence: float = 0.0
) -> tuple[bytes, list[Window]]:
    """A stream of ``total`` samples and the windows in it."""
    header = header or make_header()
    windows = random_windows(header, total, np.random.default_rng(seed), silence)
    return write_stream(header, windows, total), windows
