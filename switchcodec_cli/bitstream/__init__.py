"""The `.swc` container: parameters, packets, reading, writing, rates and inspection.

The format is specified in bitstream_spec.md. This package needs numpy and bitarray; it imports neither torch
nor the model.
"""

from .additions import DigestKind, EncodingRequest, SourceDigest
from .bit_budget import BitBudget
from .errors import TruncatedError
from .header import ChannelCoding, Header, RateMode, header_bytes
from .inspection import Problem, Report, Summary, inspect, verify
from .intensity import LEVEL_BANDS, LEVEL_BITS, LEVEL_EDGES, LEVEL_STEP, LEVEL_UNITY, level_gains
from .masks import mask_of_rank, rank_of_mask
from .modes import BlockKind, BlockMode, coded_modes
from .packet import PacketLayout
from .parameters import StreamParameters
from .rates import (
    Rate,
    all_splits,
    attainable_rates,
    format_kbps,
    keeps_constant_rate,
    largest_experts,
    nominal_kbps,
    real_kbps,
    split_experts,
    total_kbps,
)
from .raw_packet import DamagedWindow
from .reader import StreamReader
from .tags import check_tags
from .trailer import Trailer, trailer_bytes
from .window import COPY, SILENT, Block, Window, coded_block, intensity_block, modelled_block
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
    "BlockMode",
    "ChannelCoding",
    "DamagedWindow",
    "DigestKind",
    "EncodingRequest",
    "Header",
    "PacketLayout",
    "Problem",
    "Rate",
    "RateMode",
    "Report",
    "SourceDigest",
    "StreamParameters",
    "StreamReader",
    "StreamWriter",
    "Summary",
    "Trailer",
    "TruncatedError",
    "Window",
    "all_splits",
    "attainable_rates",
    "check_tags",
    "coded_block",
    "coded_modes",
    "format_kbps",
    "header_bytes",
    "inspect",
    "intensity_block",
    "keeps_constant_rate",
    "largest_experts",
    "level_gains",
    "mask_of_rank",
    "modelled_block",
    "nominal_kbps",
    "rank_of_mask",
    "real_kbps",
    "split_experts",
    "total_kbps",
    "trailer_bytes",
    "verify",
]
