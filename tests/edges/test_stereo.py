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
    "level difference, panned": (7.7, 4.7),  # 5.66, 3.39
    "coherence, panned": (0.16, 0.13),  # 0.107, 0.087
    "fold-down, panned": (4.4, 2.5),  # 3.16, 1.67
    "kbps, panned": (2.8, 8),  # 2.77, 7.97
    "fold-down, left only": (2.2, 1.5),  # 1.48, 0.946
    "kbps, left only": (2.8, 8),  # 1.91, 7.93
    "leak, left only": (-80, -80),  # -176, -177
    "level difference, wide": (1.8, 1.4),  # 1.17, 0.875
    "coherence, wide": (0.23, 0.22),  # 0.165, 0.157
    "fold-down, wide": (1.8, 1.3),  # 1.19, 0.736
    "kbps, wide": (2.8, 8),  # 2.77, 7.97
    "level difference, near mono": (1.3, 0.5),  # 0.739, 0.12
    "coherence, near mono": (0.19, 0.06),  # 0.13, 0.033
    "fold-down, near mono": (2.7, 1.7),  # 1.86, 1.11
    "kbps, near mono": (2.8, 8),  # 2.77, 7.97
    "level difference, mono": (0.3, 0.3),  # 0, 0
    "coherence, mono": (0.02, 0.02),  # 0, 0
    "fold-down, mono": (2.2, 1.7),  # 1.48, 1.09
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
