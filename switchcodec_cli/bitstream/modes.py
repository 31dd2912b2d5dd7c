"""How a block, one signal in one window, is coded."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class BlockKind(str, Enum):
    """The ways to code a block."""

    CODED = "coded"  # by the shared quantizer and some experts
    SILENT = "silent"  # digital silence
    COPY = "copy"  # the second signal equals the first
    INTENSITY = "intensity"  # intensity stereo: the other signal at other levels


class BlockMode(NamedTuple):
    """The kind of a block and, if it is coded, its number of experts."""

    kind: BlockKind
    experts: int = 0

    def __str__(self) -> str:
        return f"coded with {self.experts} experts" if self.kind is BlockKind.CODED else self.kind.value


def coded_modes(expert_counts: Iterable[int]) -> tuple[BlockMode, ...]:
    """Modes of signals that are all coded, with these numbers of experts."""
    return tuple(BlockMode(BlockKind.CODED, int(count)) for count in expert_counts)
