"""Range asymmetric numeral systems (rANS; Duda 2013) over many lanes at once.

A lane is the coder of the indices of one coded block, or of its waveform layer. Its state is an integer x,
2^16 <= x < 2^32; frequencies have a total of 2^16; words of 16 bits move between the state and the lane's
bytes. A symbol with the frequency f and the sum of the frequencies before it, c, changes the state

    in the encoder  x -> (x div f) * 2^16 + c + x mod f,
                    after the low word of x was written and x shifted right by 16 bits if x >= f * 2^16;
    in the decoder  x -> f * (x div 2^16) + x mod 2^16 - c,
                    after which x is shifted left and a word is read if x < 2^16.

The encoder works from the last symbol to the first. It begins at 2^16 plus a number below 2^16, the *tail*,
which the decoder finds in its last state: 16 bits that would otherwise be lost hold data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TOTAL_BITS = 16
TOTAL = 1 << TOTAL_BITS
LOWEST_STATE = 1 << 16
STATE_BYTES = 4
SHORT_STATE = 1 << 24  # states below are stored in three bytes

Integers = npt.NDArray[np.int64]
Lanes = Integers | slice
"""Numbers of lanes, or a slice of all lanes where that is quicker."""


class RansEncoder:
    """Encodes symbols of several lanes, the last symbol of each lane first.

    Args:
        tails: Of each lane, in 0 ... 2^16 - 1.
        capacity: Greatest number of symbols of a lane.
    """

    def __init__(self, tails: Integers, capacity: int) -> None:
        self._state = LOWEST_STATE + tails
        self._words = np.zeros((len(tails), capacity), "<u2")  # in the order of writing
        self._count = np.zeros(len(tails), np.int64)

    def push(self, lanes: Integers, starts: Integers, frequencies: Integers) -> None:
        """Encode one symbol of each of some lanes.

        Args:
            lanes: Numbers of the lanes, each at most once. # (n,)
            starts: Sums of the frequencies of all symbols before it. # (n,)
            frequencies: Of the symbols, each at least 1. # (n,)
        """
        state = self._state[lanes]
        full = state >= frequencies << 16
        writing = lanes[full]
        self._words[writing, self._count[writing]] = state[full] & 0xFFFF
        self._count[writing] += 1
        state = np.where(full, state >> 16, state)
        quotient, remainder = np.divmod(state, frequencies)
        self._state[lanes] = (quotient << TOTAL_BITS) + starts + remainder

    def finish(self) -> list[bytes]:
        """The bytes of each lane: the state in three bytes if it fits, else in four, then the words.

        Everything is little-endian. The parity of the length tells how many bytes the state has.
        """
        return [
            state.to_bytes(STATE_BYTES - (state < SHORT_STATE), "little") + words[:count][::-1].tobytes()
            for state, words, count in zip(
                self._state.tolist(), self._words, self._count.tolist(), strict=True
            )
        ]


class RansDecoder:
    """Decodes symbols of several lanes.

    Damage does not interrupt decoding: a damaged lane gives arbitrary symbols, one for each call, and is
    reported by `finish`.

    Args:
        payloads: The bytes of each lane.
    """

    def __init__(self, payloads: Sequence[bytes]) -> None:
        lanes = len(payloads)
        self._state = np.full(lanes, LOWEST_STATE, np.int64)
        self._damage: dict[int, str] = {}
        words, begin = [], np.zeros(lanes + 1, np.int64)
        for lane, payload in enumerate(payloads):
            length = STATE_BYTES - len(payload) % 2
            state = int.from_bytes(payload[:length], "little")
            if len(payload) < STATE_BYTES - 1:
                self._damage[lane] = f"{len(payload)} bytes cannot hold the state of the coder"
            elif state < LOWEST_STATE or (length == STATE_BYTES and state < SHORT_STATE):
                self._damage[lane] = f"the coder cannot begin in state {state}"
            else:
                self._state[lane] = state
            words.append(payload[length:])
            begin[lane + 1] = begin[lane] + len(words[-1]) // 2
        # the last word is a sentinel, read again and again by a lane that passes the end of all words
        self._words = np.frombuffer(b"".join(words) + b"\0\0", "<u2").astype(np.int64)
        self._position, self._end = begin[:-1].copy(), begin[1:]

    def slots(self, lanes: Lanes) -> Integers:
        """The slots, in 0 ... 2^16 - 1, of the next symbols of some lanes.

        The next symbol is the one with start <= slot < start + frequency.
        """
        return self._state[lanes] & (TOTAL - 1)

    def advance(self, lanes: Lanes, offsets: Integers, frequencies: Integers) -> None:
        """Take one symbol from each of some lanes.

        Args:
            lanes: Numbers of the lanes, each at most once. # (n,)
            offsets: Slots less the starts of the symbols, in 0 ... frequency - 1. # (n,)
            frequencies: Of the symbols. # (n,)
        """
        state = (self._state[lanes] >> TOTAL_BITS) * frequencies + offsets
        low = state < LOWEST_STATE
        if low.any():
            position = self._position[lanes]
            words = self._words.take(position, mode="clip")
            np.copyto(state, (state << 16) | words, where=low)
            self._position[lanes] = position + low
        self._state[lanes] = state

    def tails(self) -> Integers:
        """The tail of each lane, once its last symbol has been decoded; arbitrary in damaged lanes."""
        return self._state & (TOTAL - 1)

    def finish(self, symbol: str = "index", symbols: str = "indices") -> dict[int, str]:
        """What is wrong with each damaged lane, once its last symbol has been decoded.

        Args:
            symbol: What a symbol is called in messages.
            symbols: The plural.
        """
        wrong = (self._position != self._end) | (self._state >= 2 * LOWEST_STATE)
        for lane in np.flatnonzero(wrong).tolist():
            left = int(self._end[lane] - self._position[lane])
            if left < 0:
                problem = f"the coded {symbols} end {-2 * left} bytes after the payload"
            elif left > 0:
                problem = f"{2 * left} bytes are left after the last {symbol}"
            else:
                problem = f"the coder ends in state {self._state[lane]}, above {2 * LOWEST_STATE - 1}"
            self._damage.setdefault(lane, problem)
        return self._damage
