"""The command line `swc`: thin commands over the codec, the container, the evaluation and the trainer.

Nothing slow is imported before a command needs it: `swc --help`, `info`, `verify` and `weights` never load
torch.
"""

from .application import cli, main

__all__ = ["cli", "main"]
