"""Ranks of expert masks in the combinatorial number system."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb


def rank_of_mask(mask: Sequence[int]) -> int:
    """Rank of a mask, whose experts e_1 < ... < e_k ascend: the sum of C(e_i, i).

    The masks of k out of Nr experts have the ranks 0 to C(Nr, k) - 1, in colexicographic order.
    """
    return sum(comb(expert, place) for place, expert in enumerate(mask, start=1))


def mask_of_rank(rank: int, count: int, experts: int) -> tuple[int, ...]:
    """The mask of ``count`` out of ``experts`` experts with this rank, in ascending order.

    Raises:
        ValueError: the rank is not below C(experts, count).
    """
    if not 0 <= rank < comb(experts, count):
        raise ValueError(f"mask rank {rank} is not below C({experts}, {count})")
    mask = []
    expert = experts - 1
    for place in range(count, 0, -1):  # greedy: the largest expert whose binomial still fits
        while comb(expert, place) > rank:
            expert -= 1
        rank -= comb(expert, place)
        mask.append(expert)
        expert -= 1
    return tuple(reversed(mask))
