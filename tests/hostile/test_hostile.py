"""Hostile files have the outcomes that expected.json lists."""

from __future__ import annotations

import io
import json
from pathlib import Path

import make
import pytest

from switchcodec_cli.bitstream import DamagedWindow, StreamReader, inspect, verify
from switchcodec_cli.errors import BadInputError

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())


class Pipe(io.BytesIO):
    """Bytes that cannot be sought in."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe cannot seek")


def test_stored_files_are_those_of_the_script() -> None:
    made: dict[str, bytes] = {}
    make.main(lambda path, data: made.__setitem__(path.name, data))
    stored = {path.name: path.read_bytes() for path in HERE.iterdir() if path.suffix in (".swc", ".json")}
    assert stored == made
    assert max(len(data) for name, data in stored.items() if name.endswith(".swc")) < 1024


@pytest.mark.parametrize("way", ["file", "pipe"])
@pytest.mark.parametrize("name", EXPECTED)
def test_verify(name: str, way: str) -> None:
    data = (HERE / f"{name}.swc").read_bytes()
    expected = EXPECTED[name][way]
    report = verify(io.BytesIO(data) if way == "file" else Pipe(data))
    of_stream = [problem.reason for problem in report.problems if problem.window is None]
    damaged = [problem.window for problem in report.problems if problem.window is not None]
    assert damaged == expected["damaged"]
    assert report.windows == expected["windows"]
    assert len(of_stream) == (expected["problem"] != "")
    assert all(expected["problem"] in reason and "\n" not in reason for reason in of_stream)
    assert report.ok == (name.startswith("sound"))


@pytest.mark.parametrize("name", EXPECTED)
def test_read_and_inspect(name: str) -> None:
    data = (HERE / f"{name}.swc").read_bytes()
    expected = EXPECTED[name]["file"]
    windows = []
    try:
        for window in StreamReader(io.BytesIO(data)):
            windows.append(window)
    except BadInputError as error:
        assert expected["problem"] and expected["problem"] in str(error)
    else:
        assert not expected["problem"]
    assert len(windows) == expected["windows"]
    assert [i for i, window in enumerate(windows) if isinstance(window, DamagedWindow)] == expected["damaged"]
    try:
        assert inspect(io.BytesIO(data)).windows == expected["windows"]
    except BadInputError:
        assert not windows
