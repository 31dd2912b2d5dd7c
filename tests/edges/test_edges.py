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
    "dither": ((None, -80), (None, -80)),  # -90.3, -90.4
    "loudness at -50 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.225, -0.001
    "loudness at -35 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # 0.353, 0.109
    "loudness at -20 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.153, 0.093
    "loudness at -10 dBFS": ((-0.5, 0.5), (-0.5, 0.5)),  # -0.318, -0.043
    "loudness at -1 dBFS": ((-1, 0.5), (-0.5, 0.5)),  # -0.763, 0.068, aim ±0.5
    "clicks in a tone": ((None, 1.5), (None, 1.5)),  # 1.01, 1.06
    "clicks in a noise": ((None, 1.5), (None, 1.5)),  # 0.792, 0.767
    "before clicks": ((None, -2.6), (None, -1.3)),  # -3.71, -2.4, aim -10
    "level of clicks": ((-3, 3), (-3, 3)),  # -1.25, -0.903
    "peak of clicks": ((-11.2, 3), (-10.9, 3)),  # -9.61, -9.12, aim ±6
    "before drum": ((None, -12.6), (None, -12.6)),  # -15.3, -14, aim -15
    "level of drum": ((-3, 3), (-3, 3)),  # -0.75, -0.438
    "peak of drum": ((-3, 3), (-4, 3)),  # -2.44, -1.95
    "tone of 50 Hz": ((0.6, None), (0.15, None)),  # 0.762, 0.202, aim 0.9
    "level of 50 Hz": ((-3, 3), (-3, 3)),  # 0.385, 0.171
    "tone of 100 Hz": ((0.8, None), (0.9, None)),  # 0.935, 0.921, aim 0.9
    "level of 100 Hz": ((-3, 3), (-3, 3)),  # -0.353, -0.001
    "tone of 440 Hz": ((0.9, None), (0.9, None)),  # 0.959, 0.982
    "level of 440 Hz": ((-3, 3), (-3, 3)),  # -0.701, -0.983
    "tone of 1000 Hz": ((0.9, None), (0.9, None)),  # 0.969, 0.988
    "level of 1000 Hz": ((-5.5, 3), (-3, 3)),  # -3.89, -0.865, aim ±3
    "tone of 4000 Hz": ((0.9, None), (0.9, None)),  # 0.999, 1
    "level of 4000 Hz": ((-6.5, 3), (-9.4, 3)),  # -4.23, -8.13, aim ±3
    "tone of 5000 Hz": ((0.9, None), (0.9, None)),  # 0.963, 0.995
    "level of 5000 Hz": ((-13.6, 3), (-22.1, 3)),  # -10.2, -20.1, aim ±3
    "tone of 10000 Hz": ((0.3, None), (0.8, None)),  # 0.369, 0.876, aim 0.9
    "level of 10000 Hz": ((-18.5, 3), (-13.2, 3)),  # -16.5, -8.53, aim ±3
    "tone of 15000 Hz": ((0.9, None), (0.9, None)),  # 1, 1
    "level of 15000 Hz": ((-10.4, 3), (-6.3, 3)),  # -8.68, -3.79, aim ±3
    "click at the end of 440 Hz": ((None, -45), (None, -45)),  # -68.2, -63
    "click at the end of 1000 Hz": ((None, -45), (None, -45)),  # -71.7, -67.2
    "sweep": ((0.9, None), (0.9, None)),  # 0.999, 0.999
    "level of the sweep": ((-3, 3), (-3, 3)),  # -0.802, -0.311
    "peak of the sweep": ((-3, 17), (-3, 17)),  # 10.5, 12.3, aim 3
    "flatness of noise": ((-3.5, None), (-3.5, None)),  # -2.23, -2.2
    "flatness of its mean": ((-1.6, None), (-1.6, None)),  # -1.32, -1.28, aim -1
    "level of noise": ((-2, 2), (-2, 2)),  # -0.372, -0.407
}
# Upper limits at 2.67 kbps for both channels and at 8 kbps; as comments the values measured. Rates are those
# of whole files.
STEREO = {
    "level difference, panned": (4.1, 3.1),  # 2.95, 1.62
    "coherence, panned": (0.15, 0.14),  # 0.103, 0.092
    "fold-down, panned": (3.5, 1.9),  # 1.52, 0.771
    "kbps, panned": (2.67, 8),  # 2.65, 7.97
    "fold-down, left only": (1.9, 1.6),  # 1.02, 0.663
    "kbps, left only": (2.67, 8),  # 2.57, 6.7
    "leak, left only": (-80, -80),  # -177, -177
    "level difference, wide": (1, 1.1),  # 0.978, 0.543
    "coherence, wide": (0.23, 0.19),  # 0.139, 0.134
    "fold-down, wide": (2.4, 1.4),  # 1.23, 0.793
    "kbps, wide": (2.67, 8),  # 2.56, 7.92
    "level difference, near mono": (0.9, 0.9),  # 0.438, 0.438
    "coherence, near mono": (0.02, 0.02),  # 0, 0
    "fold-down, near mono": (1.5, 1.4),  # 0.605, 0.628
    "kbps, near mono": (2.67, 8),  # 2.56, 6.82
    "level difference, tape": (0.9, 0.9),  # 0.438, 0.438
    "coherence, tape": (0.02, 0.02),  # 0, 0
    "fold-down, tape": (1.5, 1.5),  # 0.673, 0.645
    "kbps, tape": (2.67, 8),  # 2.66, 6.85
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (1.7, 1.6),  # 0.871, 0.695
    "kbps, mono": (2.67, 8),  # 2.62, 6.76
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
