"""The examples and figures of bitstream_spec.md, read out of the document."""

from __future__ import annotations

import binascii
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from streams import SHIPPED, Pipe

from switchcodec_cli.bitstream import (
    COPY,
    SILENT,
    Block,
    StreamReader,
    StreamWriter,
    Window,
    coded_block,
    inspect,
    intensity_block,
    level_gains,
    rank_of_mask,
)
from switchcodec_cli.bitstream import header as header_module
from switchcodec_cli.bitstream import parameters as parameters_module

TEXT = (Path(__file__).parents[2] / "bitstream_spec.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```hex\n(.*?)```\n\n```json\n(.*?)```", TEXT, re.DOTALL)
LINE = re.compile(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+?) *(?:   (.*))?")


def bytes_of(dump: str) -> tuple[bytes, list[tuple[bytes, str]]]:
    """The bytes of a dump, and its lines with their notes."""
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
    if "levels" in signal:
        return intensity_block(signal["levels"])
    return coded_block(tuple(signal["experts"]), np.array(signal["indices"]))


def test_there_are_three_examples() -> None:
    assert len(EXAMPLES) == TEXT.count("```hex") == 3


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
    file = io.BytesIO()
    writer = StreamWriter(file, reader.header)
    for window in windows:
        writer.write(window)
    writer.close(expected["total_samples"])
    assert file.getvalue() == data
    assert inspect(io.BytesIO(data)).budget.total == 8 * len(data)
    check_notes(lines)


def check_notes(lines: list[tuple[bytes, str]]) -> None:
    """Numbers and bits that the notes name are those in the bytes."""
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
        elif note.startswith("window "):  # prefix, codes and ranks; behind them stand indices and padding
            head = re.findall(r"\b[01]{2,}\b", note if note.endswith("silent") else note.rsplit(";", 2)[0])
            assert bits.startswith("".join(head)) and head, note
    assert numbers >= 17


def test_check_values() -> None:
    assert f"0x{zlib.crc32(b'123456789'):08X}" == "0xCBF43926" and "**0xCBF43926**" in TEXT
    assert f"0x{binascii.crc_hqx(b'123456789', 0xFFFF):04X}" == "0x29B1" and "**0x29B1**" in TEXT


def test_worked_figures() -> None:
    for chosen, words in [
        (0, "k = 0 takes 4 \\+ 860"),
        (2, "k = 2 takes 4 \\+ 5 \\+ 2580"),
        (8, "k = 8 takes 4 \\+ 7740"),
    ]:
        match = re.search(words + r"\s+bits, (\d+) bytes", TEXT)
        assert match and int(match[1]) == SHIPPED.packet_bytes((chosen,))
    assert SHIPPED.packet_bytes((SHIPPED.silent_code,)) == 3 and "silence takes 3 bytes" in TEXT
    assert rank_of_mask((2, 5)) == 12 == int("01100", 2) and "the bits `01100`" in TEXT
    assert rank_of_mask((6, 7)) == 27 and "{6,7} has 6 + 21 = 27" in TEXT


def test_levels() -> None:
    edges = re.search(r"\| from, Hz \|(.*)\|", TEXT)
    assert edges and [int(edge) for edge in edges[1].split("|")] == [0, *parameters_module.LEVEL_EDGES]
    levels = parameters_module.LEVEL_BANDS, parameters_module.LEVEL_BITS, parameters_module.LEVELS_BITS
    assert levels == (8, 5, 40) and "eight levels of 5 bits" in TEXT and "panned ? 40 : 0" in TEXT
    named = {0: 0, 24: 1, 1: 10 ** (-34.5 / 20), 31: 10 ** (10.5 / 20)}
    assert level_gains(tuple(named)) == pytest.approx(tuple(named.values()), rel=1e-12)
    assert "v = 1 is −34.5 dB" in TEXT and "v = 31 is +10.5 dB" in TEXT


def test_header_table_adds_up() -> None:
    section = TEXT[TEXT.index("### 4.1") : TEXT.index("### 4.2")]
    rows = [(int(at), int(size)) for at, size in re.findall(r"^\| (\d+) \| (\d+) \|", section, re.MULTILINE)]
    ends = [at + size for at, size in rows]
    assert [at for at, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == header_module.HEADER_BYTES - 4


def test_limits_are_those_of_the_code() -> None:
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
    assert f"hop × F ≤ 2^{parameters_module.MAX_WINDOW_SAMPLES.bit_length() - 1}" in TEXT
    assert f"≤ 2^{parameters_module.MAX_PACKET_BYTES.bit_length() - 1} bytes" in TEXT
    assert f"≤ 2^{parameters_module.MAX_PACKETS.bit_length()} − 1" in TEXT
    assert f"{header_module.MIN_TAGS_BYTES}..{header_module.MAX_TAGS_BYTES}" in TEXT
