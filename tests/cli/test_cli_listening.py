"""`swc eval --html` with its comparisons, and `swc listen-results`."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from switchcodec_cli.evaluation.listening_tests import FORMAT

QUICK = ("--no-pesq", "--no-stoi", "--no-visqol", "--phase-iterations", "0", "--effort", "0")
has_report = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("jinja2", "matplotlib", "scipy"))), reason="needs the extra report"
)


@pytest.fixture
def recordings(files):
    """An original, and its counterpart as decoded elsewhere."""
    files.write("set/a.wav", 1.5)
    Path("elsewhere").mkdir()
    shutil.copy("set/a.wav", "elsewhere")


def page_data(path):
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


@has_report
def test_page_with_folders_decoded_elsewhere(swc, recordings, monkeypatch):
    monkeypatch.setattr("switchcodec_cli.report.listening_page.LARGE_PAGE", 100_000)
    options = (
        "--kbps",
        "0.89,2.67",
        "--html",
        "page.html",
        "--also",
        "copy@64=elsewhere",
        "--also",
        "set=set",
    )
    result = swc("eval", "set", *options, *QUICK)
    assert "page.html: is large for a browser; --assets puts the audio" in result.err
    (item,) = page_data("page.html")["items"]
    names = [version["name"] for version in item["versions"]]
    assert names == ["swc 0.89 kbps", "swc 2.67 kbps", "copy 64 kbps", "set"]
    assert [version["kbps"] for version in item["versions"]][2:] == [64, None]
    masks = [version["routing"] and version["routing"]["masks"] for version in item["versions"]]
    assert [[mask.bit_count() for mask in each[0]] for each in masks[:2]] == [[0, 0], [2, 2]]
    assert masks[2:] == [None, None]
    text = Path("page.html").read_text(encoding="utf-8")
    assert text.count('<script type="text/plain" id="clip-') == 5 and "Bjøntegaard" not in text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text.replace("http://www.w3.org", ""))


@has_report
def test_page_of_entropy_coded_streams(swc, recordings, modelled):
    options = ("--kbps", "2.67", "--metrics", "mel,level,icld", "--html", "page.html", "--weights", modelled)
    swc("eval", "set", *options, *QUICK[3:])
    data = page_data("page.html")
    (version,) = data["items"][0]["versions"]
    swc("encode", "set/a.wav", "a.swc", "--kbps", "2.67", "--effort", "0", "--weights", modelled)
    size = Path("a.swc").stat().st_size
    assert (version["size"], version["kbps"]) == (size, pytest.approx(8e-3 * size / 1.5))
    assert version["kbps"] <= 2.67 and max(version["routing"]["masks"][0]) > 0
    assert [metric["arrow"] for metric in data["metrics"]] == ["↓", "→0", "↓"]
    assert version["scores"]["icld"] is None  # of a recording in mono
    text = Path("page.html").read_text(encoding="utf-8")
    assert re.findall("<figcaption>(.*?) <", text) == ["Mel", "Level"] and "0 is best" in text


@has_report
def test_page_is_not_replaced_unasked(swc, recordings):
    Path("page.html").write_text("mine")
    assert "exists already" in swc("eval", "set", "--html", "page.html", *QUICK, code=2).err
    assert Path("page.html").read_text() == "mine"
    swc("eval", "set", "--kbps", "2.67", "--html", "page.html", "--assets", "--force", "--quiet", *QUICK)
    assert sorted(path.name for path in Path("page_audio").iterdir()) == ["0-0.js", "0-1.js"]
    assert not list(Path().glob(".*.part"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--assets",), "--assets goes with --html"),
        (("--also", "elsewhere"), "is not NAME=DIR"),
        (("--also", "x=missing"), "no such folder"),
        (("--also", "x@fast=elsewhere"), "not a list of rates"),
        (("--also", "x=set", "--also", "x=elsewhere"), "same name"),
        (("--codec", "mp3"), "no other codec is called 'mp3'"),
    ],
)
def test_contradictory_options(swc, recordings, options, message):
    assert message in swc("eval", "set", *options, *QUICK, code=2).err


def test_page_needs_originals(swc, recordings):
    result = swc("eval", "set", "--no-reference", "--html", "page.html", code=2)
    assert "--no-reference and --html are mutually exclusive" in result.err


def ratings(codec, reference=100):
    return {"reference": reference, "mid anchor": 60, "low anchor": 20, "2.67 kbps": codec}


def write_session(name, test, trials, pair=None):
    values = {"format": FORMAT, "test": test, "listener": name, "seed": 1, "date": "", "pair": pair}
    path = Path(f"{name}.json")
    path.write_text(json.dumps({**values, "report": {"weights": ""}, "trials": trials}))
    return path


def test_results_of_several_listeners(swc):
    first = write_session("Ada", "mushra", [{"item": "a", "ratings": ratings(70)}])
    second = write_session("Bo", "mushra", [{"item": "a", "ratings": ratings(80)}])
    third = write_session("Cy", "mushra", [{"item": "a", "ratings": ratings(10, reference=50)}])
    trials = [{"item": "a", "x": "A", "answer": "A"}] * 8
    fourth = write_session("Di", "abx", trials, ["original", "2.67 kbps"])
    text = swc("listen-results", first, second, third, fourth).out
    assert "8 of 8 correct by 1 listener, p = 0.003906" in text
    assert "MUSHRA by 2 listeners" in text and "2.67 kbps    75.0" in text
    assert "excluded: Cy rated the hidden reference below 90 for 1 of 1 items" in text
    (record,) = swc("listen-results", first, second, "--json").records
    assert record["mushra"][0]["conditions"][1] == {
        "name": "2.67 kbps", "scores": 2, "mean": 75, "interval": {"low": 70, "high": 80}
    }  # fmt: skip


def test_a_bad_file_is_one_line(swc):
    good = write_session("Ada", "mushra", [{"item": "a", "ratings": ratings(70)}])
    Path("bad.json").write_text("{")
    result = swc("listen-results", good, "bad.json", code=3)
    assert result.err == "swc: error: bad.json: is not JSON\n" and result.out == ""
    swc("listen-results", "missing.json", code=3)


@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_plot_of_results(swc):
    trials = [{"item": "a", "answer": "8 kbps"}] * 3
    rated = write_session("Ada", "mushra", [{"item": "a", "ratings": ratings(70)}] * 2)
    preferred = write_session("Bo", "preference", trials, ["2.67 kbps", "8 kbps"])
    chosen = write_session("Cy", "abx", [{"item": "a", "x": "A", "answer": "B"}], ["original", "2.67 kbps"])
    swc("listen-results", rated, preferred, chosen, "--plot", "results.svg")
    assert b"<svg" in Path("results.svg").read_bytes()
    assert "exists already" in swc("listen-results", rated, "--plot", "results.svg", code=2).err
    screened = write_session("Di", "mushra", [{"item": "a", "ratings": ratings(70, reference=1)}])
    assert "nothing to plot" in swc("listen-results", screened, "--plot", "none.svg", code=2).err
