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
    "dither": ((None, -80), (None, -80)),  # -90.9, -90.9
    "loudness at -50 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.032, -0.239
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.217, 0.058
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.148, 0.075
    "loudness at -10 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.337, 0.086
    "loudness at -1 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.296, -0.052
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 1.14, 1.08
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.9, 0.837
    "before clicks": ((None, -2.6), (None, -1.3)),  # -4.61, -3.3, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -0.681, -1.08
    "peak of clicks": ((-11.2, 3), (-10.9, 3)),  # -9.13, -8.92, aim ±6
    "before drum": ((None, -12.6), (None, -12.6)),  # -14.6, -14.6, aim -15
    "level of drum": ((-3, 3), (-3, 3)),  # -0.918, -1.22
    "peak of drum": ((-3, 3), (-4, 3)),  # -1.02, -1.95
    "tone of 50 Hz": ((0.6, None), (0.9, None)),  # 0.689, 0.955, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # -0.073, 0.032
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.862, 0.983, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # -0.272, -0.424
    "tone of 440 Hz": ((0.9, None), (0.9, None)),  # 0.972, 0.981
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.808, -0.876
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.974, 0.987
    "level of 1000 Hz": ((-5.5, 3), (-3, 3)),  # -3.48, -2.59, aim ±3
    "tone of 4000 Hz": ((0.9, None), (0.9, None)),  # 0.998, 0.998
    "level of 4000 Hz": ((-6.5, 3), (-9.4, 3)),  # -4.51, -7.4, aim ±3
    "tone of 5000 Hz": ((0.9, None), (0.9, None)),  # 0.998, 0.997
    "level of 5000 Hz": ((-13.6, 3), (-17.2, 3)),  # -11.6, -15.1, aim ±3
    "tone of 10000 Hz": ((0.6, None), (0.8, None)),  # 0.671, 0.877, aim 0.9
    "level of 10000 Hz": ((-14.1, 3), (-13.2, 3)),  # -12.1, -11.2, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 0.999, 1
    "level of 15000 Hz": ((-10.4, 3), (-6.3, 3)),  # -8.39, -4.3, aim ±3
    "click at the end of 440 Hz": ((None, -45), (None, -45)),  # -67.4, -61
    "click at the end of 1000 Hz": ((None, -45), (None, -45)),  # -60.1, -63.8
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # -1.05, -0.635
    "peak of the sweep": ((-3, 17), (-3, 17)),  # 12.6, 13.1, aim 3
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.48, -1.41
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.38, -0.387
    "level of noise": ((-2, 2), (-2, 2)),  # -1.14, -0.953
}
# Upper limits at 2.67 kbps for both channels and at 8 kbps; as comments the values measured. Rates are those
# of whole files, whose header and trailer take about 0.1 kbps.
STEREO = {
    "level difference, panned": (4.1, 3.1),  # 2.91, 2.16
    "coherence, panned": (0.15, 0.14),  # 0.097, 0.091
    "fold-down, panned": (3.5, 1.9),  # 2.5, 1.26
    "kbps, panned": (2.83, 8),  # 2.8, 8
    "fold-down, left only": (1.9, 1.6),  # 1.26, 0.982
    "kbps, left only": (2.83, 8),  # 2.81, 7.98
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (1, 1.1),  # 0.524, 0.625
    "coherence, wide": (0.23, 0.19),  # 0.162, 0.132
    "fold-down, wide": (2.4, 1.4),  # 1.63, 0.854
    "kbps, wide": (2.83, 8),  # 2.8, 8
    "level difference, near mono": (0.9, 0.9),  # 0.438, 0.438
    "coherence, near mono": (0.02, 0.02),  # 0, 0
    "fold-down, near mono": (1.5, 1.4),  # 0.944, 0.829
    "kbps, near mono": (2.9, 8.06),  # 2.86, 8.03
    "level difference, tape": (0.9, 0.9),  # 0.438, 0.438
    "coherence, tape": (0.02, 0.02),  # 0, 0
    "fold-down, tape": (1.5, 1.5),  # 0.911, 0.904
    "kbps, tape": (2.9, 8.06),  # 2.86, 8.03
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (1.7, 1.6),  # 1.09, 0.976
    "kbps, mono": (2.83, 8),  # 2.8, 7.97
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
