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
# most allowed, at 2.67 kbps for both channels and at 8
# (behind them what was measured with the weights of the day)
STEREO = {
    "level difference, panned": (5.9, 3.4),  # 4.34, 2.4
    "coherence, panned": (0.17, 0.13),  # 0.117, 0.087
    "fold-down, panned": (4, 2.3),  # 2.81, 1.53
    "kbps, panned": (2.8, 8),  # 2.77, 7.97
    "fold-down, left only": (2.3, 1.5),  # 1.54, 0.949
    "kbps, left only": (2.8, 8),  # 1.91, 7.93
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (2.2, 1.5),  # 1.46, 0.918
    "coherence, wide": (0.21, 0.21),  # 0.146, 0.148
    "fold-down, wide": (1.7, 1.4),  # 1.07, 0.822
    "kbps, wide": (2.8, 8),  # 2.77, 7.96
    "level difference, near mono": (1.3, 0.8),  # 0.734, 0.358
    "coherence, near mono": (0.19, 0.06),  # 0.132, 0.034
    "fold-down, near mono": (2.5, 1.9),  # 1.67, 1.26
    "kbps, near mono": (2.8, 8),  # 2.77, 7.96
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (2, 1.8),  # 1.28, 1.13
    "kbps, mono": (2.8, 8),  # 2.77, 7.94
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
