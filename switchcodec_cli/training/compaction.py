"""Weights for distribution: the encoder's large matrices in eight bits.

    python -m switchcodec_cli.training.compaction WEIGHTS OUTPUT

The decoder, the codebooks and the integer models stay as they are, so that decoded audio is the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..model.weights import load_weights, save_weights

ENCODER_NETWORKS = ("encoder.", "refiner.")


def compact(weights: Path, output: Path) -> bytes:
    """Write weights with the encoder in eight bits.

    Args:
        weights: Of a codec.
        output: The weights file to write.

    Returns:
        The fingerprint of the new file.

    Raises:
        WeightsError: `weights` is not a file of weights.
    """
    model, _, provenance = load_weights(weights)
    return save_weights(output, model, provenance, eight_bits=ENCODER_NETWORKS)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Store the encoder of weights in eight bits.")
    parser.add_argument("weights", type=Path, help="weights of the codec")
    parser.add_argument("output", type=Path, help="weights file to write")
    options = parser.parse_args()
    print(compact(options.weights, options.output).hex())


if __name__ == "__main__":
    main()
