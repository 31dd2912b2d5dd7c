"""Codec parameters that decide how a packet is parsed, and the bit counts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import comb

import numpy as np

from ..errors import UsageError

MAX_SAMPLE_RATE = 768_000
MIN_CODEC_RATE = 1000
MAX_EXPERTS = 32
MAX_CODEBOOKS_PER_QUANTIZER = 8
MAX_CODEBOOK_SIZE = 65_536
MAX_WINDOW_SAMPLES = 1 << 22
MAX_PACKET_BYTES = 1 << 18
MAX_TOTAL_SAMPLES = 1 << 43  # so that total x rate fits in 63 bits
MAX_PACKETS = (1 << 31) - 1
PACKET_CRC_BYTES = 2

# Levels of a panned signal against the other one, one for each band of the spectrum.
LEVEL_BITS = 5
LEVEL_EDGES = (200, 400, 800, 1600, 3200, 6400, 12800)  # Hz, between the bands
LEVEL_BANDS = len(LEVEL_EDGES) + 1
LEVELS_BITS = LEVEL_BITS * LEVEL_BANDS
LEVEL_STEP, LEVEL_UNITY = 1.5, 24  # dB a step; the level that leaves a band as it is. Level 0 is silence


def bits_for(count: int) -> int:
    """Least number of bits that tell ``count`` values apart: ceil(log2 count), 0 for a single value."""
    return (count - 1).bit_length()


@dataclass(frozen=True)
class StreamParameters:
    """What a reader must know about the codec to parse packets.

    Raises UsageError if a value is outside the limits of the format.
    """

    sample_rate: int  # of the codec, Hz
    hop: int  # samples per latent frame
    frames_per_window: int
    experts: int  # number of experts the router chooses from
    codebook_size: int  # entries per codebook
    codebooks_per_quantizer: int = 1  # stages of the cascade inside each quantizer

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
        check_range("largest packet in bytes", self.packet_bytes((self.experts,) * 2), 1, MAX_PACKET_BYTES)

    # Codes that open a packet; 0..experts are numbers of chosen experts.

    @cached_property
    def code_bits(self) -> int:
        """Bits of one code: it tells apart 0..experts, silent, copy, panned, short prefix and end."""
        return bits_for(self.experts + 6)

    @property
    def silent_code(self) -> int:
        return self.experts + 1

    @property
    def copy_code(self) -> int:
        return self.experts + 2

    @property
    def intensity_code(self) -> int:
        return self.experts + 3

    @property
    def short_code(self) -> int:
        return self.experts + 4

    @property
    def end_code(self) -> int:
        """All ones: no packet starts with it, the trailer does."""
        return (1 << self.code_bits) - 1

    @cached_property
    def frame_bits(self) -> int:
        """Bits of the number of frames in the prefix of a short window."""
        return bits_for(self.frames_per_window)

    @cached_property
    def index_bits(self) -> int:
        """Bits of one codebook index."""
        return bits_for(self.codebook_size)

    def code_flaw(self, codes: Sequence[int]) -> str | None:
        """Why these codes, one per signal, may not stand in a packet; None where they may."""
        for signal, code in enumerate(codes):
            if not 0 <= code <= self.intensity_code:
                return f"code {code} may not stand here"
            others = [other for number, other in enumerate(codes) if number != signal]
            coded = any(other <= self.experts for other in others)
            if code == self.copy_code and (signal == 0 or not coded):
                return "a copy of nothing"
            if code == self.intensity_code and not coded:
                return "levels of nothing"
        return None

    def all_codes(self, signals: int) -> list[tuple[int, ...]]:
        """All codes that a packet may have."""
        every = product(range(self.intensity_code + 1), repeat=signals)
        return [codes for codes in every if self.code_flaw(codes) is None]

    def rank_bits(self, chosen: int) -> int:
        """Bits of the rank of a mask with ``chosen`` experts."""
        return bits_for(comb(self.experts, chosen))

    def quantizer_bits(self, frames: int) -> int:
        """Bits of one quantizer's indices over ``frames`` frames."""
        return self.codebooks_per_quantizer * self.index_bits * frames

    def side_bits(self, codes: Sequence[int], frames: int | None = None) -> int:
        """Bits of a packet beside the indices: short prefix, codes, mask ranks and levels."""
        bits = len(codes) * self.code_bits
        if frames is not None and frames < self.frames_per_window:
            bits += self.code_bits + self.frame_bits
        bits += LEVELS_BITS * sum(code == self.intensity_code for code in codes)
        return bits + sum(self.rank_bits(code) for code in codes if code <= self.experts)

    def payload_bits(self, codes: Sequence[int], frames: int | None = None) -> int:
        """Bits of all indices of a packet."""
        quantizers = sum(1 + code for code in codes if code <= self.experts)
        return quantizers * self.quantizer_bits(self.frames_per_window if frames is None else frames)

    def packet_bytes(self, codes: Sequence[int], frames: int | None = None) -> int:
        """Size of a packet with these codes, one per signal, padding and CRC included.

        ``frames`` is the number of frames when the window is a short one.
        """
        return packet_bytes_for(self, tuple(codes), frames)

    def packet_bytes_of(self, codes: np.ndarray) -> np.ndarray:
        """Sizes of full packets in bytes for an array of valid codes.  codes: (N, signals) → (N,)."""
        per_code = np.zeros(1 << self.code_bits, np.int64)
        for code in range(self.intensity_code + 1):
            per_code[code] = self.side_bits((code,)) + self.payload_bits((code,))
        return -(-per_code[codes].sum(axis=1) // 8) + PACKET_CRC_BYTES

    # Time

    @property
    def window_samples(self) -> int:
        """Samples of a full window at the codec's rate."""
        return self.hop * self.frames_per_window

    @property
    def window_seconds(self) -> float:
        """Length of a full window."""
        return self.window_samples / self.sample_rate

    def frames_in(self, total_samples: int, original_rate: int) -> int:
        """Latent frames of a recording of ``total_samples`` at ``original_rate``."""
        codec_samples = -(-total_samples * self.sample_rate // original_rate)
        return -(-codec_samples // self.hop)

    def windows_in(self, frames: int) -> int:
        """Windows, the last perhaps short, that hold ``frames`` frames."""
        return -(-frames // self.frames_per_window)

    def last_frames_of(self, frames: int) -> int:
        """Frames in the last window of ``frames`` frames; 0 if there is none."""
        return frames - max(self.windows_in(frames) - 1, 0) * self.frames_per_window


@lru_cache(maxsize=4096)
def packet_bytes_for(parameters: StreamParameters, codes: tuple[int, ...], frames: int | None) -> int:
    bits = parameters.side_bits(codes, frames) + parameters.payload_bits(codes, frames)
    return -(-bits // 8) + PACKET_CRC_BYTES


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raises UsageError unless ``value`` is an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise UsageError(f"{name} must be an integer from {low} to {high}, not {value!r}")
