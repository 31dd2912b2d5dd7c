"""Tags of audio files: reading, writing, and what survives in which format."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from signals import ENVIRONMENT, tones

from switchcodec_cli.audio import AudioReader, AudioWriter, merge_tags, read_tags
from switchcodec_cli.audio.edit_file import replace_bytes
from switchcodec_cli.bitstream import check_tags

USUAL = (
    ("TITLE", "Löwe im Käfig"),
    ("ARTIST", "Анна"),
    ("ALBUM", "Field trip"),
    ("DATE", "1972-03-04"),
    ("TRACKNUMBER", "3"),
    ("GENRE", "Interview"),
    ("COMMENT", "at noon; rain"),
)
MORE = (
    ("ARTIST", "Second artist"),
    ("TRACKTOTAL", "12"),
    ("ALBUMARTIST", "Various"),
    ("COPYRIGHT", "CC0"),
    ("SHELFMARK", "A/17 = b"),
    ("SHELFMARK", "B/18"),
)


def write(path, tags, audio=None, rate=44100, **how):
    audio = tones(3000, 1) if audio is None else audio
    with AudioWriter(path, rate, audio.shape[1], tags=tags, **how) as writer:
        writer.write(audio)
    return writer


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_usual_tags_are_written_and_read(tmp_path, suffix):
    path, audio = tmp_path / f"a.{suffix}", tones(9000, 2, 48000)
    writer = write(path, USUAL, audio, 48000)
    assert writer.omitted_tags == ()
    assert sorted(read_tags(path)) == sorted(USUAL)
    write(tmp_path / f"plain.{suffix}", (), audio, 48000)
    assert read_tags(tmp_path / f"plain.{suffix}") == []
    # the audio is not touched
    with AudioReader(path) as tagged, AudioReader(tmp_path / f"plain.{suffix}") as plain:
        np.testing.assert_array_equal(tagged.read(), plain.read())
    assert sorted(os.listdir(tmp_path)) == [f"a.{suffix}", f"plain.{suffix}"]


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_every_tag_survives_in_flac_and_mp3(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    assert write(path, USUAL + MORE).omitted_tags == ()
    assert sorted(read_tags(path)) == sorted(USUAL + MORE)
    assert soundfile.info(path).frames == pytest.approx(3000, abs=0 if suffix == "flac" else 2000)


def test_formats_with_few_fields_say_what_they_omit(tmp_path):
    omitted = {
        suffix: write(tmp_path / f"a.{suffix}", USUAL + MORE).omitted_tags
        for suffix in ("wav", "ogg", "aiff", "caf", "au", "raw")
    }
    assert omitted["wav"] == ("TRACKTOTAL", "ALBUMARTIST", "SHELFMARK")
    assert omitted["ogg"] == ("ALBUMARTIST", "SHELFMARK")
    assert "DATE" in omitted["aiff"] and "TITLE" in omitted["au"] and "TITLE" in omitted["raw"]
    found = dict(read_tags(tmp_path / "a.ogg"))
    assert (found["TRACKNUMBER"], found["TRACKTOTAL"]) == ("3", "12")
    assert found["ARTIST"] == "Анна; Second artist" and found["COPYRIGHT"] == "CC0"
    assert dict(read_tags(tmp_path / "a.aiff"))["TITLE"] == "Löwe im Käfig"
    assert dict(read_tags(tmp_path / "a.caf"))["DATE"] == "1972-03-04"


def test_keys_of_other_spelling_find_their_field(tmp_path):
    write(tmp_path / "a.wav", (("title", "x"), ("Year", "1972"), ("description", "y")))
    assert sorted(read_tags(tmp_path / "a.wav")) == [("COMMENT", "y"), ("DATE", "1972"), ("TITLE", "x")]


def test_wav_with_tags_of_odd_length_and_unknown_length(tmp_path):
    for frames in (None, 3000):
        write(tmp_path / "a.wav", (("TITLE", "ab"), ("ARTIST", "abc")), frames=frames, force=True)
        assert soundfile.info(tmp_path / "a.wav").frames == 3000
        with soundfile.SoundFile(tmp_path / "a.wav") as file:
            assert (file.title, file.artist) == ("ab", "abc")


def test_pipes_and_file_objects_get_no_tags():
    buffer = io.BytesIO()
    writer = write(buffer, USUAL, frames=3000)
    assert len(buffer.getvalue()) == 44 + 6000 and len(writer.omitted_tags) == len(USUAL)


def test_tags_of_empty_audio(tmp_path):
    for suffix in ("wav", "flac", "ogg"):
        write(tmp_path / f"a.{suffix}", USUAL, tones(0, 1))
        assert (tmp_path / f"a.{suffix}").exists()


def test_read_tags_can_be_stored_in_a_stream(tmp_path):
    tags = (
        ("TITLE", "a\r\nb\x01\x1b[31mc\x85"),
        ("LYRICS", "x" * 40_000),
        ("Ключ", "no ASCII in the key"),
        ("COMMENT", "  "),
        ("ENCODER", "x"),
        ("METADATA_BLOCK_PICTURE", "x"),
    )
    write(tmp_path / "a.flac", tags)
    found = read_tags(tmp_path / "a.flac")
    check_tags(found)
    assert ("TITLE", "a\nb[31mc") in found
    assert {key for key, _ in found} <= {"TITLE"}


def test_unreadable_files_have_no_tags(tmp_path):
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "cut.flac").write_bytes(b"fLaC\x04\xff\xff\xff\x10\0\0\0")
    for path in (tmp_path / "missing.wav", tmp_path, tmp_path / "noise.mp3", tmp_path / "cut.flac"):
        assert read_tags(path) == []


def test_merged_tags():
    tags = (("TITLE", "a"), ("ARTIST", "b"), ("ARTIST", "c"))
    assert merge_tags(tags, (("artist", "d"),)) == (("TITLE", "a"), ("artist", "d"))
    assert merge_tags(tags, ()) == tags


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_bytes_are_replaced_in_place(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("switchcodec_cli.audio.edit_file._PIECE", piece)
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    replace_bytes(path, 10, 3, b"abcdefgh")
    assert path.read_bytes() == bytes(range(10)) + b"abcdefgh" + bytes(range(13, 100))
    with pytest.raises(ValueError, match="shortened"):
        replace_bytes(path, 0, 5, b"abcd")


def test_tinytag_is_imported_only_to_read_tags():
    program = "import sys, switchcodec_cli.audio; print('tinytag' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT)
    assert result.stdout == "False\n", result.stderr


def test_damaged_files_are_not_commented_on(tmp_path, capfd):
    write(tmp_path / "a.mp3", USUAL, tones(50000, 1))
    data = (tmp_path / "a.mp3").read_bytes()
    for cut in (20, 300, len(data) // 2):
        (tmp_path / "cut.mp3").write_bytes(data[cut:])
        read_tags(tmp_path / "cut.mp3")
    assert capfd.readouterr().err == ""
