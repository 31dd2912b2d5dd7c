"""The shipped weights keep their manners with silence, levels, joins, onsets, tones and noise.

`edges.py` says what each figure is, and prints them all.
"""

from functools import lru_cache

import pytest
from edges import figures

from switchcodec_cli import Codec

# least and most allowed, at 2.67 kbps and at 8; None where there is no such limit
# (behind them what was measured with the weights of the day, and the aim where they fall short of it)
LIMITS = {
    "silence": ((None, -80), (None, -80)),  # -200, -200
    "silence between speech": ((None, -80), (None, -80)),  # -200, -200
    "dither": ((None, -80), (None, -80)),  # -91.5, -90.8
    "loudness at -50 dBFS": ((-0.5, 1), (-0.5, 0.5)),  # 0.682, 0.121, aim ±0.5
    "loudness at -35 dBFS": ((-0.5, 0.9), (-0.5, 0.5)),  # 0.564, 0.109, aim ±0.5
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.318, -0.006
    "loudness at -10 dBFS": ((-0.7, 0.5), (-0.5, 0.5)),  # -0.444, -0.057, aim ±0.5
    "loudness at -1 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.399, 0.009
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 1.02, 1.02
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.972, 0.773
    "before clicks": ((None, -4.6), (None, -3.4)),  # -6.6, -5.44, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -0.693, -0.493
    "before drum": ((None, -15), (None, -15)),  # -16.6, -15.9
    "level of drum": ((-3, 3), (-3, 3)),  # -2.23, -2.31
    "tone of 50 Hz": ((0.5, None), (0.8, None)),  # 0.556, 0.87, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # -0.143, -0.242
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.872, 0.98, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # 0.078, -0.718
    "tone of 440 Hz": ((0.8, None), (0.9, None)),  # 0.856, 0.977, aim 0.9
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.107, -1.12
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.955, 0.984
    "level of 1000 Hz": ((-5.2, 3), (-3, 3)),  # -3.22, -1.95, aim ±3
    "tone of 4000 Hz": ((0.9, None), (0.9, None)),  # 0.999, 0.998
    "level of 4000 Hz": ((-13.1, 3), (-8.3, 3)),  # -11.1, -6.34, aim ±3
    "tone of 10000 Hz": ((0.6, None), (0.8, None)),  # 0.66, 0.916, aim 0.9
    "level of 10000 Hz": ((-25.5, 3), (-24.7, 3)),  # -23.5, -22.7, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 1, 1
    "level of 15000 Hz": ((-8.7, 3), (-13.9, 3)),  # -6.75, -11.9, aim ±3
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # -1.92, -1.51
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.6, -1.54
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.451, -0.456
    "level of noise": ((-2, 2), (-2, 2)),  # -1.67, -1.7
}
RATES = (2.67, 8)


@lru_cache
def measured(kbps: float) -> dict[str, float]:
    return figures(Codec.load(device="cpu"), kbps)


def test_every_figure_has_limits():
    assert measured(RATES[0]).keys() == LIMITS.keys()


@pytest.mark.parametrize("kbps", RATES)
@pytest.mark.parametrize("name", LIMITS)
def test_edges(name, kbps):
    least, most = LIMITS[name][RATES.index(kbps)]
    value = measured(kbps)[name]
    assert least is None or value >= least
    assert most is None or value <= most
