"""The command line `swc`: parsing of arguments and formatting of results.

Commands import what they need when they run. `swc --help`, `info`, `verify` and `weights` never import torch.
"""

from .application import cli, main

__all__ = ["cli", "main"]
