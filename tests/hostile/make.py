"""Writes the hostile files of this folder and expected.json, the outcome that is expected of each.

python tests/hostile/make.py

It shares no code with the package, so that an error there cannot hide itself here.
"""

from __future__ import annotations

import binascii
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
SILENT, COPY, INTENSITY = 5, 6, 7  # mode fields with four experts: four bits each
F, HOP, RATE = 4, 10, 8000  # latent frames per window, samples per frame, Hz
UNKNOWN = 2**64 - 1

HEADER = {
    "magic": (b"\x89SWC", "4s"),
    "major": (1, "B"),
    "minor": (0, "B"),
    "length": (64, "H"),
    "flags": (0, "I"),
    "fingerprint": (bytes(range(16)), "16s"),
    "codec_rate": (RATE, "I"),
    "original_rate": (RATE, "I"),
    "total": (UNKNOWN, "Q"),
    "hop": (HOP, "H"),
    "frames": (F, "H"),
    "experts": (4, "B"),
    "stages": (1, "B"),
    "largest_index": (15, "H"),
    "channels": (1, "B"),
    "coding": (0, "B"),
    "mode": (2, "B"),
    "experts_total": (0xFF, "B"),
    "nominal": (2670, "I"),
}


def header(extra: bytes = b"", crc: int | None = None, **changes) -> bytes:
    """A header with some fields changed; its CRC is right unless given."""
    fields = [struct.pack("<" + form, changes.get(name, value)) for name, (value, form) in HEADER.items()]
    data = b"".join(fields) + extra
    return data + struct.pack("<I", zlib.crc32(data) if crc is None else crc)


def tags(
    entries: list[bytes], length: int | None = None, count: int | None = None, crc: int | None = None
) -> bytes:
    """A tags block; what is given replaces the right length, count or CRC."""
    body = b"".join(struct.pack("<H", len(entry)) + entry for entry in entries)
    start = struct.pack(
        "<IH", len(body) + 10 if length is None else length, len(entries) if count is None else count
    )
    return start + body + struct.pack("<I", zlib.crc32(start + body) if crc is None else crc)


def packet(number: int, bits: str, fill: str = "0") -> bytes:
    """A packet from a string of bits (spaces are ignored), with padding and CRC."""
    bits = bits.replace(" ", "")
    bits += fill * (-len(bits) % 8)
    body = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    crc = binascii.crc_hqx(struct.pack("<I", number) + body, 0xFFFF)
    return body + struct.pack("<H", crc)


def indices(count: int, value: int = 9) -> str:
    """``count`` indices of four bits."""
    return f"{value:04b}" * count


def entropy_coded(start: str, *payloads: bytes) -> str:
    """The bits of an entropy-coded packet: its start up to the whole byte, and the payloads of its blocks."""
    bits = start.replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return bits + "".join(f"{byte:08b}" for payload in payloads for byte in payload)


SHARED_ONLY = "0000" + indices(4)  # k = 0: the shared quantizer alone
ONE = "0001 10" + indices(8)  # k = 1, expert 2
TWO = "0010 011" + indices(12)  # k = 2, rank 3: experts 0 and 3
QUIET = "0101"


def trailer(
    packets: list[bytes],
    total: int,
    last_frames: int = F,
    mode_fields: list[int] | None = None,
    common: int = 0,
    count: int | None = None,
    packets_crc: int | None = None,
    size: int | None = None,
    size_again: int | None = None,
    crc: int | None = None,
    reserved: int = 0,
    extra: bytes = b"",
    end: bytes = b"CWS\x89",
    width: int = 4,
) -> bytes:
    """A trailer; what is given replaces the right value.

    ``mode_fields`` are the entries of the table, of ``width`` bits each.
    """
    bits = "".join(f"{field:0{width}b}" for field in mode_fields or [])
    bits += "0" * (-len(bits) % 8)
    table = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)) + extra
    length = 44 + len(table) if size is None else size
    data = struct.pack(
        "<4sIQIIIHH",
        b"\xffEND",
        length,
        total,
        len(packets) if count is None else count,
        zlib.crc32(b"".join(packets)) if packets_crc is None else packets_crc,
        common,
        last_frames,
        reserved,
    )
    data += table
    check = zlib.crc32(data) if crc is None else crc
    return data + struct.pack("<II", check, length if size_again is None else size_again) + end


def additions(
    kind: int = 1, effort: int = 2, quality: int = 0xFFFF, rate: int = 0, digest: bytes = bytes(range(16))
) -> bytes:
    """What version 1.1 adds to the trailer."""
    return struct.pack("<BBHI16s", kind, effort, quality, rate, digest)


PACKETS = [
    packet(0, TWO),
    packet(1, SHARED_ONLY),
    packet(2, QUIET),
    packet(3, "1000 01" + "0001 10" + indices(4)),
]
MODE_FIELDS = [2, 0, SILENT, 1]
TOTAL = 40 * 3 + 11  # the last window has two frames
BODY = b"".join(PACKETS)


def end(**changes) -> bytes:
    """The trailer of PACKETS with some fields changed."""
    return trailer(
        **({"packets": PACKETS, "total": TOTAL, "last_frames": 2, "mode_fields": MODE_FIELDS} | changes)
    )


SOUND = header() + BODY + end()
SAME = [packet(number, TWO) for number in range(3)]  # packets of the same size
SAME_STREAM = header() + b"".join(SAME) + trailer(SAME, 120, common=len(SAME[0]))


def stream(
    packets: list[bytes], total: int, mode_fields: list[int], last_frames: int = F, **changes
) -> bytes:
    """A stream of these packets."""
    return header(**changes) + b"".join(packets) + trailer(packets, total, last_frames, mode_fields)


def with_packet(bits: str, mode_field: int, fill: str = "0") -> bytes:
    """A stream whose second packet consists of these bits and a right CRC."""
    packets = [packet(0, TWO), packet(1, bits, fill), packet(2, QUIET)]
    return stream(packets, 120, [2, mode_field, SILENT])


# Entropy-coded streams of version 1.1. Plain indices take 2 (1 + k) bytes in full windows.
ENTROPY_CODED = {"minor": 1, "flags": 2}
CODED_PACKETS = [
    packet(0, entropy_coded("0010 011 011", b"\x12\x34\x56")),  # k = 2, three bytes, rank 3
    packet(1, entropy_coded("0000 0", b"\x99\x99")),  # k = 0, plain
    packet(2, QUIET),
    packet(3, entropy_coded("1000 01 0001 1 10", b"\x77")),  # two frames, k = 1, one byte, expert 2
]
CODED_SIZES = [len(data) for data in CODED_PACKETS]
CODED_BODY = b"".join(CODED_PACKETS)


def end_of_sizes(packets: list[bytes], total: int, last_frames: int = F, **changes) -> bytes:
    """The trailer of entropy-coded packets with some fields changed. ``common`` is the field P."""
    sizes = [len(data) for data in packets]
    width = max(sizes, default=0).bit_length()
    usual = {"mode_fields": sizes, "width": width, "common": width, "extra": additions()}
    return trailer(packets, total, last_frames, **(usual | changes))


def coded_end(**changes) -> bytes:
    """The trailer of CODED_PACKETS with some fields changed."""
    return end_of_sizes(CODED_PACKETS, TOTAL, 2, **changes)


def coded_stream(packets: list[bytes], total: int, last_frames: int = F, **changes) -> bytes:
    """An entropy-coded stream of these packets."""
    start = header(**(ENTROPY_CODED | changes))
    return start + b"".join(packets) + end_of_sizes(packets, total, last_frames)


def with_coded_packet(bits: str) -> bytes:
    """An entropy-coded stream whose second packet consists of these bits and a right CRC."""
    return coded_stream([CODED_PACKETS[0], packet(1, bits), packet(2, QUIET)], 120)


# The same with waveform layers: 12 bits for the size of each follow the size of the indices.
LAYERS = {"minor": 1, "flags": 2 + 8}
LAYERED_PACKETS = [
    packet(0, entropy_coded("0010 011 000000000101 011", b"\x12\x34\x56", b"\x20\x11\x22\x33\x44")),
    packet(1, entropy_coded("0000 0 000000000000", b"\x99\x99")),  # without a layer
    packet(2, QUIET),
    packet(3, entropy_coded("1000 01 0001 1 000000000100 10", b"\x77", b"\x08\x00\x00\x01")),
]
LAYERED_BODY = b"".join(LAYERED_PACKETS)


CASES: dict[str, dict] = {}


def case(
    name: str,
    data: bytes,
    problem: str = "",
    windows: int = 0,
    damaged: tuple[int, ...] = (),
    pipe: dict | None = None,
) -> None:
    """Registers a file.

    Args:
        problem: part of the message about the stream as a whole; "" if there is none
        windows: number of windows found
        damaged: which of them are damaged
        pipe: what differs when the file is read from a pipe
    """
    here = {"problem": problem, "windows": windows, "damaged": list(damaged)}
    CASES[name] = {"data": data, "file": here, "pipe": here | (pipe or {})}


def refuse(name: str, data: bytes, problem: str) -> None:
    """Registers a file that is refused because of its header or tags."""
    case(name, data, problem)


def make_cases() -> None:
    """Registers all files."""
    body_and_end = BODY + end()
    case("sound", SOUND, windows=4)
    case("sound_same_sizes", SAME_STREAM, windows=3)
    case("sound_empty", header(total=0) + trailer([], 0, 0), windows=0)
    newer = header(minor=9, length=80, extra=bytes(16))
    case("sound_newer_minor", newer + BODY + end(extra=additions() + b"new", reserved=1), windows=4)
    version_1_1 = header(minor=1) + BODY
    case("sound_1_1", version_1_1 + end(extra=additions()), windows=4)
    case("sound_1_1_nothing_known", version_1_1 + end(extra=additions(0, 255, digest=bytes(16))), windows=4)
    case("sound_1_1_unknown_digest_kind", version_1_1 + end(extra=additions(kind=9)), windows=4)
    case("sound_ancillary_flags", header(flags=0xFFFF0000) + body_and_end, windows=4)
    case("sound_tags", header(flags=1) + tags([b"title=x", b"title="]) + body_and_end, windows=4)

    refuse("empty_file", b"", "the file is empty")
    refuse("wave_file", b"RIFF\x24\0\0\0WAVEfmt ", "not a .swc stream")
    refuse("middle_of_a_stream", SOUND[70:], "not a .swc stream")
    refuse("magic_only", SOUND[:4], "ends within its header")
    refuse("wrong_header_checksum", header(crc=0) + body_and_end, "wrong checksum")
    refuse("newer_major", header(major=2) + body_and_end, "version 2.0")
    refuse("major_zero", header(major=0) + body_and_end, "version 0.0")
    refuse("header_length_zero", header(length=0) + body_and_end, "header claims 0 bytes")
    refuse("header_length_huge", header(length=0xFFFF, minor=1) + body_and_end, "ends within its header")
    refuse("longer_header_in_1_0", header(length=80, extra=bytes(16)) + body_and_end, "has 64 bytes")
    refuse("longer_header_in_1_1", header(length=80, minor=1, extra=bytes(16)) + body_and_end, "has 64 bytes")
    refuse("flag_per_frame_depth", header(flags=4) + body_and_end, "per-frame depth")
    refuse("flag_unknown", header(flags=0x8000) + body_and_end, "flag 15")
    changes_and_words: dict[str, tuple[dict, str]] = {
        "codec_rate_zero": ({"codec_rate": 0}, "codec sample rate"),
        "codec_rate_huge": ({"codec_rate": 2**32 - 1}, "codec sample rate"),
        "original_rate_zero": ({"original_rate": 0}, "original sample rate"),
        "original_rate_huge": ({"original_rate": 2**32 - 1}, "original sample rate"),
        "hop_zero": ({"hop": 0}, "hop"),
        "frames_zero": ({"frames": 0}, "frames per window"),
        "window_huge": ({"hop": 65535, "frames": 65535}, "samples per window"),
        "packet_huge": (
            {"hop": 1, "frames": 65535, "largest_index": 65535, "stages": 8},
            "packet with all experts",
        ),
        "experts_33": ({"experts": 33}, "experts"),
        "stages_zero": ({"stages": 0}, "codebooks per quantizer"),
        "stages_9": ({"stages": 9}, "codebooks per quantizer"),
        "one_entry": ({"largest_index": 0}, "codebook size"),
        "channels_zero": ({"channels": 0}, "channels"),
        "channels_6": ({"channels": 6}, "channels"),
        "coding_unknown": ({"coding": 4}, "channel coding"),
        "coding_of_mono": ({"coding": 1}, "channel coding"),
        "mode_unknown": ({"mode": 3}, "rate mode"),
        "constant_without_number": ({"mode": 0}, "experts per window"),
        "constant_too_many": ({"mode": 0, "experts_total": 5}, "experts per window"),
        "number_without_constant": ({"experts_total": 2}, "without a constant rate"),
        "total_huge": ({"total": 2**64 - 2}, "total samples"),
        "windows_huge": ({"total": 2**43, "original_rate": 1}, "number of windows"),
    }
    for name, (changes, words) in changes_and_words.items():
        refuse(name, header(**changes) + body_and_end, words)

    tagged = header(flags=1)
    refuse("tags_missing", tagged, "ends within its tags")
    refuse("tags_huge", tagged + tags([b"a=b"], length=2**32 - 1) + body_and_end, "tags claim")
    refuse("tags_too_short", tagged + tags([b"a=b"], length=9) + body_and_end, "tags claim")
    refuse("tags_wrong_checksum", tagged + tags([b"a=b"], crc=1) + body_and_end, "wrong checksum")
    refuse("tags_count_zero", tagged + tags([b"ab="], count=0) + body_and_end, "does not end")
    refuse("tags_count_huge", tagged + tags([b"a=b"], count=65535) + body_and_end, "beyond the tags")
    refuse("tags_count_small", tagged + tags([b"a=b", b"c=d"], count=1) + body_and_end, "does not end")
    refuse("tag_not_utf8", tagged + tags([b"a=\xff\xfe"]) + body_and_end, "not UTF-8")
    refuse("tag_without_equals", tagged + tags([b"ab"]) + body_and_end, "KEY=value")
    refuse("tag_without_key", tagged + tags([b"=b"]) + body_and_end, "KEY=value")
    refuse("tag_escape_sequence", tagged + tags([b"a=\x1b[2J"]) + body_and_end, "KEY=value")

    case("no_packets_no_trailer", header(), "truncated", 0)
    case("cut_in_a_packet", SOUND[:76], "truncated", 1)
    case("cut_before_the_trailer", header() + BODY, "truncated", 4)
    case("cut_in_the_trailer", SOUND[:-1], "truncated", 4)
    case("cut_in_the_marker", header() + BODY + b"\xffEN", "truncated", 4)
    case("zero_windows_but_samples", header(total=TOTAL) + trailer([], TOTAL, 0), "need 4 windows", 0)
    case("more_windows_than_samples", header(total=40) + BODY + end(total=40), "no trailer follows", 1)
    case("garbage_behind", SOUND + b"garbage", "something follows", 4)
    case("zeros_behind", SOUND + bytes(512), "something follows", 4)
    case("two_streams_joined", SOUND + SOUND, "another stream follows", 4)
    case("two_streams_of_one_size_joined", SAME_STREAM + SAME_STREAM, "another stream follows", 3)
    case("two_trailers", SOUND + end(), "something follows", 4)

    changed = bytearray(SOUND)
    changed[66] ^= 0x80
    case("wrong_packet_checksum", bytes(changed), "", 4, (0,))
    case("wrong_packets_checksum", header() + BODY + end(packets_crc=0), "checksum over all packets", 4)
    swapped = [SAME[1], SAME[0], SAME[2]]
    common = len(SAME[0])
    case(
        "packets_swapped", header() + b"".join(swapped) + trailer(swapped, 120, common=common), "", 3, (0, 1)
    )
    repeated = [SAME[0], SAME[0], SAME[2]]
    case(
        "packet_repeated", header() + b"".join(repeated) + trailer(repeated, 120, common=common), "", 3, (1,)
    )

    case("mask_rank_too_large", with_packet("0010 110" + indices(12), 2), "", 3, (1,))
    case("padding_not_zero", with_packet(TWO, 2, fill="1"), "", 3, (1,))
    case("reserved_mode_field", with_packet("1001", SILENT), "", 3, (1,))
    case("copy_in_mono", with_packet("0110", SILENT), "", 3, (1,))
    case("intensity_in_mono", with_packet("0111", SILENT), "", 3, (1,))
    case("trailer_field_in_a_packet", with_packet("1111", SILENT), "", 3, (1,))
    case("short_but_full", with_packet("1000 11" + SHARED_ONLY, 0), "next packet cannot be found", 1)
    case(
        "short_in_the_middle",
        with_packet("1000 01 0001 10" + indices(4), 1),
        "no trailer follows window 1 at 0.005 s, which is short",
        2,
    )
    odd = [packet(0, "0000" + "1011" * 4), packet(1, "0000" + "1010" * 4)]
    case("index_too_large", stream(odd, 80, [0, 0], largest_index=10), "", 2, (0,))
    stereo = {"channels": 2, "coding": 1}
    pair = [packet(0, "0101 0110"), packet(1, "0000 0110" + indices(4))]
    case("copy_of_silence", stream(pair, 80, [SILENT, COPY, 0, COPY], **stereo), "", 2, (0,))
    levels = "11000" * 8
    pair = [packet(0, "0111 0101" + levels), packet(1, "0000 0111" + levels + indices(4))]
    case("intensity_silence", stream(pair, 80, [INTENSITY, SILENT, 0, INTENSITY], **stereo), "", 2, (0,))
    pair = [packet(0, "0111 0111" + levels), packet(1, "0111 0000" + levels + indices(4))]
    case(
        "intensity_from_each_other",
        stream(pair, 80, [INTENSITY, INTENSITY, INTENSITY, 0], **stereo),
        "",
        2,
        (0,),
    )
    constant = stream([packet(0, SHARED_ONLY)], 40, [0], mode=0, experts_total=2)
    case("constant_rate_broken", constant, "", 1, (0,))

    case("trailer_wrong_checksum", header() + BODY + end(crc=0), "trailer is damaged", 4)
    case("trailer_wrong_magic", header() + BODY + end(end=b"CWS\0"), "trailer is damaged", 4)
    case("trailer_two_lengths", header() + BODY + end(size_again=45), "trailer is damaged", 4)
    case("trailer_length_huge", header() + BODY + end(size=2**32 - 1), "trailer claims", 4)
    case("trailer_length_small", header() + BODY + end(size=40), "trailer claims", 4)
    case("trailer_count_huge", header() + BODY + end(count=2**32 - 1), "trailer counts", 4)
    case("trailer_count_small", header() + BODY + end(count=3), "trailer counts 3", 4)
    case("trailer_total_of_other_count", header() + BODY + end(total=TOTAL + 40), "need 5 windows", 4)
    case("trailer_total_huge", header() + BODY + end(total=2**64 - 2), "invalid trailer", 4)
    case("trailer_total_unknown", header() + BODY + end(total=UNKNOWN), "invalid trailer", 4)
    case("trailer_total_not_the_header_s", header(total=TOTAL + 1) + BODY + end(), "the header says", 4)
    case("trailer_last_frames", header() + BODY + end(last_frames=3), "the last of 2 frames", 4)
    case("trailer_reserved", header() + BODY + end(reserved=1), "reserved bytes", 4)
    case("trailer_extra_in_1_0", header() + BODY + end(extra=b"new"), "trailer claims", 4)
    case("additions_missing_in_1_1", version_1_1 + end(), "trailer claims", 4)
    case("additions_short_in_1_1", version_1_1 + end(extra=additions()[:23]), "trailer claims", 4)
    case("additions_long_in_1_1", version_1_1 + end(extra=additions() + b"new"), "trailer claims", 4)
    case("additions_short_in_newer_minor", newer + BODY + end(extra=b"new"), "trailer claims", 4)
    case("trailer_reserved_in_1_1", version_1_1 + end(extra=additions(), reserved=1), "reserved bytes", 4)
    case("marker_damaged", header() + BODY + b"\xfeEND" + end()[4:], "no trailer follows window 3", 4)
    case(
        "marker_damaged_total_known",
        header(total=TOTAL) + BODY + b"\xfeEND" + end()[4:],
        "no trailer follows the 4 windows that the header announces",
        4,
    )
    case(
        "table_padding",
        header() + b"".join(SAME) + trailer(SAME, 120, mode_fields=[2, 2, 2, 1]),
        "padding",
        3,
    )
    case("table_wrong_sizes", header() + BODY + end(mode_fields=[2, 1, SILENT, 1]), "table contradicts", 4)
    case(
        "table_reserved_mode_field", header() + BODY + end(mode_fields=[2, 0, 14, 1]), "table contradicts", 4
    )
    # The trailer gives the sizes of packets in a file; on a pipe, their own mode fields do.
    by_pipe = {"problem": "table contradicts", "damaged": []}
    case("table_swaps_two", header() + BODY + end(mode_fields=[0, 2, SILENT, 1]), "", 4, (0, 1), by_pipe)
    by_pipe = {"problem": "common size", "damaged": []}
    case("common_size_wrong", header() + BODY + end(mode_fields=[], common=5), "", 4, (0, 1, 2, 3), by_pipe)
    one = [packet(0, TWO)]
    case("common_size_of_one", header() + one[0] + trailer(one, 40, common=9), "fewer than two", 1)
    case("trailer_only", end(), "not a .swc stream")
    make_entropy_coded_cases()
    make_waveform_layer_cases()


def make_entropy_coded_cases() -> None:
    """Registers the files with flag 1."""
    coded_header = header(**ENTROPY_CODED)
    sound = coded_header + CODED_BODY + coded_end()
    case("sound_entropy_coded", sound, windows=4)
    wide = coded_end(width=24, common=24)
    case("sound_entropy_coded_wide_table", coded_header + CODED_BODY + wide, windows=4)
    case("sound_entropy_coded_empty", header(total=0, **ENTROPY_CODED) + end_of_sizes([], 0, 0), windows=0)
    pair = [
        packet(0, entropy_coded("0010 0000 011 0 011", b"abc", b"\x99\x99")),
        packet(1, entropy_coded("0000 0111 1" + "11000" * 8, b"d")),
    ]
    case("sound_entropy_coded_stereo", coded_stream(pair, 80, channels=2, coding=1), windows=2)
    # A constant rate fixes the number of experts, not the sizes
    fixed = [CODED_PACKETS[0], packet(1, entropy_coded("0010 000 011", bytes(6))), packet(2, QUIET)]
    constant = {"mode": 0, "experts_total": 2}
    case("sound_entropy_coded_constant_rate", coded_stream(fixed, 120, **constant), windows=3)
    broken = [*fixed[:2], packet(2, entropy_coded("0001 00 00", bytes(4)))]
    case("entropy_coded_constant_rate_broken", coded_stream(broken, 120, **constant), "", 3, (2,))

    case(
        "plain_packets_with_the_flag", header(flags=2) + BODY + end(), "next packet cannot be found", 1, (0,)
    )
    unflagged = header(minor=1) + CODED_BODY + coded_end()
    case("entropy_coded_without_the_flag", unflagged, "trailer claims", 4, (0, 1, 3))
    equal = entropy_coded("0010 110 011", bytes(6))
    case("size_not_below_plain", with_coded_packet(equal), "", 3, (1,))
    case("size_above_plain", with_coded_packet(entropy_coded("0010 111 011", bytes(7))), "", 3, (1,))
    case("size_too_large", with_coded_packet(entropy_coded("0010 101 011", b"abc")), "", 3, (1,))
    case("size_too_small", with_coded_packet(entropy_coded("0010 010 011", b"abc")), "", 3, (1,))
    case("size_of_plain_is_missing", with_coded_packet(entropy_coded("0010 000 011", b"abc")), "", 3, (1,))
    case("entropy_coded_mask_rank", with_coded_packet(entropy_coded("0010 011 110", b"abc")), "", 3, (1,))
    one_bit = "0010 011 011 000001" + entropy_coded("", b"abc")
    case("entropy_coded_padding_of_start", with_coded_packet(one_bit), "", 3, (1,))
    silent = with_coded_packet("0101 0001")
    case("entropy_coded_padding_of_silence", silent, "", 3, (1,))
    short = [CODED_PACKETS[0], packet(1, "1000 00 0000 000000 1001 0001")]  # one frame, k = 0
    case("entropy_coded_padding_of_indices", coded_stream(short, 50, 1), "", 2, (1,))
    large = [packet(0, entropy_coded("0000 0", b"\x9b\x99"))]
    case("entropy_coded_index", coded_stream(large, 40, largest_index=10), "", 1, (0,))
    swapped = [CODED_PACKETS[1], CODED_PACKETS[0], *CODED_PACKETS[2:]]
    case("entropy_coded_swapped", coded_stream(swapped, TOTAL, 2), "", 4, (0, 1))

    case("entropy_coded_cut_in_a_payload", sound[: 64 + 4], "truncated", 0)
    case("entropy_coded_cut_in_a_start", sound[: 64 + 7 + 5 + 3 + 1], "truncated", 3)
    case("entropy_coded_cut_before_the_trailer", coded_header + CODED_BODY, "truncated", 4)
    case("entropy_coded_cut_in_the_table", sound[: 64 + len(CODED_BODY) + 33], "truncated", 4)

    wrong_tables: dict[str, tuple[dict, str]] = {
        "sizes_do_not_add_up": ({"mode_fields": [7, 5, 3, 6]}, "table contradicts"),
        "sizes_wrap_around": (
            {"mode_fields": [20, 2**24 - 1, 0, 1], "width": 24, "common": 24},
            "contradicts",
        ),
        "sizes_of_zero": ({"mode_fields": [7, 5, 0, 8], "width": 4, "common": 4}, "table contradicts"),
        "sizes_of_other_width": ({"common": 4}, "table contradicts"),
        "sizes_of_no_width": ({"common": 0}, "trailer claims"),
        "sizes_absent": ({"mode_fields": [], "common": 0}, "trailer claims"),
        "sizes_of_25_bits": ({"width": 25, "common": 25}, "trailer claims"),
        "sizes_of_huge_width": ({"common": 2**32 - 1}, "trailer claims"),
        "sizes_padding": ({"mode_fields": [*CODED_SIZES, 7]}, "padding"),
    }
    for name, (changes, words) in wrong_tables.items():
        case(f"table_of_{name}", coded_header + CODED_BODY + coded_end(**changes), words, 4)
    no_packets = header(total=0, **ENTROPY_CODED) + end_of_sizes([], 0, 0, common=1)
    case("table_of_sizes_without_packets", no_packets, "trailer claims", 0)
    by_pipe = {"problem": "table contradicts", "damaged": []}
    exchanged = coded_end(mode_fields=[5, 7, 3, 5])
    case("table_of_sizes_swapped", coded_header + CODED_BODY + exchanged, "", 4, (0, 1), by_pipe)
    plain = [packet(number, entropy_coded("0010 000 011", bytes(6))) for number in range(3)]
    above_largest = end_of_sizes(plain, 120, mode_fields=[24, 3, 3], width=5, common=5)
    case(
        "table_of_sizes_above_the_largest",
        coded_header + b"".join(plain) + above_largest,
        "table contradicts",
        3,
    )


def make_waveform_layer_cases() -> None:
    """Registers the files with flag 3."""
    layered_end = end_of_sizes(LAYERED_PACKETS, TOTAL, 2)
    sound = header(**LAYERS) + LAYERED_BODY + layered_end
    case("sound_waveform_layers", sound, windows=4)
    case("sound_waveform_layers_empty", header(total=0, **LAYERS) + end_of_sizes([], 0, 0), windows=0)
    pair = [
        packet(
            0,
            entropy_coded(
                "0010 0000 011 000000000100 0 000000000101 011", b"abc", b"\x99\x99", b"1234", b"56789"
            ),
        ),
        packet(1, entropy_coded("0000 0111 1 000000000100" + "11000" * 8, b"d", b"1234")),
        packet(2, entropy_coded("0101 0000 1 000000000100", b"d", b"1234")),
    ]
    case("sound_waveform_layers_stereo", coded_stream(pair, 120, channels=2, coding=1, **LAYERS), windows=3)
    # What a layer holds is the decoder's concern
    tiny = [packet(0, entropy_coded("0000 0 000000000001", b"\x99\x99", b"\0"))]
    case("sound_waveform_layers_of_one_byte", coded_stream(tiny, 40, **LAYERS), windows=1)

    alone = header(minor=1, flags=8)
    refuse("waveform_layers_alone", alone + LAYERED_BODY + layered_end, "need entropy-coded packets")
    refuse("waveform_layers_and_depth", header(minor=1, flags=14) + LAYERED_BODY, "per-frame depth")
    unflagged = header(**ENTROPY_CODED) + LAYERED_BODY + layered_end
    by_pipe = {"problem": "trailer counts 4 windows, but 6", "windows": 6, "damaged": list(range(6))}
    case("waveform_layers_without_the_flag", unflagged, "", 4, (0, 1, 3), by_pipe)
    flagged = header(**LAYERS) + CODED_BODY + coded_end()
    by_pipe = {"problem": "ends after 0 windows", "windows": 0, "damaged": []}
    case("waveform_layers_are_missing", flagged, "", 4, (0, 1, 3), by_pipe)

    def with_layer(bits: str) -> bytes:
        """A stream whose second packet consists of these bits and a right CRC."""
        packets = [LAYERED_PACKETS[0], packet(1, bits), packet(2, QUIET)]
        return coded_stream(packets, 120, **LAYERS)

    too_large = entropy_coded("0000 0 000000000101", b"\x99\x99", b"1234")
    case("waveform_layer_too_large", with_layer(too_large), "", 3, (1,))
    largest = entropy_coded("0000 0 111111111111", b"\x99\x99", b"1234")
    case("waveform_layer_of_4095_bytes", with_layer(largest), "", 3, (1,))
    too_small = entropy_coded("0000 0 000000000011", b"\x99\x99", b"1234")
    case("waveform_layer_too_small", with_layer(too_small), "", 3, (1,))
    one_bit = "0000 0 000000000100 0000001" + entropy_coded("", b"\x99\x99", b"1234")
    case("waveform_layer_padding_of_start", with_layer(one_bit), "", 3, (1,))
    swapped = [LAYERED_PACKETS[1], LAYERED_PACKETS[0], *LAYERED_PACKETS[2:]]
    case("waveform_layers_swapped", coded_stream(swapped, TOTAL, 2, **LAYERS), "", 4, (0, 1))

    first = len(LAYERED_PACKETS[0])
    case("waveform_layers_cut_in_a_layer", sound[: 64 + first - 4], "truncated", 0)
    case("waveform_layers_cut_in_a_start", sound[: 64 + first + 1], "truncated", 1)
    case("waveform_layers_cut_before_the_trailer", header(**LAYERS) + LAYERED_BODY, "truncated", 4)


def main(write: Callable[[Path, bytes], object] = Path.write_bytes) -> None:
    """Writes all files and removes those of earlier runs that are no longer made."""
    for old in HERE.glob("*.swc"):
        if old.stem not in CASES:
            old.unlink()
    for name, made in CASES.items():
        write(HERE / f"{name}.swc", made["data"])
    expected = {name: {key: made[key] for key in ("file", "pipe")} for name, made in CASES.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(outcome)}" for name, outcome in expected.items()]
    write(HERE / "expected.json", ("{\n" + ",\n".join(lines) + "\n}\n").encode())


make_cases()

if __name__ == "__main__":
    main()
