"""The shipped weights keep their manners with silence, levels, joins, onsets, tones and noise.

`edges.py` says what each figure is, and prints them all.
"""

from functools import lru_cache

import pytest
from edges import figures

from switchcodec_cli import Codec

# least and most allowed, at 2.67 kbps and at 8; None where there is no such limit
# (behind them what was measured with the weights of the day)
LIMITS = {
    "silence": ((None, -80), (None, -80)),  # -200, -200
    "silence between speech": ((None, -80), (None, -80)),  # -200, -200
    "dither": ((None, -80), (None, -80)),  # -108.679, -108.64
    "loudness at -50 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.21, 0.193
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.11, 0.066
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.394, -0.021
    "loudness at -10 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.541, 0.055
    "loudness at -1 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.626, 0.164
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 0.982, 1.095
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.84, 0.951
    "before clicks": ((None, -10), (None, -10)),  # -5.14, -6.54
    "level of clicks": ((-3, 3), (-3, 3)),  # -0.134, -0.021
    "before drum": ((None, -15), (None, -15)),  # -16.169, -16.982
    "level of drum": ((-3, 3), (-3, 3)),  # -2.289, -1.964
    "tone of 50 Hz": ((0.8, None), (0.9, None)),  # 0.159, 0.073
    "level of 50 Hz": ((-3, 3), (-2, 2)),  # -3.939, -3.925
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.021, 0.109
    "level of 100 Hz": ((-3, 3), (-2, 2)),  # -9.542, -8.302
    "tone of 440 Hz": ((0.8, None), (0.9, None)),  # 0.774, 0.935
    "level of 440 Hz": ((-3, 3), (-2, 2)),  # -9.142, -7.941
    "tone of 1000 Hz": ((0.8, None), (0.9, None)),  # 0.947, 0.987
    "level of 1000 Hz": ((-3, 3), (-2, 2)),  # -18.516, -9.952
    "tone of 4000 Hz": ((0.8, None), (0.9, None)),  # 0.6, 0.676
    "level of 4000 Hz": ((-3, 3), (-2, 2)),  # -67.492, -65.432
    "tone of 10000 Hz": ((0.8, None), (0.9, None)),  # 0.227, 0.245
    "level of 10000 Hz": ((-3, 3), (-2, 2)),  # -81.554, -81.383
    "tone of 15000 Hz": ((0.8, None), (0.9, None)),  # 0.213, 0.228
    "level of 15000 Hz": ((-3, 3), (-2, 2)),  # -82.885, -82.997
    "sweep": ((0.9, None), (0.9, None)),  # 0.987, 0.992
    "level of the sweep": ((-3, 3), (-2, 2)),  # -15.123, -13.207
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.265, -1.185
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.182, -0.209
    "level of noise": ((-2, 2), (-2, 2)),  # -0.963, -0.508
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
