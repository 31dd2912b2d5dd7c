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
    "dither": ((None, -80), (None, -80)),  # -91.4, -90.9
    "loudness at -50 dBFS": ((-0.9, 0.5), (-0.5, 0.5)),  # -0.568, 0.178, aim ±0.5
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.329, 0.106
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.178, 0.01
    "loudness at -10 dBFS": ((-1.3, 0.5), (-0.5, 0.5)),  # -0.957, -0.015, aim ±0.5
    "loudness at -1 dBFS": ((-1, 0.5), (-0.5, 0.5)),  # -0.658, -0.106, aim ±0.5
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 1.04, 1.08
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.79, 0.936
    "before clicks": ((None, -2.8), (None, -3)),  # -4.77, -4.96, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -0.66, -0.577
    "before drum": ((None, -15), (None, -15)),  # -17.1, -16.6
    "level of drum": ((-3, 3), (-3, 3)),  # -1.18, -1.54
    "tone of 50 Hz": ((0.6, None), (0.8, None)),  # 0.724, 0.866, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # 0.598, 0.347
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.928, 0.945, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # 0.597, -0.689
    "tone of 440 Hz": ((0.9, None), (0.9, None)),  # 0.955, 0.967
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.738, -2.29
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.941, 0.989
    "level of 1000 Hz": ((-6.7, 3), (-3, 3)),  # -4.67, -0.226, aim ±3
    "tone of 4000 Hz": ((None, None), (0.2, None)),  # 0.116, 0.323, aim 0.9
    "level of 4000 Hz": ((-22.1, 3), (-27.6, 3)),  # -20.1, -25.6, aim ±3
    "tone of 10000 Hz": ((None, None), (None, None)),  # 0.011, 0.003, aim 0.9
    "level of 10000 Hz": ((-49.4, 3), (-41.2, 3)),  # -47.4, -39.2, aim ±3
    "tone of 15000 Hz": ((0.5, None), (0.5, None)),  # 0.595, 0.604, aim 0.9
    "level of 15000 Hz": ((-79.8, 3), (-78.4, 3)),  # -77.8, -76.4, aim ±3
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # -2.17, -2.06
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.83, -1.74
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.766, -0.728
    "level of noise": ((-2, 2), (-2, 2)),  # -1.29, -1
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
