"""What the encoder writes does not depend on how the audio arrives."""

import hashlib
import io

import numpy as np
import pytest
import torch
from tiny_codecs import NAMES, audio, codec, latents_of, windows_of

from switchcodec_cli.bitstream import (
    BlockKind,
    BlockMode,
    DigestKind,
    EncodingRequest,
    SourceDigest,
    StreamReader,
    real_kbps,
    verify,
)
from switchcodec_cli.encoder import EncoderSettings, SourceFormat
from switchcodec_cli.encoder.search.beam_search import BeamSearch
from switchcodec_cli.encoder.settings import EFFORT_PRESETS
from switchcodec_cli.errors import UsageError


def in_blocks(name, samples, rate, sizes, known_length=True, **options):
    file = io.BytesIO()
    total = len(samples) if known_length else None
    settings = EncoderSettings(**options)
    source = SourceFormat(rate, samples.shape[1], total_samples=total)
    encoder = codec(name).encoder(file, source, settings)
    start = 0
    for size in sizes:
        encoder.write(samples[start : start + size])
        start += size
    if start < len(samples):
        encoder.write(samples[start:])
    encoder.close()
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rate", "channels", "effort"), [(16000, 1, 0), (8000, 2, 0), (44100, 2, 0), (22050, 1, 0), (22050, 1, 2)]
)
def test_blocks_of_any_size_give_the_same_bytes(name, rate, channels, effort):
    samples = audio(int(6.3 * rate) + 7, channels, rate)
    samples[2 * rate : 3 * rate] = 0
    whole = codec(name).encode(samples, rate, experts=2, effort=effort)
    random = np.random.default_rng(0)
    for most in (50, 5_000, 200_000):
        sizes = []
        while sum(sizes) < len(samples):
            sizes.append(int(random.integers(0, most) if most > 50 else random.integers(900, 1000)))
        assert in_blocks(name, samples, rate, sizes, experts=2, effort=effort) == whole


@pytest.mark.parametrize("name", NAMES)
def test_a_length_unknown_beforehand_changes_the_header_only(name):
    samples = audio(70_001, 1, 16000)
    known = in_blocks(name, samples, 16000, [30_000], experts=1)
    unknown = in_blocks(name, samples, 16000, [30_000], known_length=False, experts=1)
    assert len(known) == len(unknown) and known != unknown
    assert windows_of(known) == windows_of(unknown)
    reader = StreamReader(io.BytesIO(unknown))
    assert reader.header.total_samples is None
    assert reader.total_samples == 70_001


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("experts", [0, 2, 5])
def test_chunks_give_the_indices_of_one_run_over_the_whole(name, experts):
    this = codec(name)
    rate, size = this.sample_rate, this.parameters.frames_per_window
    samples = audio(11 * rate + 5, 1, rate)  # more than three chunks of eight windows
    windows = windows_of(this.encode(samples, rate, experts=experts, effort=0))
    quantizer, search = this.model.quantizer, BeamSearch(this.model.quantizer)
    z = latents_of(this, samples[:, 0])[None]
    with torch.inference_mode():
        assert sum(window.frames for window in windows) == z.shape[1]
        for number, window in enumerate(windows):
            part = z[:, number * size : (number + 1) * size]
            routed = quantizer.route(part, torch.tensor([experts]))
            first = (torch.arange(routed.shape[1]) < experts)[None]
            error, error_of_first = (
                (quantizer.encode(part, each)[1] - part).square().sum() for each in (routed, first)
            )
            mask = first if error_of_first < error else routed
            chosen = mask[0].nonzero()[:, 0]
            block = window.blocks[0]
            assert tuple(chosen.tolist()) == block.experts
            indices = search(part, mask, EFFORT_PRESETS[0].beam_width)[0, [0, *(chosen + 1)]]
            np.testing.assert_array_equal(block.indices, indices.numpy())


@pytest.mark.parametrize("name", NAMES)
def test_two_channels_are_coded_as_each_alone(name):
    """Where every expert codes each: otherwise they share the experts by need."""
    this = codec(name)
    experts = this.parameters.experts
    samples = audio(4 * this.sample_rate, 2, this.sample_rate)
    both = windows_of(this.encode(samples, this.sample_rate, experts=experts, effort=0))
    for channel in range(2):
        alone = windows_of(this.encode(samples[:, channel], this.sample_rate, experts=experts, effort=0))
        assert [window.blocks[channel] for window in both] == [window.blocks[0] for window in alone]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_rate_is_kept(channels):
    this = codec("spectral")
    seconds = 20
    samples = audio(seconds * 16000, channels, 16000)
    sizes = []
    for kbps in (2.5, 4.0, 7.5, 40.0):
        data = this.encode(samples, 16000, kbps=kbps, effort=0)
        sizes.append(len(data))
        reader = StreamReader(io.BytesIO(data))
        total = reader.header.experts_total
        assert (
            real_kbps(
                this.parameters, [BlockMode(BlockKind.CODED, total // channels + total % channels)] * channels
            )
            <= kbps + 0.7
        )
        packets = len(data) - reader.header_bytes - reader.trailer.size
        assert packets * 8 / seconds / 1000 <= kbps
    assert sizes == sorted(sizes)
    with pytest.raises(UsageError, match="attainable"):
        this.encode(samples, 16000, kbps=0.5)


def test_tags_and_lengths_go_into_the_header():
    data = codec("dac").encode(audio(999, 1, 8000), 8000, experts=0, tags={"title": "Löwe", "year": "1972"})
    header = StreamReader(io.BytesIO(data)).header
    assert dict(header.tags) == {"title": "Löwe", "year": "1972"}
    assert (header.total_samples, header.original_rate, header.channels) == (999, 8000, 1)
    assert verify(io.BytesIO(data)).ok


@pytest.mark.parametrize(
    ("samples", "rate", "options", "word"),
    [
        (np.zeros((10, 3)), 16000, {}, "one or two channels"),
        (np.zeros((10, 0)), 16000, {}, "one or two channels"),
        (np.zeros((2, 5, 2)), 16000, {}, "must have the shape"),
        (np.array([0.0, np.nan]), 16000, {}, "finite"),
        (np.array([0.0, np.inf]), 16000, {}, "finite"),
        (np.zeros(10), 0, {}, "rate"),
        (np.zeros(10), 10**7, {}, "rate"),
        (np.zeros(10), 16000, {"kbps": 5, "experts": 1}, "exclude each other"),
        (np.zeros(10), 16000, {"experts": 9}, "number of experts must be 0 to 8"),
        (np.zeros(10), 16000, {"experts": -1}, "number of experts must be 0 to 8"),
        (np.zeros(10), 16000, {"kbps": float("nan")}, "positive"),
    ],
)
def test_impossible_requests_are_refused(samples, rate, options, word):
    with pytest.raises(UsageError, match=word):
        codec("spectral").encode(samples, rate, **options)


def test_loud_and_clipped_audio_is_coded():
    this = codec("spectral")
    samples = np.clip(50 * audio(16000, 2, 16000), -1, 1)
    decoded, _ = this.decode(this.encode(samples, 16000, experts=8))
    assert np.isfinite(decoded).all()
    assert decoded.std() > 0.05


def test_equal_windows_are_copies_and_equal_files_are_dual_mono():
    this = codec("spectral")
    window = this.parameters.window_samples
    samples = audio(10 * window, 2, 16000)
    samples[4 * window : 7 * window, 1] = samples[4 * window : 7 * window, 0]
    kinds = [row.blocks[1].kind for row in windows_of(this.encode(samples, 16000, experts=2))]
    # where equal windows meet others, what the encoder hears of those may make a difference
    assert kinds[5] is BlockKind.COPY
    assert {kinds[number] for number in (0, 1, 2, 3, 7, 8, 9)} == {BlockKind.CODED}
    samples[:, 1] = samples[:, 0]
    data = this.encode(samples, 16000, experts=2)
    mono = this.encode(samples[:, 0], 16000, experts=2)
    assert windows_of(data) == windows_of(mono)
    both, single = this.decode(data)[0], this.decode(mono)[0]
    np.testing.assert_array_equal(both[:, 0], both[:, 1])
    np.testing.assert_array_equal(both[:, 0], single)


def trailer_of(data: bytes):
    return StreamReader(io.BytesIO(data)).trailer


def test_stream_stores_the_digest_of_the_samples_and_what_was_asked_for():
    samples = audio(12_000, 2, 16000)
    digest = hashlib.blake2b(samples.astype("<f4").tobytes(), digest_size=16).digest()
    this = codec("spectral")
    for data in (
        this.encode(samples, 16000, experts=1, effort=0),
        in_blocks("spectral", samples, 16000, [700, 1], known_length=False, experts=1, effort=0),
    ):
        assert trailer_of(data).source == SourceDigest(DigestKind.SAMPLES, digest)
        assert trailer_of(data).request == EncodingRequest(effort=0)
    data = this.encode(samples, 16000, quality=2.5, max_kbps=7.1234, effort=1)
    assert trailer_of(data).request == EncodingRequest(1, 2.5, 7123)
    integers = np.array([0, 16384, -32768], np.int16)
    digest = hashlib.blake2b(np.array([0, 0.5, -1], "<f4").tobytes(), digest_size=16).digest()
    assert trailer_of(this.encode(integers, 16000, effort=0)).source.value == digest


def test_digest_of_the_source_may_be_given():
    file, samples = io.BytesIO(), audio(3_000, 1, 16000)
    given = SourceDigest(DigestKind.FILE, bytes(range(16)))
    encoder = codec("spectral").encoder(file, SourceFormat(16000, 1), EncoderSettings(effort=0))
    encoder.write(samples)
    assert encoder.close(given).source == given
    assert trailer_of(file.getvalue()).source == given
