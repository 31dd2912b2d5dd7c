"""Tags: notes in the form of KEY=value (section 5 of the specification)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from ..errors import BadInputError, UsageError
from .byte_source import TakeBytes
from .errors import TruncatedError

MIN_TAGS_BYTES = 14  # one tag with a key of one character and an empty value
MAX_TAGS_BYTES = 1 << 16

Tags = tuple[tuple[str, str], ...]  # pairs of key and value

_START = struct.Struct("<IH")  # length of the block, number of tags
_SIZE = struct.Struct("<H")  # of a tag
_CRC_BYTES = 4


def tag_error(key: str, value: str) -> str | None:
    """Why key and value cannot be a tag; None if they can."""
    if not key or any(not " " <= character <= "~" or character == "=" for character in key):
        return "a key is one or more printable ASCII characters other than '='"
    if any(map(_forbidden_in_value, value)):
        return "a value is Unicode text without control characters other than tab and line feed"
    return None


def _forbidden_in_value(character: str) -> bool:
    code_point = ord(character)
    control = (code_point < 0x20 and character not in "\t\n") or 0x7F <= code_point < 0xA0
    surrogate = 0xD800 <= code_point < 0xE000
    return control or surrogate


def check_tags(tags: Iterable[tuple[str, str]]) -> None:
    """Raises UsageError unless these tags can be stored in a stream."""
    sizes = []
    for key, value in tags:
        error = tag_error(key, value)
        if error:
            raise UsageError(f"tag {key!r}: {error}")
        sizes.append(len(f"{key}={value}".encode()))
        if sizes[-1] > 0xFFFF:
            raise UsageError(f"tag {key!r} is longer than 65535 bytes")
    length = _START.size + sum(_SIZE.size + size for size in sizes) + _CRC_BYTES
    if length > MAX_TAGS_BYTES:
        raise UsageError(f"the tags take {length} bytes, more than {MAX_TAGS_BYTES}")


def encode_tags(tags: Tags) -> bytes:
    """The tags block; empty without tags. The tags must have passed check_tags."""
    if not tags:
        return b""
    texts = [f"{key}={value}".encode() for key, value in tags]
    entries = b"".join(_SIZE.pack(len(text)) + text for text in texts)
    block = _START.pack(_START.size + len(entries) + _CRC_BYTES, len(tags)) + entries
    return block + zlib.crc32(block).to_bytes(_CRC_BYTES, "little")


def read_tags(take: TakeBytes) -> Tags:
    """Reads a tags block.

    Raises:
        BadInputError: the block is truncated, damaged or breaks a rule of the format.
    """
    start = take(_START.size)
    if len(start) < _START.size:
        raise TruncatedError("the file ends within its tags")
    length, count = _START.unpack(start)
    if not MIN_TAGS_BYTES <= length <= MAX_TAGS_BYTES:
        raise BadInputError(
            f"the tags claim {length} bytes; {MIN_TAGS_BYTES} to {MAX_TAGS_BYTES} are allowed"
        )
    rest = take(length - len(start))
    if len(start) + len(rest) < length:
        raise TruncatedError("the file ends within its tags")
    entries, crc = rest[:-_CRC_BYTES], rest[-_CRC_BYTES:]
    if zlib.crc32(entries, zlib.crc32(start)) != int.from_bytes(crc, "little"):
        raise BadInputError("the tags are damaged (wrong checksum)")
    return _parse_entries(entries, count)


def _parse_entries(entries: bytes, count: int) -> Tags:
    tags = []
    at = 0
    for _ in range(count):
        text_at = at + _SIZE.size
        at = text_at + int.from_bytes(entries[at:text_at], "little")
        if at > len(entries):
            raise BadInputError("a tag extends beyond the tags block")
        tags.append(_parse_tag(entries[text_at:at]))
    if at != len(entries) or not tags:
        raise BadInputError("the tags block does not end with its last tag")
    return tuple(tags)


def _parse_tag(data: bytes) -> tuple[str, str]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadInputError("a tag is not UTF-8") from None
    key, equals, value = text.partition("=")
    if not equals or tag_error(key, value):
        raise BadInputError("a tag is not a valid KEY=value")
    return key, value
