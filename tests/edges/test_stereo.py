"""The shipped weights keep the places of sounds between two channels, and what they add up to.

`stereo.py` says what each figure is, and prints them all.
"""

from functools import lru_cache

import pytest
from stereo import figures

from switchcodec_cli import Codec

# most allowed, at 2.67 kbps for both channels and at 8
# (behind them what was measured with the weights of the day)
LIMITS = {
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
RATES = (2.67, 8)


@lru_cache
def measured(kbps: float) -> dict[str, float]:
    return figures(Codec.load(device="cpu"), kbps)


def test_every_figure_has_a_limit():
    assert measured(RATES[0]).keys() == LIMITS.keys()


@pytest.mark.parametrize("kbps", RATES)
@pytest.mark.parametrize("name", LIMITS)
def test_stereo(name, kbps):
    assert measured(kbps)[name] <= LIMITS[name][RATES.index(kbps)]
