"""The examples, figures and limits of bitstream_spec.md are those of the package."""

from __future__ import annotations

import binascii
import hashlib
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from streams import LARGE, Pipe

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    Block,
    BlockKind,
    BlockMode,
    DigestKind,
    EncodingRequest,
    SourceDigest,
    StreamParameters,
    StreamReader,
    StreamWriter,
    Window,
    coded_block,
    coded_modes,
    inspect,
    intensity_block,
    keeps_constant_rate,
    level_gains,
    mask_of_rank,
    modelled_block,
    rank_of_mask,
)
from switchcodec_cli.bitstream import additions as additions_module
from switchcodec_cli.bitstream import header as header_module
from switchcodec_cli.bitstream import intensity as intensity_module
from switchcodec_cli.bitstream import parameters as parameters_module
from switchcodec_cli.bitstream import tags as tags_module
from switchcodec_cli.bitstream import trailer as trailer_module
from switchcodec_cli.bitstream.packet import PacketLayout
from switchcodec_cli.bitstream.rates import constant_packet_sizes

TEXT = (Path(__file__).parents[2] / "bitstream_spec.md").read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())  # without line breaks
EXAMPLES = re.findall(r"```hex\n(.*?)```\n\n```json\n(.*?)```", TEXT, re.DOTALL)
LINE = re.compile(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+?) *(?:   (.*))?")


def section(heading: str) -> str:
    """The text from a heading to the next one."""
    return TEXT[TEXT.index(heading) :].split("\n#")[0]


def bytes_of(dump: str) -> tuple[bytes, list[tuple[bytes, str]]]:
    """The bytes of a dump, and its lines with their annotations."""
    data, lines = b"", []
    for line in dump.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        assert int(match[1], 16) == len(data)
        part = bytes.fromhex(match[2])
        data += part
        lines.append((part, match[3] or ""))
    return data, lines


def block_of(signal: object) -> Block:
    if isinstance(signal, str):
        return {"silent": SILENT, "copy": COPY}[signal]
    assert isinstance(signal, dict)
    if "levels" in signal:
        return intensity_block(signal["levels"])
    layer = bytes.fromhex(signal.get("layer", ""))
    if "modelled" in signal:
        return modelled_block(signal["experts"], bytes.fromhex(signal["modelled"]), layer)
    return coded_block(tuple(signal["experts"]), np.array(signal["indices"]), layer)


def source_of(content: dict) -> SourceDigest | None:
    source = content["source"]
    return source and SourceDigest(DigestKind[source["kind"].upper()], bytes.fromhex(source["digest"]))


def request_of(content: dict) -> EncodingRequest | None:
    return content["request"] and EncodingRequest(**content["request"])


def test_there_are_five_examples() -> None:
    assert len(EXAMPLES) == TEXT.count("```hex") == 5


@pytest.mark.parametrize(("dump", "content"), EXAMPLES)
def test_example(dump: str, content: str) -> None:
    data, lines = bytes_of(dump)
    expected = json.loads(content)
    windows = [Window(w["frames"], tuple(map(block_of, w["signals"]))) for w in expected["windows"]]
    for file in (io.BytesIO(data), Pipe(data, 5)):
        reader = StreamReader(file)
        assert list(reader) == windows
        assert reader.total_samples == expected["total_samples"]
        assert [list(tag) for tag in reader.header.tags] == expected["tags"]
        assert reader.trailer is not None
        assert reader.trailer.source == source_of(expected)
        assert reader.trailer.request == request_of(expected)
    file = io.BytesIO()
    writer = StreamWriter(file, reader.header, request_of(expected))
    for window in windows:
        writer.write(window)
    writer.close(expected["total_samples"], source_of(expected))
    assert file.getvalue() == data
    assert inspect(io.BytesIO(data)).budget.total == 8 * len(data)
    check_annotations(lines)


def test_digests_of_the_examples() -> None:
    """Section 7.3: BLAKE2b with 16 bytes of output, over samples or over the file."""
    over = {"samples": bytes(4 * 90), "file": b"a file"}
    sources = [json.loads(content)["source"] for _, content in EXAMPLES]
    assert [source and source["kind"] for source in sources] == ["samples", "file", None, None, None]
    for source in filter(None, sources):
        assert source["digest"] == hashlib.blake2b(over[source["kind"]], digest_size=16).hexdigest()
    assert "360 bytes `00`" in PROSE and "six bytes `a file`" in PROSE


def check_annotations(lines: list[tuple[bytes, str]]) -> None:
    """Numbers and bits in the annotations are those of the bytes."""
    numbers = 0
    for part, note in lines:
        number = re.fullmatch(r"[a-z :-]+?(?:size - 1 =)? ?(\d+)(?:, [a-z ]+)?", note)
        if number:
            assert int.from_bytes(part, "little") == int(number[1]), note
            numbers += 1
        bits = f"{int.from_bytes(part, 'big'):0{8 * len(part)}b}"
        named = re.findall(r"\b[01]{2,}\b", note)
        if note.startswith("table: "):
            assert bits == "".join(named), note
        elif note.startswith("window "):  # prefix, mode fields, ranks and levels; then indices and padding
            head = re.findall(r"\b[01]{2,}\b", note if note.endswith("silent") else note.rsplit(";", 2)[0])
            assert bits.startswith("".join(head)) and head, note
    assert numbers >= 17


def test_check_values() -> None:
    assert f"0x{zlib.crc32(b'123456789'):08X}" == "0xCBF43926" and "**0xCBF43926**" in TEXT
    assert f"0x{binascii.crc_hqx(b'123456789', 0xFFFF):04X}" == "0x29B1" and "**0x29B1**" in TEXT


def test_sizes() -> None:
    rows = re.findall(r"^\| (k = (\d)|silent) \| ([\d +]+) \| (\d+) \|$", section("### 6.3"), re.MULTILINE)
    assert [row[0] for row in rows] == ["k = 0", "k = 2", "k = 8", "silent"]
    for _, count, bits, size in rows:
        modes = coded_modes([int(count)]) if count else (BlockMode(BlockKind.SILENT),)
        assert sum(map(int, bits.split(" + "))) == LARGE.side_bits(modes) + LARGE.payload_bits(modes)
        assert int(size) == LARGE.packet_bytes(modes)


def test_sizes_of_entropy_coded_packets() -> None:
    """The example at the end of Section 6.3, and the width of the table."""
    layout, modes = PacketLayout(LARGE, 1, True), coded_modes([2])
    assert "a full packet with k = 2 has B = 323 and a size field of 9 bits" in PROSE
    assert (LARGE.plain_bytes(2), layout.size_bits(2, 86)) == (323, 9)
    assert "takes ⌈(4 + 9 + 5) / 8⌉ + 250 + 2 = 255 bytes, with a plain one 328" in PROSE
    assert [layout.packet_bytes(modes, 86, [size]) for size in (250, 0)] == [255, 328]
    assert f"contains z, which is 1..{trailer_module.MAX_SIZE_BITS}," in PROSE
    with_layers = PacketLayout(LARGE, 1, True, True)
    assert "⌈(4 + 9 + 12 + 5) / 8⌉ + 250 + 100 + 2 = 356 bytes" in PROSE
    assert with_layers.packet_bytes(modes, 86, [250], [100]) == 356
    assert f"all of its layers have {parameters_module.MAX_LAYER_BYTES} bytes" in PROSE
    starts = [start.start_bytes for start in (layout, with_layers)]
    assert "max(3 × s + 9, s + 32), with flag 3 to max(3 × s + 12, s + 32)" in PROSE and starts == [9, 12]


def test_flags() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|$", section("### 4.2"), re.MULTILINE))
    meanings = {"tags": "TAGS", "entropy-coded": "ENTROPY_CODED", "waveform layers": "WAVEFORM_LAYERS"}
    supported = 0
    for words, name in meanings.items():
        flag = getattr(header_module, f"FLAG_{name}")
        assert words in rows[str(flag.bit_length() - 1)]
        supported |= flag
    assert supported == header_module.SUPPORTED_FLAGS
    assert "reserved" in rows["2"]


def test_largest_packets_of_few_frames() -> None:
    """Section 4.1: the largest packet is not always that with all experts."""
    parameters = StreamParameters(8000, 10, 1, 32, 2)
    sizes = {k: parameters.packet_bytes(coded_modes([k, k])) for k in range(33)}
    assert max(sizes.values()) > sizes[32]


def test_example_of_the_constant_rate() -> None:
    copy = BlockMode(BlockKind.COPY)
    example = section("### 4.4")
    assert "8 + 5 + 5 + 5160 bits, B = 650" in " ".join(example.split())
    assert LARGE.packet_bytes(coded_modes([2, 2])) == max(constant_packet_sizes(LARGE, 2, 4)) == 650
    assert "8 + 6 + 5160 bits, b = 649" in " ".join(example.split())
    assert LARGE.packet_bytes((*coded_modes([5]), copy)) == 649
    assert keeps_constant_rate(LARGE, 4, (*coded_modes([5]), copy))
    assert not keeps_constant_rate(LARGE, 4, (*coded_modes([6]), copy))


def test_ranks() -> None:
    rows = re.findall(r"^\| \{(\d), (\d)\} \| .* = (\d+) \| `(\d+)` \|$", section("### 6.4"), re.MULTILINE)
    assert len(rows) == 3
    for first, second, rank, bits in rows:
        assert rank_of_mask((int(first), int(second))) == int(rank) == int(bits, 2)
        assert mask_of_rank(int(rank), 2, 8) == (int(first), int(second))
        assert len(bits) == LARGE.rank_bits(2)


def test_levels() -> None:
    edges = re.search(r"\| from, Hz \|(.*)\|", TEXT)
    assert edges and [int(edge) for edge in edges[1].split("|")] == [0, *intensity_module.LEVEL_EDGES]
    levels = intensity_module.LEVEL_BANDS, intensity_module.LEVEL_BITS, intensity_module.LEVELS_BITS
    assert levels == (8, 5, 40)
    assert "eight levels of 5 bits" in PROSE and "intensity stereo ? 40 : 0" in PROSE
    gains = {0: 0, 24: 1, 1: 10 ** (-34.5 / 20), 31: 10 ** (10.5 / 20)}
    assert level_gains(tuple(gains)) == pytest.approx(tuple(gains.values()), rel=1e-12)
    assert "level 1 is −34.5 dB, level 31 is +10.5 dB" in PROSE


def test_header_table_adds_up() -> None:
    rows = [
        (int(at), int(size))
        for at, size in re.findall(r"^\| (\d+) \| (\d+) \|", section("### 4.1"), re.MULTILINE)
    ]
    ends = [at + size for at, size in rows]
    assert [at for at, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == header_module.HEADER_BYTES - 4


def test_trailer_table_adds_up() -> None:
    rows = [
        (int(at), int(size))
        for at, size in re.findall(r"^\| (\d+) \| (\d+) \|", section("## 7. "), re.MULTILINE)
    ]
    ends = [at + size for at, size in rows]
    assert [at for at, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == trailer_module.FIXED_BYTES


def test_additions_table_adds_up() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| .* \| (\d+)[^|]* \|$", section("### 7.3 Additions"), re.MULTILINE
    )
    ends = [int(at) + int(size) for at, size, _ in rows]
    assert [int(at) for at, _, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == additions_module.ADDITIONS_BYTES
    unknown = [
        value.to_bytes(int(size), "little")
        for (_, size, _), value in zip(rows, (0, 255, 65535, 0, 0), strict=True)
    ]
    assert [int(value) for _, _, value in rows[:4]] == [0, 255, 65535, 0]
    assert b"".join(unknown) == additions_module.encode_additions(None, None)
    kinds = re.findall(r"^- kind (\d), \*\*(\w+)\*\*", TEXT, re.MULTILINE)
    assert [(int(kind), name) for kind, name in kinds] == [(kind, kind.name.lower()) for kind in DigestKind]


def test_rules_of_minor_versions() -> None:
    rows = re.findall(
        r"^\| (> )?(\d) \| (?:≥ )?64 \| (\d+)(?:\.\.(\d+))? \| (?:0|any) \|$",
        section("### 4.2"),
        re.MULTILINE,
    )
    assert len(rows) == 3
    for newer, minor, least, most in rows:
        sizes = trailer_module._additions_sizes(int(minor) + bool(newer))
        assert (sizes[0], sizes[-1]) == (int(least), int(most or least))
    assert f"written as {header_module.MINOR};" in TEXT


def test_limits() -> None:
    limits = [
        (f"{parameters_module.MIN_CODEC_RATE}..{parameters_module.MAX_SAMPLE_RATE}", "codec sample rate"),
        (f"1..{parameters_module.MAX_SAMPLE_RATE}", "original sample rate"),
        (f"0..{parameters_module.MAX_EXPERTS} ", "number of experts"),
        (f"1..{parameters_module.MAX_CODEBOOKS_PER_QUANTIZER} ", "codebooks per quantizer"),
        (f"1..{parameters_module.MAX_CODEBOOK_SIZE - 1}", "largest index"),
        (f"0..2^{parameters_module.MAX_TOTAL_SAMPLES.bit_length() - 1}", "total samples"),
    ]
    for limit, name in limits:
        assert re.search(rf"{name}[^|\n]*\| {re.escape(limit)}", TEXT), name
    assert f"hop × F ≤ 2^{parameters_module.MAX_WINDOW_SAMPLES.bit_length() - 1}" in PROSE
    assert f"≤ 2^{parameters_module.MAX_PACKET_BYTES.bit_length() - 1} bytes" in PROSE
    assert f"≤ 2^{parameters_module.MAX_PACKETS.bit_length()} − 1" in PROSE
    assert f"{tags_module.MIN_TAGS_BYTES}..{tags_module.MAX_TAGS_BYTES}" in PROSE
    assert f"together are at most {trailer_module.MAX_ADDITIONS_BYTES} bytes" in PROSE
