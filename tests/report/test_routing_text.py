"""The routing of a stream as text."""

from types import SimpleNamespace

import numpy as np
import pytest

from switchcodec_cli.report.routing_text import block_coding, block_text, routing_picture

SHARED, COPY, SILENT, INTENSITY, DAMAGED = 1, 5, 6, 7, 255


def make_summary(codes, masks, coding="MONO"):
    """A summary of a stream with four experts."""
    codes, masks = np.array(codes), np.array(masks, bool)
    return SimpleNamespace(
        header=SimpleNamespace(
            signals=codes.shape[1],
            channel_coding=SimpleNamespace(name=coding),
            parameters=SimpleNamespace(
                experts=4, copy_code=COPY, silent_code=SILENT, intensity_code=INTENSITY
            ),
        ),
        windows=len(codes),
        codes=codes,
        masks=masks,
        window_bytes=np.full(len(codes), 100),
        seconds=1.0 * len(codes),
    )


@pytest.fixture
def summary():
    masks = np.zeros((4, 2, 4))
    masks[0, 0, [1, 3]] = 1
    codes = [[2, INTENSITY], [SILENT, SHARED], [0, COPY], [DAMAGED, DAMAGED]]
    return make_summary(codes, masks, "LEFT_RIGHT")


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
    lines = list(routing_picture(make_summary(np.ones((200, 1)), masks), width=43, ascii_only=True))
    assert all(len(line) <= 43 for line in lines)
    assert lines[1] == "  expert 0      " + ":" * 10 + " " * 10 + " 25 %"


def test_empty_stream():
    assert list(routing_picture(make_summary(np.zeros((0, 1)), np.zeros((0, 1, 4))), width=80)) == []
