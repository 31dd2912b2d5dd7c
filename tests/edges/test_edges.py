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
    "dither": ((None, -80), (None, -80)),  # -90.8, -90.8
    "loudness at -50 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.05, -0.192
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.432, -0.193
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.333, -0.226
    "loudness at -10 dBFS": ((-0.8, 0.5), (-0.5, 0.5)),  # -0.635, -0.098, aim ±0.5
    "loudness at -1 dBFS": ((-1, 0.5), (-0.5, 0.5)),  # -0.522, -0.337, aim ±0.5
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 1.15, 0.991
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.793, 0.779
    "before clicks": ((None, -2.6), (None, -4)),  # -4.51, -6.51, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -1.22, -0.291
    "peak of clicks": ((-11.2, 3), (-7, 3)),  # -9.68, -4.99, aim ±6
    "before drum": ((None, -12.6), (None, -12.6)),  # -14.1, -13.9, aim -15
    "level of drum": ((-3, 3), (-3, 3)),  # -1.51, -1.15
    "peak of drum": ((-3, 3), (-4, 3)),  # -2.27, -2.47
    "tone of 50 Hz": ((0.4, None), (0.9, None)),  # 0.589, 0.996, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # 0.712, 0.077
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.926, 0.998, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # 0.232, -0.02
    "tone of 440 Hz": ((0.9, None), (0.9, None)),  # 0.97, 0.999
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.341, -0.319
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.972, 0.996
    "level of 1000 Hz": ((-5.5, 3), (-3, 3)),  # -3.17, -0.887, aim ±3
    "tone of 4000 Hz": ((0.9, None), (0.9, None)),  # 0.999, 1
    "level of 4000 Hz": ((-14.9, 3), (-12.8, 3)),  # -6.63, -9.77, aim ±3
    "tone of 5000 Hz": ((0.9, None), (0.9, None)),  # 0.998, 0.998
    "level of 5000 Hz": ((-17.5, 3), (-21.2, 3)),  # -15.4, -16.9, aim ±3
    "tone of 10000 Hz": ((0.27, None), (0.65, None)),  # 0.343, 0.772, aim 0.9
    "level of 10000 Hz": ((-18.5, 3), (-13.2, 3)),  # -16.4, -10.3, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 1, 1
    "level of 15000 Hz": ((-10.4, 3), (-6.3, 3)),  # -5.1, -3.4, aim ±3
    "click at the end of 440 Hz": ((None, -45), (None, -45)),  # -68.1, -58.8
    "click at the end of 1000 Hz": ((None, -45), (None, -45)),  # -71.5, -57.7
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 1
    "level of the sweep": ((-3, 3), (-3, 3)),  # -0.719, -0.077
    "peak of the sweep": ((-3, 22), (-3, 14)),  # 16.5, 10.6, aim 3
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -1.22, -1.3
    "flatness of its mean": ((-1, None), (-1, None)),  # -0.323, -0.319
    "level of noise": ((-2, 2), (-2, 2)),  # -1.09, -0.963
}
# Upper limits at 2.67 kbps for both channels and at 8 kbps; as comments the values measured. Rates are those
# of whole files.
STEREO = {
    "level difference, panned": (4.1, 3.1),  # 2.93, 1.11
    "coherence, panned": (0.15, 0.14),  # 0.094, 0.09
    "fold-down, panned": (3.5, 1.9),  # 2.24, 0.893
    "kbps, panned": (2.67, 8),  # 2.57, 7.99
    "fold-down, left only": (1.9, 1.6),  # 0.977, 0.859
    "kbps, left only": (2.67, 8),  # 2.56, 6.68
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (1.3, 1.1),  # 1.02, 0.614
    "coherence, wide": (0.23, 0.19),  # 0.129, 0.127
    "fold-down, wide": (2.4, 1.4),  # 1.55, 0.982
    "kbps, wide": (2.67, 8),  # 2.67, 7.9
    "level difference, near mono": (0.9, 0.9),  # 0.438, 0.438
    "coherence, near mono": (0.02, 0.02),  # 0, 0
    "fold-down, near mono": (1.5, 1.4),  # 1.03, 0.81
    "kbps, near mono": (2.67, 8),  # 2.56, 6.82
    "level difference, tape": (0.9, 0.9),  # 0.438, 0.438
    "coherence, tape": (0.02, 0.02),  # 0, 0
    "fold-down, tape": (1.5, 1.5),  # 1.04, 0.991
    "kbps, tape": (2.67, 8),  # 2.66, 6.82
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (1.7, 1.6),  # 1.07, 1.01
    "kbps, mono": (2.67, 8),  # 2.6, 7.95
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
