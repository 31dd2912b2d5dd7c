"""The shipped weights keep their manners with silence, levels, joins, onsets, tones and noise.

`edges.py` and, for two channels, `stereo.py` say what each figure is, and print them all.
"""

from functools import lru_cache

import edges
import pytest
import stereo

from switchcodec_cli import Codec

# least and most allowed, at 2.67 kbps and at 8; None where there is no such limit
# (behind them what was measured with the weights of the day, and the aim where they fall short of it)
LIMITS = {
    "silence": ((None, -80), (None, -80)),  # -200, -200
    "silence between speech": ((None, -80), (None, -80)),  # -200, -200
    "dither": ((None, -80), (None, -80)),  # -90.8, -90.6
    "loudness at -50 dBFS": ((-0.5, 1.1), (-0.5, 0.5)),  # 0.808, 0.121, aim ±0.5
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.201, 0.205
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.15, 0.072
    "loudness at -10 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.283, -0.031
    "loudness at -1 dBFS": ((-1.1, 0.5), (-0.5, 0.5)),  # -0.807, -0.047, aim ±0.5
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 0.926, 0.982
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.79, 0.726
    "before clicks": ((None, -3.5), (None, -2.6)),  # -5.47, -4.64, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -0.527, -1.29
    "before drum": ((None, -15), (None, -15)),  # -16.7, -16.8
    "level of drum": ((-4.9, 3), (-3, 3)),  # -2.95, -2.28, aim ±3
    "tone of 50 Hz": ((0.1, None), (0.9, None)),  # 0.154, 0.956, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # 1.02, 0.131
    "tone of 100 Hz": ((0.7, None), (0.9, None)),  # 0.849, 0.943, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # -1.2, -0.832
    "tone of 440 Hz": ((0.8, None), (0.9, None)),  # 0.888, 0.962, aim 0.9
    "level of 440 Hz": ((-5.6, 3), (-3, 3)),  # -3.63, -2.38, aim ±3
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.978, 0.971
    "level of 1000 Hz": ((-6, 3), (-3, 3)),  # -3.98, -1.85, aim ±3
    "tone of 4000 Hz": ((0.6, None), (0.9, None)),  # 0.736, 0.989, aim 0.9
    "level of 4000 Hz": ((-6.3, 3), (-10.3, 3)),  # -4.3, -8.28, aim ±3
    "tone of 10000 Hz": ((0.9, None), (0.7, None)),  # 0.96, 0.845, aim 0.9
    "level of 10000 Hz": ((-15.6, 3), (-14.2, 3)),  # -13.6, -12.2, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 1, 1
    "level of 15000 Hz": ((-12.7, 3), (-3, 3)),  # -10.7, -2.41, aim ±3
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # -0.973, -0.794
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.54, -1.46
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.446, -0.437
    "level of noise": ((-2, 2), (-2, 2)),  # -1.5, -1.58
}
# most allowed, at 2.67 kbps for both channels and at 8
# (behind them what was measured with the weights of the day)
STEREO = {
    "level difference, panned": (6.2, 3.1),  # 4.5, 2.12
    "coherence, panned": (0.16, 0.13),  # 0.105, 0.085
    "fold-down, panned": (4.2, 1.9),  # 3.03, 1.2
    "kbps, panned": (2.83, 8),  # 2.77, 7.97
    "fold-down, left only": (2, 1.6),  # 1.31, 1.01
    "kbps, left only": (2.83, 8),  # 2.78, 7.95
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (1.6, 1.2),  # 0.99, 0.656
    "coherence, wide": (0.24, 0.23),  # 0.169, 0.165
    "fold-down, wide": (1.7, 1.3),  # 1.08, 0.781
    "kbps, wide": (2.83, 8),  # 2.77, 7.97
    "level difference, near mono": (0.9, 0.9),  # 0.438, 0.438
    "coherence, near mono": (0.02, 0.02),  # 0, 0
    "fold-down, near mono": (1.7, 1.6),  # 1.08, 1.01
    "kbps, near mono": (2.83, 8),  # 2.82, 8
    "level difference, tape": (0.9, 0.9),  # 0.438, 0.438
    "coherence, tape": (0.02, 0.02),  # 0, 0
    "fold-down, tape": (1.8, 1.7),  # 1.17, 1.07
    "kbps, tape": (2.83, 8),  # 2.82, 8
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (1.9, 1.8),  # 1.23, 1.16
    "kbps, mono": (2.83, 8),  # 2.77, 7.94
    "difference, mono": (-80, -80),  # -179, -179
}
LIMITS |= {name: tuple((None, most) for most in limits) for name, limits in STEREO.items()}


@lru_cache
def measured(kbps: float) -> dict[str, float]:
    codec = Codec.load(device="cpu")
    return edges.figures(codec, kbps) | stereo.figures(codec, kbps)


def test_every_figure_has_limits():
    assert measured(edges.RATES[0]).keys() == LIMITS.keys()


@pytest.mark.parametrize("kbps", edges.RATES)
@pytest.mark.parametrize("name", LIMITS)
def test_edges(name, kbps):
    least, most = LIMITS[name][edges.RATES.index(kbps)]
    value = measured(kbps)[name]
    assert least is None or value >= least
    assert most is None or value <= most
