"""Streams at lower rates and with another coding of the indices."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from layered_streams import stream_with_layers
from random_models import TINY, random_tensors
from random_waveform_models import SMALL_WAVEFORM, random_waveform_tensors
from streams import write_stream

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
from switchcodec_cli.bitstream.fewer_experts import ExpertReducer
from switchcodec_cli.bitstream.index_model import IndexModel
from switchcodec_cli.bitstream.modelled_payload import model_indices, restored_windows
from switchcodec_cli.bitstream.transcoding import (
    TranscodeSettings,
    _expected_sizes,
    _packet_bytes,
    transcode,
)
from switchcodec_cli.bitstream.waveform_model import WaveformModel
from switchcodec_cli.errors import BadInputError, UsageError

TENSORS = random_tensors(TINY, 0)
# The mask has no influence: in a random model, indices would cost more where an expert is dropped
MASKS = {name: np.zeros_like(getattr(TENSORS, name)) for name in ("input_mask", "context_mask")}
MODEL = IndexModel(replace(TENSORS, **MASKS))
WAVEFORM_TENSORS = random_waveform_tensors(SMALL_WAVEFORM, 0)
WAVEFORM_TENSORS.embedding[TINY.per_quantizer :] = 0  # experts refine what is expected, not more
WAVEFORM_MODEL = WaveformModel(WAVEFORM_TENSORS)
PARAMETERS = StreamParameters(8000, 100, 8, TINY.experts, TINY.size, TINY.per_quantizer)
SOURCE = SourceDigest(DigestKind.FILE, bytes(range(16)))
REQUEST = EncodingRequest(effort=2)
HOP = PARAMETERS.hop


def load(_: Header) -> IndexModel:
    return MODEL


def load_waveform(_: Header) -> WaveformModel:
    return WAVEFORM_MODEL


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
    transcode(io.BytesIO(data), target, TranscodeSettings(**settings), load, load_waveform)
    assert verify(io.BytesIO(target.getvalue())).ok
    return target.getvalue()


def windows_in(data: bytes) -> list[Window]:
    """Windows with plain indices and decoded layers."""
    reader = StreamReader(io.BytesIO(data))
    windows = restored_windows(reader.header, lambda: MODEL, lambda: WAVEFORM_MODEL, iter(reader), 0, 5)
    return list(windows)  # type: ignore[arg-type]


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
        transcode(io.BytesIO(bytes(damaged)), io.BytesIO(), TranscodeSettings(), load, load_waveform)
    with pytest.raises(BadInputError, match="truncated"):
        transcode(io.BytesIO(data[:-1]), io.BytesIO(), TranscodeSettings(), load, load_waveform)


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


def never(_: Header) -> WaveformModel:
    raise AssertionError("the waveform model is not needed")


def layered(signals: int = 1, windows: int = 12) -> bytes:
    """The entropy-coded stream with random waveform layers in most blocks."""
    return stream_with_layers(make_stream(True, signals, windows)[0], MODEL, WAVEFORM_MODEL)


@pytest.mark.parametrize("signals", [1, 2])
def test_layers_stay_as_they_are(signals: int) -> None:
    """With plain indices and back, without the waveform model."""
    data, plain, back, copy = layered(signals), io.BytesIO(), io.BytesIO(), io.BytesIO()
    transcode(io.BytesIO(data), plain, TranscodeSettings(entropy_coded=False), load, never)
    header = StreamReader(io.BytesIO(plain.getvalue())).header
    assert header.entropy_coded and header.waveform_layers
    windows = list(StreamReader(io.BytesIO(plain.getvalue())))
    assert not any(block.modelled for window in windows for block in window.blocks)
    assert any(block.waveform for window in windows for block in window.blocks)
    assert windows_in(plain.getvalue()) == windows_in(data) == windows
    transcode(io.BytesIO(plain.getvalue()), back, TranscodeSettings(entropy_coded=True), load, never)
    transcode(io.BytesIO(data), copy, TranscodeSettings(), load, never)
    assert back.getvalue() == copy.getvalue() == data


@pytest.mark.parametrize("experts", [0, 1, 2, 3])
def test_layers_of_fewer_experts(experts: int) -> None:
    """They become coarser with each expert that is dropped, and are left out where few are kept."""
    data = layered(1, 60)
    errors = {}
    for entropy_coded in (None, False):
        result = changed(data, experts=experts, entropy_coded=entropy_coded)
        assert StreamReader(io.BytesIO(result)).header.waveform_layers
        dropped_layers = 0
        for before, after in zip(windows_in(data), windows_in(result), strict=True):
            for old, new in zip(before.blocks, after.blocks, strict=True):
                dropped = len(old.experts) - len(new.experts)
                assert new.experts == old.experts[:experts]
                if dropped == 0:
                    assert new.waveform == old.waveform
                elif len(new.experts) < 2 or not old.waveform:
                    assert not new.waveform
                elif new.waveform:
                    dropped_layers += 1
                    assert new.waveform[0] == old.waveform[0] + 2 * dropped
                    assert old.coefficients is not None and new.coefficients is not None
                    error = new.coefficients - old.coefficients
                    kept = new.coefficients != 0
                    errors.setdefault(dropped, []).append(
                        np.square(error[kept]).sum() / np.square(old.coefficients[kept]).sum()
                    )
        assert dropped_layers > 5 or experts in (0, 1, 3)
    for values in errors.values():
        assert np.median(values) < 0.2


@pytest.mark.parametrize("entropy_coded", [None, False])
@pytest.mark.parametrize("share", [0.8, 0.95, 2.0])
def test_rate_of_layers(entropy_coded: bool | None, share: float) -> None:
    data = changed(layered(1, 60), entropy_coded=entropy_coded)
    seconds = (59 * PARAMETERS.frames_per_window + 3) * HOP / PARAMETERS.sample_rate
    kbps = share * 8e-3 * len(data) / seconds
    result = changed(data, kbps=kbps, entropy_coded=entropy_coded)
    real = 8e-3 * len(result) / seconds
    assert 0.93 * min(kbps, 8e-3 * len(data) / seconds) <= real <= kbps
    assert any(block.waveform for window in windows_in(result) for block in window.blocks)
    if share > 1:
        assert windows_in(result) == windows_in(data)


def test_damaged_layers_are_refused_where_they_are_decoded() -> None:
    reader = StreamReader(io.BytesIO(layered()))
    windows = list(reader)
    block = windows[3].blocks[0]
    windows[3] = replace(windows[3], blocks=(replace(block, waveform=b"\0" + block.waveform[1:]),))
    data = write_stream(reader.header, windows, reader.total_samples or 0)
    with pytest.raises(BadInputError, match=r"window 3 at .*waveform layer: its step is 0"):
        changed(data, experts=1)
    assert windows_in(changed(data))[4] == windows_in(data)[4]


def test_expected_sizes_are_those_of_the_packets() -> None:
    """The short last window included, whose frames are fewer than those of the others in its group."""
    windows = windows_in(layered(1, 12))
    header = StreamReader(io.BytesIO(layered(1, 12))).header
    reducer = ExpertReducer(PARAMETERS.experts, lambda: WAVEFORM_MODEL)
    for coder in (None, lambda: MODEL):
        expected = _expected_sizes(windows, header, reducer, coder)
        coded = windows if coder is None else model_indices(PARAMETERS, MODEL, windows)
        for number, (window, row) in enumerate(zip(coded, expected, strict=True)):
            assert abs(_packet_bytes(header, window) - row[PARAMETERS.experts]) < 3, number
            assert (np.diff(row) >= -1).all() or window.blocks[0].waveform
