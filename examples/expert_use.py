#!/usr/bin/env python3
"""Draw which experts are used for which kinds of sound, from files encoded with `swc encode`.

    python examples/expert_use.py FOLDER -o expert_use.png

Every folder inside FOLDER that holds `.swc` files is a kind, such as speech, music and sound. A bar is the
share of its coded windows that use an expert, the line what each would have if all were used alike. Needs
matplotlib (pip install 'switchcodec-cli[plot]').
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from switchcodec_cli.atomic_io import atomic_path
from switchcodec_cli.bitstream import inspect
from switchcodec_cli.errors import SwcError, UsageError


def shares(folder: Path) -> np.ndarray:
    """Share of the coded windows in a folder's files that use each expert. # (experts,)"""
    used: np.ndarray | float = 0.0
    windows = 0
    for path in sorted(folder.rglob("*.swc")):
        with path.open("rb") as file:
            summary = inspect(file)
        if summary.problems:
            raise UsageError(f"{path}: {summary.problems[0]}")
        if windows and summary.expert_use.shape[1] != np.size(used):
            raise UsageError(f"{path}: another number of experts than in the files before")
        used = used + summary.expert_use.sum(axis=0)
        windows += summary.coded_blocks
    return np.asarray(used) / max(windows, 1)


def draw(folder: Path, output: str) -> dict[str, np.ndarray]:
    """Write the picture; returns the shares of every kind."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("the picture needs matplotlib: pip install 'switchcodec-cli[plot]'") from None
    kinds = sorted({path.relative_to(folder).parts[0] for path in folder.glob("*/**/*.swc")})
    if not kinds:
        raise UsageError(f"{folder}: no folders with .swc files in it")
    found = {kind: shares(folder / kind) for kind in kinds}
    counts = {len(share) for share in found.values()}
    if len(counts) > 1:
        raise UsageError(f"{folder}: streams of different numbers of experts")
    experts = np.arange(counts.pop())
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(kinds)
    for number, (kind, share) in enumerate(found.items()):
        axes.bar(experts + (number - (len(kinds) - 1) / 2) * width, share, width, label=kind)
    fair = np.mean([share.mean() for share in found.values()])
    axes.axhline(fair, color="gray", linewidth=0.8, linestyle="--")
    axes.set(xlabel="expert", ylabel="share of windows", xticks=experts, ylim=(0, 1))
    axes.legend(ncols=len(kinds), frameon=False)
    with atomic_path(output, True) as temporary:
        figure.savefig(temporary, format=Path(output).suffix.lower().lstrip(".") or "png", dpi=110)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", default="expert_use.png")
    options = parser.parse_args(arguments)
    try:
        for kind, share in draw(options.folder, options.output).items():
            print(kind, " ".join(f"{value:.2f}" for value in share))
    except SwcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
