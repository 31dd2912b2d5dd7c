#!/usr/bin/env python3
"""Plot how often each expert is used, for several kinds of audio.

    python examples/expert_use.py FOLDER -o expert_use.png

Each subfolder of FOLDER that contains .swc files is a kind, such as speech, music and sound. The bars show
the share of coded blocks that use an expert; the dashed line is the mean over all experts. Needs matplotlib
(pip install 'switchcodec-cli[plot]').
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from switchcodec_cli import SwcError, UsageError
from switchcodec_cli.bitstream import inspect
from switchcodec_cli.report.figure_file import new_figure, save_figure


def expert_shares(folder: Path) -> np.ndarray:
    """Share of the coded blocks in the files of a folder that use each expert. # (experts,)"""
    uses: list[np.ndarray] = []  # of each expert, per file
    blocks = 0
    for path in sorted(folder.rglob("*.swc")):
        with path.open("rb") as file:
            summary = inspect(file)
        if summary.problems:
            raise UsageError(f"{path}: {summary.problems[0]}")
        uses.append(summary.expert_use.sum(axis=0))
        if len(uses[-1]) != len(uses[0]):
            raise UsageError(f"{path}: the number of experts differs from that of other files")
        blocks += summary.coded_blocks
    return np.sum(uses, axis=0) / max(blocks, 1)


def find_shares(folder: Path) -> dict[str, np.ndarray]:
    """The shares of all kinds."""
    kinds = sorted({path.relative_to(folder).parts[0] for path in folder.glob("*/**/*.swc")})
    if not kinds:
        raise UsageError(f"{folder}: contains no folders with .swc files")
    shares = {kind: expert_shares(folder / kind) for kind in kinds}
    if len({len(share) for share in shares.values()}) > 1:
        raise UsageError(f"{folder}: the numbers of experts of the files differ")
    return shares


def plot(shares: dict[str, np.ndarray], output: str) -> None:
    """Write a bar chart; an existing file is overwritten."""
    figure = new_figure(8, 2.8)
    axes = figure.add_subplot()
    width = 0.8 / len(shares)
    for number, (kind, share) in enumerate(shares.items()):
        offset = (number - (len(shares) - 1) / 2) * width
        axes.bar(np.arange(len(share)) + offset, share, width, label=kind)
    mean = np.mean(list(shares.values()))
    axes.axhline(mean, color="gray", linewidth=0.8, linestyle="--")
    experts = range(len(next(iter(shares.values()))))
    axes.set(xlabel="expert", ylabel="share of blocks", xticks=experts, ylim=(0, 1))
    axes.legend(ncols=len(shares), frameon=False)
    save_figure(figure, output, force=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the example and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="folder with a subfolder for each kind of audio")
    parser.add_argument("-o", "--output", default="expert_use.png", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        shares = find_shares(options.folder)
        plot(shares, options.output)
    except SwcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for kind, share in shares.items():
        print(kind, " ".join(f"{value:.2f}" for value in share))
    return 0


if __name__ == "__main__":
    sys.exit(main())
