"""Tags of audio files, such as title and artist, as pairs of key and value.

Keys are those of Vorbis comments in upper case (TITLE, ARTIST, DATE, TRACKNUMBER, ...), whatever the format.
A key may occur several times. FLAC and MP3 take all tags; the other formats have fields for some of them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple, TypeAlias

from ..errors import SwcError
from ..storage import storage_of

TagPairs: TypeAlias = Sequence[tuple[str, str]]

MAX_READ_BYTES = 1 << 15  # of all tags; half of what a stream can hold

# Properties of the file, not tags, among what tinytag reports.
_PROPERTIES = frozenset(
    {
        "filename", "filesize", "mime_type", "is_lossless", "duration", "channels", "bitrate", "bitdepth",
        "samplerate",
    }
)  # fmt: skip
# Tags that describe the encoding of the file, or hold pictures.
_NOT_COPIED = frozenset(
    {
        "ENCODER", "ENCODED_BY", "ENCODEDBY", "ENCODER_SETTINGS", "ENCODERSETTINGS", "SOFTWARE", "ISFT",
        "ITUNSMPB", "ITUNNORM", "METADATA_BLOCK_PICTURE", "COVERART", "COVERARTMIME",
        "WAVEFORMATEXTENSIBLE_CHANNEL_MASK",
    }
)  # fmt: skip
_READ_NAMES = {  # names of tinytag that differ from the keys of Vorbis comments
    "YEAR": "DATE",
    "TRACK": "TRACKNUMBER",
    "TRACK_TOTAL": "TRACKTOTAL",
    "DISC": "DISCNUMBER",
    "DISC_TOTAL": "DISCTOTAL",
    "SET_SUBTITLE": "DISCSUBTITLE",
    "INITIAL_KEY": "INITIALKEY",
    "CATALOG_NUMBER": "CATALOGNUMBER",
    "URL": "WEBSITE",
}
_SYNONYMS = {"YEAR": "DATE", "TRACK": "TRACKNUMBER", "DESCRIPTION": "COMMENT", "DISC": "DISCNUMBER"}

_RIFF_FIELDS = {
    "TITLE": b"INAM",
    "ARTIST": b"IART",
    "ALBUM": b"IPRD",
    "DATE": b"ICRD",
    "TRACKNUMBER": b"ITRK",
    "GENRE": b"IGNR",
    "COMMENT": b"ICMT",
    "COPYRIGHT": b"ICOP",
    "COMPOSER": b"IMUS",
    "LYRICIST": b"IWRI",
    "LANGUAGE": b"ILNG",
    "PUBLISHER": b"IPUB",
    "ISRC": b"ISRC",
    "MEDIA": b"IMED",
}
_AIFF_FIELDS = {"TITLE": "title", "ARTIST": "artist", "COMMENT": "comment", "COPYRIGHT": "copyright"}
_LIBRARY_FIELDS = {
    **_AIFF_FIELDS,
    "ALBUM": "album",
    "DATE": "date",
    "TRACKNUMBER": "tracknumber",
    "GENRE": "genre",
    "LICENSE": "license",
}
_ID3_FRAMES = {
    "TITLE": b"TIT2",
    "ARTIST": b"TPE1",
    "ALBUM": b"TALB",
    "ALBUMARTIST": b"TPE2",
    "DATE": b"TDRC",
    "TRACKNUMBER": b"TRCK",
    "DISCNUMBER": b"TPOS",
    "GENRE": b"TCON",
    "COPYRIGHT": b"TCOP",
    "COMPOSER": b"TCOM",
    "LYRICIST": b"TEXT",
    "LANGUAGE": b"TLAN",
    "PUBLISHER": b"TPUB",
    "ISRC": b"TSRC",
    "CONDUCTOR": b"TPE3",
    "BPM": b"TBPM",
}
_FIELDS = {
    "WAV": frozenset(_RIFF_FIELDS),
    "AIFF": frozenset(_AIFF_FIELDS),
    "OGG": frozenset({*_LIBRARY_FIELDS, "TRACKTOTAL"}),
    "CAF": frozenset(_LIBRARY_FIELDS),
}
_COMPLETE_CONTAINERS = ("FLAC", "MP3")  # take every tag
_TOTALS = {"TRACKTOTAL": "TRACKNUMBER", "DISCTOTAL": "DISCNUMBER"}
_READ_BY_LIBRARY = (b"caff", b"RF64", b"BW64")  # first bytes of formats that tinytag does not know
_ID3_UTF8 = b"\3"


def read_tags(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The tags of an audio file.

    Tags that describe the encoding of the file, pictures, and tags beyond 32 KiB are left out. Control
    characters are removed from values.

    Args:
        path: of a file of any format; an unreadable file, or one without tags, gives an empty list.

    Raises:
        BadInputError: the file is at a URL and cannot be read.
    """
    name = os.fspath(path)
    try:
        with storage_of(name).open(name) as file:
            return _read_with_tinytag(file, name) or _read_with_library(file)
    except OSError:
        return []


def _read_with_tinytag(file: BinaryIO, name: str) -> list[tuple[str, str]]:
    """The tags of most formats. Raises BadInputError if the file cannot be read."""
    from tinytag import TinyTag

    try:
        found = TinyTag.get(name, file, duration=False).as_dict()
    except Exception as error:  # a parser of many formats that meets damaged files
        if isinstance(error.__cause__, SwcError):
            raise error.__cause__ from None
        return []
    pairs = []
    for field, values in found.items():
        if field not in _PROPERTIES:
            key = _READ_NAMES.get(field.upper(), field.upper())
            pairs += [(key, str(value)) for value in (values if isinstance(values, list) else [values])]
    return _allowed(pairs)


def _read_with_library(file: BinaryIO) -> list[tuple[str, str]]:
    """The tags of a format, such as CAF, that only libsndfile reads."""
    import soundfile

    from .sources import CallbackFile

    file.seek(0)
    if file.read(4) not in _READ_BY_LIBRARY:  # others may be damaged, which libmpg123 comments on
        return []
    file.seek(0)
    source = CallbackFile(file)
    try:
        with soundfile.SoundFile(source) as opened:
            found = opened.copy_metadata()
    except (OSError, RuntimeError, TypeError, ValueError):
        found = {}
    source.raise_error()
    return _allowed((name.upper(), value) for name, value in found.items())


def _allowed(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The tags that a stream can hold and that are worth it, without duplicates."""
    kept: dict[tuple[str, str], None] = {}
    left = MAX_READ_BYTES
    for key, value in pairs:
        key = "".join(character for character in key if " " <= character <= "~" and character != "=").strip()
        value = _printable(value)
        if not key or not value or key in _NOT_COPIED or (key, value) in kept:
            continue
        size = len(f"{key}={value}".encode()) + 2
        if size <= left:
            left -= size
            kept[key, value] = None
    return list(kept)


def _printable(value: str) -> str:
    """A value without control characters other than tab and line feed, and without surrogates."""
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character
        for character in text
        if character in "\t\n" or not (character < " " or 0x7F <= ord(character) < 0xA0)
        if not 0xD800 <= ord(character) < 0xE000
    ).strip()


def merge_tags(tags: TagPairs, overriding: TagPairs) -> tuple[tuple[str, str], ...]:
    """Tags, without those whose key occurs in `overriding` in any case, and then the overriding ones."""
    replaced = {key.casefold() for key, _ in overriding}
    return (*(pair for pair in tags if pair[0].casefold() not in replaced), *overriding)


class ContainerTags(NamedTuple):
    """What can be written of the tags of a stream into a container."""

    tags: tuple[tuple[str, str], ...]
    """With the usual keys."""
    omitted: tuple[str, ...]
    """Keys that the container has no field for."""


def tags_for(container: str, tags: TagPairs) -> ContainerTags:
    """Choose the tags that a container, such as "WAV", has fields for."""
    usual = [(_SYNONYMS.get(key.upper(), key.upper()), value) for key, value in tags]
    if container in _COMPLETE_CONTAINERS:
        return ContainerTags(tuple(usual), ())
    fields = _FIELDS.get(container, frozenset())
    omitted = dict.fromkeys(key for key, _ in usual if key not in fields)
    return ContainerTags(tuple(pair for pair in usual if pair[0] in fields), tuple(omitted))


def _joined(tags: TagPairs, separator: str) -> dict[str, str]:
    """Tags with one value for each key; a number of tracks becomes part of the track number, as in "3/12"."""
    values: dict[str, list[str]] = {}
    for key, value in tags:
        values.setdefault(key, []).append(value)
    for total, number in _TOTALS.items():
        if total in values and number in values and "/" not in values[number][0]:
            values[number] = [f"{values[number][0]}/{values.pop(total)[0]}"]
    return {key: separator.join(texts) for key, texts in values.items()}


def library_fields(tags: TagPairs) -> dict[str, str]:
    """Values of the string fields of libsndfile."""
    joined = _joined(tags, "; ")
    return {_LIBRARY_FIELDS[key]: value for key, value in joined.items() if key in _LIBRARY_FIELDS}


def riff_chunk(tags: TagPairs) -> bytes:
    """The chunk of a WAV file with the tags; empty without tags."""
    content = b""
    for key, value in _joined(tags, "; ").items():
        text = value.encode() + b"\0"
        content += _RIFF_FIELDS[key] + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
    return b"LIST" + struct.pack("<I", 4 + len(content)) + b"INFO" + content if content else b""


def id3_tag(tags: TagPairs) -> bytes:
    """An ID3 tag of version 2.4, for the start of an MP3 file; empty without tags."""
    frames = b""
    for key, value in _joined(tags, "\0").items():
        if key in _ID3_FRAMES:
            frames += _id3_frame(_ID3_FRAMES[key], _ID3_UTF8 + value.encode())
            continue
        for text in value.encode().split(b"\0"):
            if key == "COMMENT":  # in a language that is not known, without a description
                frames += _id3_frame(b"COMM", _ID3_UTF8 + b"XXX\0" + text)
            else:
                frames += _id3_frame(b"TXXX", _ID3_UTF8 + key.encode() + b"\0" + text)
    return b"ID3\4\0\0" + _sync_safe(len(frames)) + frames if frames else b""


def _id3_frame(name: bytes, content: bytes) -> bytes:
    return name + _sync_safe(len(content)) + b"\0\0" + content


def _sync_safe(number: int) -> bytes:
    """A number of 28 bits as four bytes of seven."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def vorbis_comments(vendor: bytes, tags: TagPairs) -> bytes:
    """The content of a block of Vorbis comments."""
    comments = [f"{key}={value}".encode() for key, value in tags]
    content = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments))
    return content + b"".join(struct.pack("<I", len(comment)) + comment for comment in comments)
