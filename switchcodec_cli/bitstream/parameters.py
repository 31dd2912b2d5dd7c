"""Codec parameters that a reader needs to parse packets, and the bit counts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import comb

import numpy as np

from ..errors import UsageError
from .intensity import LEVELS_BITS
from .modes import BlockKind, BlockMode, coded_modes

MAX_SAMPLE_RATE = 768_000
MIN_CODEC_RATE = 1000
MAX_EXPERTS = 32
MAX_CODEBOOKS_PER_QUANTIZER = 8
MAX_CODEBOOK_SIZE = 65_536
MAX_WINDOW_SAMPLES = 1 << 22
MAX_PACKET_BYTES = 1 << 18
MAX_TOTAL_SAMPLES = 1 << 43  # so that total × rate fits in 63 bits
MAX_PACKETS = (1 << 31) - 1
PACKET_CRC_BYTES = 2
LAYER_SIZE_BITS = 12  # width of the size of a waveform layer
MAX_LAYER_BYTES = (1 << LAYER_SIZE_BITS) - 1


def bits_for(count: int) -> int:
    """Bits that distinguish ``count`` values: ceil(log2(count)), 0 for a single value."""
    return (count - 1).bit_length()


@dataclass(frozen=True)
class StreamParameters:
    """Codec parameters of a stream.

    Raises:
        UsageError: a value is outside the limits of the format.
    """

    sample_rate: int  # of the codec, Hz
    hop: int  # samples per latent frame
    frames_per_window: int
    experts: int  # Nr, the number of experts the router chooses from
    codebook_size: int  # entries per codebook
    codebooks_per_quantizer: int = 1

    def __post_init__(self) -> None:
        limits = (
            ("codec sample rate", self.sample_rate, MIN_CODEC_RATE, MAX_SAMPLE_RATE),
            ("hop", self.hop, 1, 0xFFFF),
            ("frames per window", self.frames_per_window, 1, 0xFFFF),
            ("number of experts", self.experts, 0, MAX_EXPERTS),
            ("codebook size", self.codebook_size, 2, MAX_CODEBOOK_SIZE),
            ("codebooks per quantizer", self.codebooks_per_quantizer, 1, MAX_CODEBOOKS_PER_QUANTIZER),
            ("samples per window", self.hop * self.frames_per_window, 1, MAX_WINDOW_SAMPLES),
        )
        for name, value, low, high in limits:
            check_range(name, value, low, high)
        with_all_experts = self.packet_bytes(coded_modes([self.experts] * 2))
        check_range("size of a packet with all experts", with_all_experts, 1, MAX_PACKET_BYTES)

    # Mode fields

    @cached_property
    def _modes(self) -> tuple[BlockMode, ...]:
        """All modes of a block; the position of each is the value of its mode field."""
        derived = (BlockKind.SILENT, BlockKind.COPY, BlockKind.INTENSITY)
        return coded_modes(range(self.experts + 1)) + tuple(map(BlockMode, derived))

    @cached_property
    def _mode_fields(self) -> dict[BlockMode, int]:
        return {mode: field for field, mode in enumerate(self._modes)}

    @cached_property
    def mode_bits(self) -> int:
        """Width of a mode field: it distinguishes all modes, the short-window prefix and the trailer."""
        return bits_for(len(self._modes) + 2)

    @property
    def short_window_field(self) -> int:
        """Value of the mode field that opens the packet of a short window."""
        return len(self._modes)

    def mode_field(self, mode: BlockMode) -> int:
        """Value of the mode field of a block.

        Raises:
            ValueError: no block of these parameters can have this mode.
        """
        if mode not in self._mode_fields:
            raise ValueError(f"no block can be {mode}")
        return self._mode_fields[mode]

    def mode_of_field(self, field: int) -> BlockMode:
        """The mode that a mode field announces.

        Raises:
            ValueError: the value is reserved.
        """
        if not 0 <= field < len(self._modes):
            raise ValueError(f"mode field {field} is reserved")
        return self._modes[field]

    def mode_error(self, modes: Sequence[BlockMode]) -> str | None:
        """Why these modes, one per signal, cannot be in one packet; None if they can."""
        coded = [mode.kind is BlockKind.CODED for mode in modes]
        for signal, mode in enumerate(modes):
            if mode not in self._mode_fields:
                return f"no block can be {mode}"
            other_is_coded = any(coded[:signal] + coded[signal + 1 :])
            if mode.kind is BlockKind.COPY and (signal == 0 or not other_is_coded):
                return "only the second signal can be a copy, and only of a coded one"
            if mode.kind is BlockKind.INTENSITY and not other_is_coded:
                return "intensity stereo needs the other signal to be coded"
        return None

    def modes_of_fields(self, fields: Sequence[int]) -> tuple[BlockMode, ...]:
        """The modes of the mode fields of a packet, one per signal.

        Raises:
            ValueError: a value is reserved, or the modes cannot be in one packet.
        """
        modes = tuple(map(self.mode_of_field, fields))
        error = self.mode_error(modes)
        if error:
            raise ValueError(error)
        return modes

    def all_modes(self, signals: int) -> list[tuple[BlockMode, ...]]:
        """All combinations of modes that a packet can have, in ascending order of their mode fields."""
        combinations = product(self._modes, repeat=signals)
        return [modes for modes in combinations if self.mode_error(modes) is None]

    # Bits and bytes; ``frames`` is the number of latent frames in the window, None for a full one

    @cached_property
    def frame_bits(self) -> int:
        """Width of the number of frames in the prefix of a short window."""
        return bits_for(self.frames_per_window)

    @cached_property
    def index_bits(self) -> int:
        """Width of one codebook index."""
        return bits_for(self.codebook_size)

    def rank_bits(self, experts: int) -> int:
        """Width of the rank of a mask of so many experts."""
        return bits_for(comb(self.experts, experts))

    def quantizer_bits(self, frames: int) -> int:
        """Bits of the indices of one quantizer."""
        return self.codebooks_per_quantizer * self.index_bits * frames

    def plain_bytes(self, experts: int, frames: int | None = None) -> int:
        """Whole bytes that hold the plain indices of a coded block."""
        bits = (1 + experts) * self.quantizer_bits(self.frames_per_window if frames is None else frames)
        return -(-bits // 8)

    def side_bits(self, modes: Sequence[BlockMode], frames: int | None = None) -> int:
        """Bits of a packet before its indices: short-window prefix, mode fields, mask ranks and levels."""
        bits = len(modes) * self.mode_bits
        if frames is not None and frames < self.frames_per_window:
            bits += self.mode_bits + self.frame_bits
        for kind, experts in modes:
            if kind is BlockKind.CODED:
                bits += self.rank_bits(experts)
            elif kind is BlockKind.INTENSITY:
                bits += LEVELS_BITS
        return bits

    def payload_bits(self, modes: Sequence[BlockMode], frames: int | None = None) -> int:
        """Bits of all indices of a packet."""
        quantizers = sum(1 + experts for kind, experts in modes if kind is BlockKind.CODED)
        return quantizers * self.quantizer_bits(self.frames_per_window if frames is None else frames)

    def packet_bytes(self, modes: Sequence[BlockMode], frames: int | None = None) -> int:
        """Size of a packet with these modes, one per signal, padding and CRC included."""
        return _packet_bytes(self, tuple(modes), frames)

    def packet_bytes_of_fields(self, fields: np.ndarray) -> np.ndarray:
        """Sizes of the packets of many full windows.

        Args:
            fields: mode fields that may occur together  # (N, signals)

        Returns:
            Sizes in bytes  # (N,)
        """
        bits_of_field = np.array(
            [self.side_bits((mode,)) + self.payload_bits((mode,)) for mode in self._modes], np.int64
        )
        bits: np.ndarray = bits_of_field[fields].sum(axis=1)
        return -(-bits // 8) + PACKET_CRC_BYTES

    # Time

    @property
    def window_samples(self) -> int:
        """Samples of a full window at the rate of the codec."""
        return self.hop * self.frames_per_window

    @property
    def window_seconds(self) -> float:
        """Duration of a full window."""
        return self.window_samples / self.sample_rate

    def window_start(self, index: int) -> float:
        """Start of a window in seconds."""
        return index * self.window_samples / self.sample_rate

    def frames_in(self, total_samples: int, original_rate: int) -> int:
        """Latent frames of a recording of ``total_samples`` samples at ``original_rate`` Hz."""
        codec_samples = -(-total_samples * self.sample_rate // original_rate)
        return -(-codec_samples // self.hop)

    def windows_in(self, frames: int) -> int:
        """Windows, the last one perhaps short, that hold ``frames`` latent frames."""
        return -(-frames // self.frames_per_window)

    def frames_in_window(self, index: int, frames: int) -> int:
        """Latent frames in window ``index`` of a stream of ``frames`` latent frames."""
        return max(0, min(frames - index * self.frames_per_window, self.frames_per_window))

    def last_frames_of(self, frames: int) -> int:
        """Latent frames in the last window of a stream of ``frames`` latent frames; 0 if there is none."""
        return self.frames_in_window(max(self.windows_in(frames) - 1, 0), frames)


@lru_cache(maxsize=4096)
def _packet_bytes(parameters: StreamParameters, modes: tuple[BlockMode, ...], frames: int | None) -> int:
    bits = parameters.side_bits(modes, frames) + parameters.payload_bits(modes, frames)
    return -(-bits // 8) + PACKET_CRC_BYTES


def check_range(name: str, value: object, low: int, high: int) -> None:
    """Raises UsageError unless ``value`` is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise UsageError(f"{name} must be an integer from {low} to {high}, not {value!r}")
