"""The example routing_ablation.py, with small weights and three seconds of audio."""

import runpy
from pathlib import Path

import soundfile
from tiny_codecs import GOLDEN

ROOT = Path(__file__).parents[2]
WEIGHTS = ["--weights", str(GOLDEN / "spectral.safetensors")]
main = runpy.run_path(str(ROOT / "examples" / "routing_ablation.py"))["main"]


def write_excerpt(path: Path, frames: int) -> str:
    samples, rate = soundfile.read(ROOT / "examples" / "speech.flac", stop=frames)
    soundfile.write(path, samples, rate)
    return str(path)


def test_routing_ablation(tmp_path, capsys):
    assert main([write_excerpt(tmp_path / "a.wav", 130_000), *WEIGHTS]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0][:4] == ["masks", "experts", "latent error", "mel"]
    errors = {(row[0], int(row[1])): float(row[2]) for row in rows[2:]}
    names = ("router", "search", "random", "first")
    assert list(errors) == [(name, experts) for experts in (1, 2, 4) for name in names]
    for experts in (1, 2, 4):
        assert all(errors["search", experts] <= errors[name, experts] for name in names)
    assert errors["router", 4] < errors["router", 2] < errors["router", 1] < 1
    assert all(float(row[3]) > 0 for row in rows[2:])


def test_a_file_without_a_whole_window_is_an_error_of_one_line(tmp_path, capsys):
    assert main([write_excerpt(tmp_path / "short.wav", 400), *WEIGHTS]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "shorter than a window" in error
