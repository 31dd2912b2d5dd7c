"""The routing of a stream as text."""

import numpy as np
import pytest
from summaries import CODED, COPY, INTENSITY, SILENT, make_summary

from switchcodec_cli.report.routing_text import block_coding, block_text, routing_picture


@pytest.fixture
def summary():
    masks = np.zeros((4, 2, 4))
    masks[0, 0, [1, 3]] = 1
    modes = [(CODED, INTENSITY), (SILENT, CODED), (CODED, COPY), None]
    return make_summary(modes, masks, "LEFT_RIGHT")


def test_coding_of_blocks(summary):
    codings = [[block_coding(summary, window, signal) for signal in (0, 1)] for window in range(4)]
    assert codings == [
        ["shared", "intensity"], ["silent", "shared"], ["shared", "copy"], ["damaged", "damaged"]
    ]  # fmt: skip
    assert block_text(summary, 0, 0) == "shared+1+3"
    assert block_text(summary, 0, 1) == "intensity"


def test_picture(summary):
    lines = list(routing_picture(summary, width=80, ascii_only=True))
    assert [line.split("  ")[0] for line in lines] == [
        "left experts", "", "", "", "", "right experts", "", "", "", "", "bits", ""
    ]  # fmt: skip
    assert "====" in lines[0] and lines[0].endswith("0.5")
    assert lines[2].split() == ["expert", "1", "####", "25", "%"]
    assert lines[-1].split() == ["0", "s", "4.0", "s"]
    assert all(line.isascii() and len(line) <= 80 for line in lines)
    assert any("█" in line for line in routing_picture(summary, width=80))


def test_columns_of_many_windows_show_shares():
    masks = np.zeros((200, 1, 4))
    masks[:100:2, 0, 0] = 1  # every second window of the first half
    lines = list(routing_picture(make_summary([(CODED,)] * 200, masks), width=43, ascii_only=True))
    assert all(len(line) <= 43 for line in lines)
    assert lines[1] == "  expert 0      " + ":" * 10 + " " * 10 + " 25 %"


def test_empty_stream():
    assert list(routing_picture(make_summary([], np.zeros((0, 1, 4))), width=80)) == []
