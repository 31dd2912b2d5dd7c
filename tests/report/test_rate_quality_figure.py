"""Figures of quality against rate."""

import sys

import pytest

from switchcodec_cli.errors import UsageError
from switchcodec_cli.evaluation import RateQuality, Row
from switchcodec_cli.report.rate_quality_figure import plot_rate_quality


def make_result(curves=("",), metrics=("mel", "stft", "si_sdr", "pesq")) -> RateQuality:
    """Two kinds of audio at two rates."""
    rows = [
        Row(
            file=f"{kind}/a.wav",
            kind=kind,
            curve=curve,
            setting=f"{rate:g}",
            asked_kbps=rate,
            kbps=0.98 * rate,
            size=1000,
            seconds=1.0,
            encode_seconds=0.1,
            decode_seconds=0.1,
            scores={name: rate + number for number, name in enumerate(metrics)},
        )
        for kind in ("speech", "music")
        for curve in curves
        for rate in (8.0, 2.67)
    ]
    return RateQuality(metrics, rows)


def test_png_of_one_curve(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"
    plot_rate_quality(make_result(), path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(UsageError, match="exists already"):
        plot_rate_quality(make_result(), path)
    plot_rate_quality(make_result(), path, force=True)
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
        plot_rate_quality(make_result(), tmp_path / "plot.doc")


def test_panels_of_several_curves(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # keeps titles as text
    path = tmp_path / "curves.svg"
    plot_rate_quality(make_result(curves=("constant", "average")), path)
    text = path.read_text()
    assert "<svg" in text[:2000]
    for part in ("speech: Mel (lower is better)", "music: Mel", "speech: PESQ (higher is better)", "average"):
        assert part in text
    assert "music: PESQ" not in text and "SI-SDR" not in text


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"switchcodec-cli\[plot\]"):
        plot_rate_quality(make_result(), tmp_path / "plot.png")
