"""Data sets of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from bitstream.streams import make_stream

from switchcodec_cli import BadInputError, Tokens, UsageError
from switchcodec_cli.tokens import from_record, to_record
from switchcodec_cli.tokens.dataset import DatasetWriter, open_dataset

TOKENS = [Tokens.from_stream(make_stream(50 * number, seed=number)[0]) for number in range(1, 6)]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), DatasetWriter(tmp_path / "a.tar", shard_size=2) as writer:
        for number, tokens in enumerate(TOKENS):
            writer.write(tokens, str(number))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_recordings_can_be_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("switchcodec_cli.tokens.parquet.GROUP_ROWS", 2)
    for name in ("a.parquet", "a.tar"):
        with DatasetWriter(tmp_path / name) as writer:
            for number, tokens in enumerate(TOKENS):
                writer.write(tokens, f"folder/{number}.wav")
        reader = open_dataset(tmp_path / name)
        assert reader.paths == [f"folder/{number}.wav" for number in range(5)]
        assert [reader.read(row) for row in (4, 0, 3, 1, 2)] == [TOKENS[row] for row in (4, 0, 3, 1, 2)]
        reader.close()


def test_a_data_set_without_recordings_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"something")
    with DatasetWriter(tmp_path / "a.tar", force=True):
        pass
    assert (tmp_path / "a.tar").read_bytes() == b"something"
    with pytest.raises(UsageError, match="exists already"):
        DatasetWriter(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("header", b"", "is empty"),
        ("additions", b"x", "must have 24 bytes"),
        ("samples", 10**6, "cannot reshape"),
        ("samples", -1, "total samples"),
        ("indices", [1, 2], "cannot reshape"),
        ("indices", ["a"], "cannot reshape"),
        ("masks", None, "cannot reshape|must be"),
    ],
)
def test_wrong_values_are_errors(name: str, value: object, message: str) -> None:
    record = to_record(TOKENS[0], "x")
    with pytest.raises(BadInputError, match=message):
        from_record(record | {name: value})
    del record[name]
    with pytest.raises(BadInputError, match=f"{name} missing"):
        from_record(record)
