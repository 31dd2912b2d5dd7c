"""Decoding: exact lengths, any part, silence, damage, other weights."""

import io
import re
from functools import lru_cache

import numpy as np
import pytest
from tiny_codecs import NAMES, audio, codec, windows_of

from switchcodec_cli.bitstream import BlockKind, StreamReader, TruncatedError, verify
from switchcodec_cli.encoder import EncoderSettings, SourceFormat
from switchcodec_cli.errors import BadInputError, UsageError, WeightsError

TOLERANCE = 2e-4  # of full scale: the same search from other ends, in single precision


class Pipe(io.RawIOBase):
    """A file that cannot seek and gives few bytes at a time."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def readable(self):
        return True

    def read(self, size=-1):
        part = self._data[self._at : self._at + min(size if size >= 0 else 700, 700)]
        self._at += len(part)
        return part


@lru_cache
def stream(name, rate, channels, seconds=9.7, known_length=True):
    """A stream and what it decodes to (n, channels)."""
    frames = round(seconds * rate) + 1
    file = io.BytesIO()
    source = SourceFormat(rate, channels, total_samples=frames if known_length else None)
    encoder = codec(name).encoder(file, source, EncoderSettings(experts=3, effort=0))
    encoder.write(audio(frames, channels, rate))
    encoder.close()
    data = file.getvalue()
    return data, codec(name).decode(data)[0].reshape(frames, channels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_lengths_are_exact(name, rate, channels):
    this = codec(name)
    hop = this.model.hop * rate // this.sample_rate
    for frames in (0, 1, 2, 97, hop - 1, hop, hop + 1, rate // 3 + 1):
        samples = audio(frames, channels, rate)
        data = this.encode(samples if channels == 2 else samples[:, 0], rate, experts=1)
        assert verify(io.BytesIO(data)).ok
        decoded, decoded_rate = this.decode(data)
        assert decoded_rate == rate
        assert decoded.shape == ((frames,) if channels == 1 else (frames, 2))
        assert decoded.dtype == np.float32
        assert np.isfinite(decoded).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (8000, 2), (16000, 1), (16000, 2)])
def test_a_part_equals_the_same_span_of_the_whole(name, rate, channels):
    data, whole = stream(name, rate, channels)
    for start, duration in ((0, 1.5), (0.1, 0.3), (3.333, 2), (6.1, None), (9.6999, 5), (4, 0), (0.0, None)):
        part, _ = codec(name).decode(data, start=start, duration=duration)
        first = round(start * rate)
        stop = None if duration is None else first + round(duration * rate)
        expected = whole[first:stop].squeeze(1) if channels == 1 else whole[first:stop]
        assert part.shape == expected.shape
        np.testing.assert_allclose(part, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known_length", [True, False])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_pipe_decodes_as_a_file_does(name, known_length, rate):
    data, whole = stream(name, rate, 2, known_length=known_length)
    for start, duration in ((0.0, None), (2.5, 1.25), (5.0, None)):
        decoder = codec(name).decoder(Pipe(data), start=start, duration=duration)
        assert decoder.frames is None or known_length
        part = np.concatenate([np.zeros((0, 2), np.float32), *decoder.blocks()])
        first = round(start * rate)
        stop = None if duration is None else first + round(duration * rate)
        assert part.shape == whole[first:stop].shape
        np.testing.assert_allclose(part, whole[first:stop], atol=TOLERANCE, rtol=0)


def test_only_what_a_part_needs_is_read():
    data, _ = stream("dac", 8000, 1, seconds=60.0)

    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            part = super().read(size)
            self.count += len(part)
            return part

        def read1(self, size=-1):
            part = super().read1(size)
            self.count += len(part)
            return part

    file = Counting(data)
    part = np.concatenate(list(codec("dac").decoder(file, start=40, duration=1).blocks()))
    assert part.shape == (8000, 1)
    assert file.count < len(data) / 3


def test_the_frames_to_come_are_told_beforehand():
    data, whole = stream("dac", 8000, 1)
    assert codec("dac").decoder(io.BytesIO(data)).frames == len(whole)
    assert codec("dac").decoder(io.BytesIO(data), start=1).frames == len(whole) - 8000
    assert codec("dac").decoder(io.BytesIO(data), start=1, duration=0.5).frames == 4000
    assert codec("dac").decoder(io.BytesIO(data), start=9, duration=5).frames == len(whole) - 72000


@pytest.mark.parametrize(
    "options", [{"start": -1}, {"duration": -0.1}, {"start": 100}, {"phase_iterations": -1}]
)
def test_impossible_parts_are_refused(options):
    data, _ = stream("dac", 8000, 1)
    with pytest.raises(UsageError):
        codec("dac").decode(data, **options)


def test_fewer_phase_iterations_are_another_sound():
    data, whole = stream("spectral", 16000, 1)
    quick, _ = codec("spectral").decode(data, phase_iterations=0)
    assert quick.shape == whole[:, 0].shape
    assert np.abs(quick - whole[:, 0]).max() > 0.01
    part, _ = codec("spectral").decode(data, start=4, duration=1, phase_iterations=0)
    np.testing.assert_allclose(part, quick[4 * 16000 : 5 * 16000], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_silent_windows_decode_to_silence(name):
    this = codec(name)
    window = this.parameters.window_samples
    samples = audio(24 * window, 2, this.sample_rate)
    samples[6 * window : 12 * window] = 0
    samples[16 * window : 20 * window, 1] = 0
    data = this.encode(samples, this.sample_rate, experts=2)
    windows = windows_of(data)
    for number, row in enumerate(windows):
        silent = [block.kind is BlockKind.SILENT for block in row.blocks]
        assert silent == [6 <= number < 12, 6 <= number < 12 or 16 <= number < 20]
        if 16 <= number < 20 and name == "spectral":  # of the other, more experts make it no better
            assert len(row.blocks[0].experts) > 2  # what the silent signal leaves goes to the other
    decoded, _ = this.decode(data)
    ring = 256  # what came before may ring out
    assert np.abs(decoded[6 * window + ring : 12 * window]).max() == 0
    assert np.abs(decoded[16 * window + ring : 20 * window, 1]).max() == 0
    for first, last in ((0, 6), (12, 16), (20, 24)):
        assert np.abs(decoded[first * window : last * window]).max() > 0.01
    assert np.abs(decoded[16 * window : 20 * window, 0]).max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_silent_recording_is_small_and_silent(name):
    this = codec(name)
    data = this.encode(np.zeros((60 * 44100, 2), np.float32), 44100)
    assert len(data) < 1500
    assert np.abs(this.decode(data)[0]).max() == 0


def damaged(data, *numbers):
    """The stream with a byte changed in the packets of these windows."""
    reader = StreamReader(io.BytesIO(data))
    size = reader.trailer.packet_bytes
    assert size
    changed = bytearray(data)
    for number in numbers:
        changed[reader.header_bytes + number * size + size // 2] ^= 0x10
    return bytes(changed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_damage_is_refused_or_concealed(name, rate):
    data, whole = stream(name, rate, 1)
    this = codec(name)
    window = this.parameters.window_seconds
    bad = damaged(data, 5, 6, 11)
    with pytest.raises(BadInputError, match=f"window 5 at {5 * window:.3f} s") as caught:
        this.decode(bad)
    assert "\n" not in str(caught.value)

    decoder = this.decoder(io.BytesIO(bad), conceal=True)
    audible = np.concatenate(list(decoder.blocks()))
    assert [gap.index for gap in decoder.damage] == [5, 6, 11]
    assert decoder.damage[0].start == pytest.approx(5 * window, abs=1e-6)
    assert audible.shape == whole.shape and np.isfinite(audible).all()
    inside = slice(round((5 * window + 0.06) * rate), round((7 * window - 0.01) * rate))
    assert np.abs(audible[inside]).max() < 1e-3
    # far from the gaps nothing changes
    context = this.model.backbone.decoder_context() * this.model.hop / this.sample_rate + 0.01
    before = slice(0, round((5 * window - context) * rate))
    behind = slice(round((12 * window + context) * rate), None)
    for far in (before, behind):
        assert len(whole[far]) > 1000
        np.testing.assert_allclose(audible[far], whole[far], atol=TOLERANCE)
    # a part that the damage is not in decodes as ever
    start = 13 * window + context + 1.1  # the resampler's filter, too, looks around
    part, _ = this.decode(bad, start=start, duration=0.3)
    first = round(start * rate)
    np.testing.assert_allclose(part, whole[first : first + len(part), 0], atol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known_length", [True, False])
def test_a_truncated_stream_gives_every_complete_window(name, known_length):
    data, whole = stream(name, 16000, 1, known_length=known_length)
    this = codec(name)
    reader = StreamReader(io.BytesIO(data))
    size = reader.trailer.packet_bytes
    for cut in (reader.header_bytes + 7 * size + 5, reader.header_bytes + 7 * size, len(data) - 3):
        with pytest.raises(TruncatedError):
            this.decode(data[:cut])
        decoder = this.decoder(io.BytesIO(data[:cut]), conceal=True)
        part = np.concatenate([np.zeros((0, 1), np.float32), *decoder.blocks()])
        assert "truncated" in decoder.truncated
        windows = 7 if cut < len(data) - 100 else len(windows_of(data))
        complete = min(len(whole), round(windows * this.parameters.window_seconds * 16000))
        assert complete <= len(part) <= complete + this.model.hop * 16000 // this.sample_rate
        context = (this.model.backbone.decoder_context() + 1) * this.model.hop * 16000 // this.sample_rate
        sure = max(0, complete - context)
        np.testing.assert_allclose(part[:sure], whole[:sure], atol=TOLERANCE)


@pytest.mark.parametrize("known_length", [True, False])
@pytest.mark.parametrize("pipe", [True, False])
def test_concealment_delivers_everything_if_only_the_end_is_damaged(known_length, pipe):
    data, whole = stream("dac", 8000, 1, known_length=known_length)
    this = codec("dac")
    flipped = bytearray(data)
    flipped[-30] ^= 1
    whole_trailer = {"something follows": data + b"garbage", "another stream follows": data + data}
    no_trailer = {"trailer is damaged": bytes(flipped), "there is no trailer|truncated|no trailer": data[:-9]}
    for words, bad in (whole_trailer | no_trailer).items():
        file = Pipe(bad) if pipe else io.BytesIO(bad)
        with pytest.raises(BadInputError):
            this.decode(bad)
        decoder = this.decoder(file, conceal=True)
        audible = np.concatenate(list(decoder.blocks()))
        assert re.search(words, decoder.truncated) and decoder.damage == []
        if known_length or bad in whole_trailer.values():
            assert len(audible) == len(whole)
        else:  # the last latent frame may have too many samples
            assert len(whole) <= len(audible) < len(whole) + this.model.hop
        np.testing.assert_allclose(audible[: len(whole)], whole, atol=TOLERANCE)


def test_a_stream_of_other_weights_is_refused():
    data, _ = stream("dac", 8000, 1)
    with pytest.raises(WeightsError) as caught:
        codec("spectral").decode(data)
    for this in (codec("dac"), codec("spectral")):
        assert this.fingerprint.hex()[:12] in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0WAVE", bytes(200)])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises(BadInputError):
        codec("dac").decode(data)
