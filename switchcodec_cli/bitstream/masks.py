"""Expert masks as ranks in the combinatorial number system."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb


def rank_of_mask(experts: Sequence[int]) -> int:
    """Rank of a set of experts, given in ascending order: the sum of C(e_i, i) with i from 1.

    Sets of one size are thereby numbered 0 .. C(Nr, k) - 1 in colexicographic order.
    """
    return sum(comb(expert, place) for place, expert in enumerate(experts, start=1))


def mask_of_rank(rank: int, chosen: int, experts: int) -> tuple[int, ...]:
    """The ascending set of ``chosen`` out of ``experts`` with this rank.

    Raises ValueError if the rank is not below C(experts, chosen).
    """
    if not 0 <= rank < comb(experts, chosen):
        raise ValueError(f"mask rank {rank} is not below C({experts},{chosen})")
    mask = []
    expert = experts - 1
    for place in range(chosen, 0, -1):  # greedy: the largest expert whose binomial still fits
        while comb(expert, place) > rank:
            expert -= 1
        rank -= comb(expert, place)
        mask.append(expert)
        expert -= 1
    return tuple(reversed(mask))
