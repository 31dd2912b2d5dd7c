"""Tokens: all that a stream says, as arrays; their flattening for language models, and files of them.

This package needs numpy and `bitstream`, and for entropy-coded streams the index model of their weights;
Parquet files also need pyarrow. It does not import torch.
"""

from .arrays import FILL, KINDS
from .flattening import Vocabulary, from_delay_pattern, from_sequence, to_delay_pattern, to_sequence
from .record import from_record, to_record
from .tokens import Tokens

__all__ = [
    "FILL",
    "KINDS",
    "Tokens",
    "Vocabulary",
    "from_delay_pattern",
    "from_record",
    "from_sequence",
    "to_delay_pattern",
    "to_record",
    "to_sequence",
]
