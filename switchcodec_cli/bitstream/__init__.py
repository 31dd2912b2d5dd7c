"""The `.swc` container: parameters, packets, reading, writing, rates and reports.

Needs numpy alone: neither torch nor the model is imported.  The format is specified in bitstream_spec.md.
"""

from .bit_budget import BitBudget
from .errors import TruncatedError
from .header import ChannelCoding, Header, RateMode
from .inspection import Problem, Report, Summary, inspect, verify
from .masks import mask_of_rank, rank_of_mask
from .packet import COPY, SILENT, Block, BlockKind, Window, coded_block, intensity_block, level_gains
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
    "intensity_block",
    "largest_experts",
    "level_gains",
    "mask_of_rank",
    "nominal_kbps",
    "rank_of_mask",
    "real_kbps",
    "split_experts",
    "total_kbps",
    "verify",
]
