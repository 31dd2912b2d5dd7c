"""Ranks of expert masks."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchcodec_cli.bitstream import mask_of_rank, rank_of_mask


@pytest.mark.parametrize("experts", [0, 1, 4, 8, 10])
def test_ranks_number_all_masks(experts: int) -> None:
    for count in range(experts + 1):
        masks = list(combinations(range(experts), count))
        ranks = [rank_of_mask(mask) for mask in masks]
        assert sorted(ranks) == list(range(comb(experts, count)))
        assert [mask_of_rank(rank, count, experts) for rank in ranks] == masks
        # colexicographic: ordered by the largest expert first
        assert sorted(masks, key=rank_of_mask) == sorted(masks, key=lambda mask: mask[::-1])


@given(st.sets(st.integers(0, 31)))
def test_ranks_of_32_experts(experts: set[int]) -> None:
    mask = tuple(sorted(experts))
    rank = rank_of_mask(mask)
    assert rank < comb(32, len(mask))
    assert mask_of_rank(rank, len(mask), 32) == mask


def test_worked_example() -> None:
    assert rank_of_mask((2, 5)) == comb(2, 1) + comb(5, 2) == 12
    assert mask_of_rank(12, 2, 8) == (2, 5)
    for rank in (-1, 28):
        with pytest.raises(ValueError, match="rank"):
            mask_of_rank(rank, 2, 8)
