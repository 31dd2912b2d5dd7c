"""Limits for what the shipped weights make of silence, levels, joins, onsets, tones, noise and stereo.

`edges.py` and `stereo.py` define the figures and print them.
"""

from functools import lru_cache

import edges
import pytest
import stereo

from switchcodec_cli import Codec

# Lower and upper limits at 2.67 kbps and at 8 kbps, None where there is none; as comments the values measured
# with the shipped weights, and the aim where they fall short of it.
LIMITS = {
    "silence": ((None, -80), (None, -80)),  # -200, -200
    "silence between speech": ((None, -80), (None, -80)),  # -200, -200
    "dither": ((None, -80), (None, -80)),  # -90.9, -90.8
    "loudness at -50 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.042, 0.064
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.324, 0.13
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.327, 0.094
    "loudness at -10 dBFS": ((-0.8, 0.5), (-0.5, 0.5)),  # -0.568, -0.144, aim ±0.5
    "loudness at -1 dBFS": ((-1, 0.5), (-0.5, 0.5)),  # -0.487, -0.02, aim ±0.5
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 0.994, 0.995
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 1.27, 0.793
    "before clicks": ((None, -2.6), (None, -1.3)),  # -3.46, -2.66, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -1.47, -0.73
    "peak of clicks": ((-11.2, 3), (-10.9, 3)),  # -10.2, -9.04, aim ±6
    "before drum": ((None, -12.6), (None, -12.6)),  # -13.7, -13, aim -15
    "level of drum": ((-3, 3), (-3, 3)),  # -1.31, -0.976
    "peak of drum": ((-3, 3), (-4, 3)),  # -2.14, -2
    "tone of 50 Hz": ((0.4, None), (0.7, None)),  # 0.514, 0.853, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # 0.463, 0.099
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.859, 0.966, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # 0.241, 0.005
    "tone of 440 Hz": ((0.9, None), (0.9, None)),  # 0.975, 0.983
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.343, -0.794
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.969, 0.989
    "level of 1000 Hz": ((-5.5, 3), (-3, 3)),  # -3.25, -1.15, aim ±3
    "tone of 4000 Hz": ((0.9, None), (0.9, None)),  # 0.996, 0.999
    "level of 4000 Hz": ((-14.9, 3), (-12.8, 3)),  # -12.9, -10.8, aim ±3
    "tone of 5000 Hz": ((0.9, None), (0.9, None)),  # 0.998, 0.996
    "level of 5000 Hz": ((-17.5, 3), (-21.2, 3)),  # -15.5, -19.2, aim ±3
    "tone of 10000 Hz": ((0.4, None), (0.65, None)),  # 0.474, 0.733, aim 0.9
    "level of 10000 Hz": ((-18.5, 3), (-13.2, 3)),  # -16.5, -10.7, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 1, 1
    "level of 15000 Hz": ((-10.4, 3), (-6.3, 3)),  # -4.18, -6.14, aim ±3
    "click at the end of 440 Hz": ((None, -45), (None, -45)),  # -65.5, -68.3
    "click at the end of 1000 Hz": ((None, -45), (None, -45)),  # -70.9, -64.1
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # 0.056, 0.429
    "peak of the sweep": ((-3, 22), (-3, 24)),  # 18.4, 20.7, aim 3
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.23, -1.26
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.325, -0.319
    "level of noise": ((-2, 2), (-2, 2)),  # -1.02, -1.02
}
# Upper limits at 2.67 kbps for both channels and at 8 kbps; as comments the values measured. Rates are those
# of whole files.
STEREO = {
    "level difference, panned": (4.1, 3.1),  # 2.85, 1.08
    "coherence, panned": (0.15, 0.14),  # 0.098, 0.092
    "fold-down, panned": (3.5, 1.9),  # 2.21, 1.11
    "kbps, panned": (2.67, 8),  # 2.57, 8
    "fold-down, left only": (1.9, 1.6),  # 1.16, 0.848
    "kbps, left only": (2.67, 8),  # 2.57, 6.67
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (1, 1.1),  # 0.772, 0.626
    "coherence, wide": (0.23, 0.19),  # 0.122, 0.133
    "fold-down, wide": (2.4, 1.4),  # 1.68, 0.983
    "kbps, wide": (2.67, 8),  # 2.66, 7.92
    "level difference, near mono": (0.9, 0.9),  # 0.438, 0.438
    "coherence, near mono": (0.02, 0.02),  # 0, 0
    "fold-down, near mono": (1.5, 1.4),  # 0.827, 0.866
    "kbps, near mono": (2.67, 8),  # 2.66, 6.81
    "level difference, tape": (0.9, 0.9),  # 0.438, 0.438
    "coherence, tape": (0.02, 0.02),  # 0, 0
    "fold-down, tape": (1.5, 1.5),  # 1.06, 0.982
    "kbps, tape": (2.67, 8),  # 2.66, 6.85
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (1.7, 1.6),  # 1.2, 0.966
    "kbps, mono": (2.67, 8),  # 2.6, 6.76
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
