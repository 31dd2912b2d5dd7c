"""examples/expert_use.py: the shares of the experts in a folder of streams."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from streams import make_header, make_stream

pytest.importorskip("matplotlib")
SCRIPT = Path(__file__).parents[2] / "examples" / "expert_use.py"
spec = importlib.util.spec_from_file_location("expert_use", SCRIPT)
expert_use = importlib.util.module_from_spec(spec)
spec.loader.exec_module(expert_use)


def test_shares_are_those_of_the_streams(tmp_path, capsys):
    counted = {}
    for kind, seeds in (("speech", (0, 1)), ("music", (2,))):
        (tmp_path / kind).mkdir()
        used, blocks = [0] * 4, 0
        for seed in seeds:
            data, windows = make_stream(800, make_header(experts_total=2), seed, derived=0.3)
            (tmp_path / kind / f"{seed}.swc").write_bytes(data)
            for window in windows:
                for block in window.blocks:
                    blocks += block.kind.value == "coded"
                    for expert in block.experts:
                        used[expert] += 1
        counted[kind] = " ".join(f"{count / blocks:.2f}" for count in used)
    picture = tmp_path / "use.png"
    assert expert_use.main([str(tmp_path), "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == [
        f"music {counted['music']}",
        f"speech {counted['speech']}",
    ]


def test_folder_without_streams_is_refused(tmp_path, capsys):
    assert expert_use.main([str(tmp_path), "-o", str(tmp_path / "use.png")]) == 2
    assert "no folders with .swc files" in capsys.readouterr().err
