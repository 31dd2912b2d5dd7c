"""The `.swc` container: parameters, packets, reading, writing, rates and reports.

Needs numpy alone: neither torch nor the model is imported.  The format is specified in bitstream_spec.md.
"""

from .budget import BitBudget
from .errors import TruncatedError
from .header import ChannelCoding, Header, RateMode
from .masks import mask_of_rank, rank_of_mask
from .packet import COPY, SILENT, Block, BlockKind, Window, coded_block, level_gains, panned_block
from .parameters import LEVEL_BANDS, LEVEL_BITS, LEVEL_EDGES, LEVEL_STEP, LEVEL_UNITY, StreamParameters
from .rates import (
    Rate,
    all_splits,
    attainable_rates,
    format_kbps,
    largest_experts,
    nominal_kbps,
    real_kbps,
    split_experts,
    total_kbps,
)
from .reader import DamagedWindow, StreamReader
from .report import Problem, Report, Summary, inspect, verify
from .trailer import Trailer
from .writer import StreamWriter

__all__ = [
    "COPY",
    "LEVEL_BANDS",
    "LEVEL_BITS",
    "LEVEL_EDGES",
    "LEVEL_STEP",
    "LEVEL_UNITY",
    "SILENT",
    "BitBudget",
    "Block",
    "BlockKind",
    "ChannelCoding",
    "DamagedWindow",
    "Header",
    "Problem",
    "Rate",
    "RateMode",
    "Report",
    "StreamParameters",
    "StreamReader",
    "StreamWriter",
    "Summary",
    "Trailer",
    "TruncatedError",
    "Window",
    "all_splits",
    "attainable_rates",
    "coded_block",
    "format_kbps",
    "inspect",
    "largest_experts",
    "level_gains",
    "mask_of_rank",
    "nominal_kbps",
    "panned_block",
    "rank_of_mask",
    "real_kbps",
    "split_experts",
    "total_kbps",
    "verify",
]
