"""Digests of recordings."""

import hashlib
import io

import numpy as np
import pytest
import soundfile
from signals import tones

from switchcodec_cli.audio import AudioReader
from switchcodec_cli.audio.digest import SampleDigest, file_digest
from switchcodec_cli.audio.formats import is_lossless


def digest_of(*blocks) -> bytes:
    digest = SampleDigest()
    for block in blocks:
        digest.update(block)
    return digest.value()


def test_samples_are_hashed_as_interleaved_float32():
    audio = tones(1000, 2)
    expected = hashlib.blake2b(audio.astype("<f4").tobytes(), digest_size=16).digest()
    assert digest_of(audio) == expected
    assert digest_of(audio[:1], audio[1:1], audio[1:]) == expected
    assert digest_of(np.asfortranarray(audio)) == expected
    assert digest_of(audio[:, ::-1]) != expected
    assert digest_of(np.zeros((0, 2), np.float32)) == digest_of()


def test_lossless_formats_have_the_same_digest(tmp_path):
    audio = (tones(3000, 2) * 2**23).astype(np.int32) * 256  # integers, which all are written exactly
    digests = set()
    for name in ("a.wav", "a.flac", "a.aiff", "a.w64"):
        soundfile.write(tmp_path / name, audio, 44100, subtype="PCM_24")
        with AudioReader(tmp_path / name) as reader:
            assert reader.is_lossless
            digests.add(digest_of(*reader.blocks(700)))
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_lossy_formats_are_identified_by_their_bytes(tmp_path, name):
    path = tmp_path / name
    soundfile.write(
        path, tones(48000), 48000, **({"format": "OGG", "subtype": "OPUS"} if "opus" in name else {})
    )
    expected = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    for source in (path, io.BytesIO(path.read_bytes())):
        with AudioReader(source) as reader:
            assert not reader.is_lossless
            list(reader.blocks())
            assert reader.file_digest() == expected


def test_position_of_a_file_is_kept():
    file = io.BytesIO(b"some bytes")
    file.seek(4)
    assert file_digest(file) == hashlib.blake2b(b"some bytes", digest_size=16).digest()
    assert file.tell() == 4


def test_lossless_codings():
    assert all(map(is_lossless, ("WAV/PCM_U8", "FLAC/PCM_16", "CAF/ALAC_24", "AIFF/FLOAT", "W64/DOUBLE")))
    assert not any(map(is_lossless, ("MP3/MPEG_LAYER_III", "OGG/OPUS", "WAV/ULAW", "FFMPEG/DECODED")))
