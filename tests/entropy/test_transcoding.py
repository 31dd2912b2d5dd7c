"""Streams at lower rates and with another coding of the indices."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from random_models import TINY, random_tensors

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    Block,
    ChannelCoding,
    DigestKind,
    EncodingRequest,
    Header,
    RateMode,
    SourceDigest,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Window,
    coded_block,
    verify,
)
from switchcodec_cli.bitstream.index_model import IndexModel
from switchcodec_cli.bitstream.modelled_payload import model_indices, restored_windows
from switchcodec_cli.bitstream.transcoding import TranscodeSettings, transcode
from switchcodec_cli.errors import BadInputError, UsageError

MODEL = IndexModel(random_tensors(TINY, 0))
PARAMETERS = StreamParameters(8000, 100, 8, TINY.experts, TINY.size, TINY.per_quantizer)
SOURCE = SourceDigest(DigestKind.FILE, bytes(range(16)))
REQUEST = EncodingRequest(effort=2)
HOP = PARAMETERS.hop


def load(_: Header) -> IndexModel:
    return MODEL


def favourite_block(experts: int, frames: int, random: np.random.Generator) -> Block:
    """A block whose indices the random model expects, so that modelled ones are smaller than plain ones."""
    mask = tuple(sorted(random.choice(PARAMETERS.experts, experts, replace=False).tolist()))
    books = MODEL.tensors.codebooks_of(np.isin(np.arange(PARAMETERS.experts), mask))
    context = MODEL.start(np.isin(np.arange(PARAMETERS.experts), mask)[None])
    indices = np.zeros((len(books), frames), np.int64)
    lane = np.zeros(1, np.int64)
    for t in range(frames):
        context.next_frame()
        for s, book in enumerate(books.tolist()):
            rank = max(0, s // PARAMETERS.codebooks_per_quantizer - 1)
            found = context.frequencies(lane, np.array([book]), rank)
            indices[s, t] = found[0].argmax() if random.random() < 0.9 else random.integers(TINY.size)
            context.update(MODEL.tensors.places[book, indices[s, t]][None])
    return coded_block(mask, indices.reshape(1 + experts, -1, frames).astype(np.uint16))


def make_stream(entropy_coded: bool, signals: int = 1, windows: int = 12) -> tuple[bytes, list[Window]]:
    """A stream of windows with various numbers of experts, and the windows."""
    random = np.random.default_rng(signals)
    made = []
    for number in range(windows):
        frames = 3 if number == windows - 1 else PARAMETERS.frames_per_window
        blocks = [favourite_block(number % 4, frames, random)]
        if signals == 2:
            second = [COPY, favourite_block(1, frames, random)][number % 2]
            blocks.append(second)
        if number == 5:
            blocks = [SILENT] * signals
        made.append(Window(frames, tuple(blocks)))
    header = Header(
        PARAMETERS,
        bytes(16),
        PARAMETERS.sample_rate,
        signals,
        ChannelCoding.MONO if signals == 1 else ChannelCoding.LEFT_RIGHT,
        RateMode.QUALITY,
        tags=(("title", "x"),),
        entropy_coded=entropy_coded,
    )
    file = io.BytesIO()
    writer = StreamWriter(file, header, REQUEST)
    for window in model_indices(PARAMETERS, MODEL, made) if entropy_coded else made:
        writer.write(window)
    samples = ((windows - 1) * PARAMETERS.frames_per_window + 3) * HOP
    writer.close(samples, SOURCE)
    return file.getvalue(), made


def changed(data: bytes, **settings) -> bytes:
    target = io.BytesIO()
    transcode(io.BytesIO(data), target, TranscodeSettings(**settings), load)
    assert verify(io.BytesIO(target.getvalue())).ok
    return target.getvalue()


def windows_in(data: bytes) -> list[Window]:
    reader = StreamReader(io.BytesIO(data))
    return list(restored_windows(reader.header, lambda: MODEL, None, iter(reader), 0, 5))  # type: ignore[arg-type]


@pytest.mark.parametrize("signals", [1, 2])
def test_plain_and_modelled_are_the_same_stream(signals: int) -> None:
    plain, windows = make_stream(False, signals)
    modelled, _ = make_stream(True, signals)
    assert len(modelled) < len(plain)
    assert windows_in(plain) == windows_in(modelled) == windows
    assert changed(plain, entropy_coded=True) == modelled
    assert changed(modelled, entropy_coded=False) == plain
    assert changed(modelled) == modelled
    trailer = StreamReader(io.BytesIO(modelled)).trailer
    assert trailer is not None
    assert (trailer.source, trailer.request) == (SOURCE, REQUEST)


@pytest.mark.parametrize("entropy_coded", [False, True])
def test_first_experts_are_kept(entropy_coded: bool) -> None:
    data, windows = make_stream(entropy_coded, 2)
    kept = windows_in(changed(data, experts=1))
    for window, original in zip(kept, windows, strict=True):
        for block, before in zip(window.blocks, original.blocks, strict=True):
            assert block.experts == before.experts[:1]
            assert np.array_equal(block.indices, before.indices[: 1 + len(block.experts)])


@pytest.mark.parametrize("entropy_coded", [False, True])
@pytest.mark.parametrize("share", [0.92, 0.97, 2.0])
def test_rate_is_kept_and_used(entropy_coded: bool, share: float) -> None:
    data, windows = make_stream(entropy_coded, windows=60)
    seconds = sum(window.frames for window in windows) * HOP / PARAMETERS.sample_rate
    kbps = share * 8e-3 * len(data) / seconds
    result = changed(data, kbps=kbps)
    real = 8e-3 * len(result) / seconds
    assert real <= kbps
    assert real >= 0.97 * min(kbps, 8e-3 * len(data) / seconds)
    counts = [len(block.experts) for window in windows_in(result) for block in window.blocks]
    most = [len(block.experts) for window in windows for block in window.blocks]
    limit = max(counts)
    assert all(
        count in (min(limit - 1, own), min(limit, own)) for count, own in zip(counts, most, strict=True)
    )


def test_rates_that_are_too_low() -> None:
    data, _ = make_stream(True)
    with pytest.raises(UsageError, match="too low"):
        changed(data, kbps=0.01)


def test_damaged_streams_are_refused() -> None:
    data, _ = make_stream(True)
    start = StreamReader(io.BytesIO(data)).header_bytes
    damaged = bytearray(data)
    damaged[start + 2] ^= 1
    with pytest.raises(BadInputError, match="window 0"):
        transcode(io.BytesIO(bytes(damaged)), io.BytesIO(), TranscodeSettings(), load)
    with pytest.raises(BadInputError, match="truncated"):
        transcode(io.BytesIO(data[:-1]), io.BytesIO(), TranscodeSettings(), load)


@pytest.mark.parametrize(
    "settings", [{"kbps": 1.0, "experts": 1}, {"kbps": 0.0}, {"kbps": float("nan")}, {"experts": -1}]
)
def test_impossible_settings(settings: dict) -> None:
    with pytest.raises(UsageError):
        TranscodeSettings(**settings)


def test_constant_rate_remains_constant() -> None:
    data, windows = make_stream(False)
    constant = [
        replace(w, blocks=(coded_block((0, 1), b.indices[[0, 1, 1]]),))
        for w in windows
        if len((b := w.blocks[0]).experts) >= 1
    ]
    header = replace(StreamReader(io.BytesIO(data)).header, rate_mode=RateMode.CONSTANT, experts_total=2)
    file = io.BytesIO()
    writer = StreamWriter(file, header)
    for window in constant:
        writer.write(window)
    writer.close(sum(window.frames for window in constant) * HOP)
    fewer = StreamReader(io.BytesIO(changed(file.getvalue(), experts=1)))
    assert (fewer.header.rate_mode, fewer.header.experts_total) == (RateMode.CONSTANT, 1)
