"""Reads random mutations of streams: the only errors must be BadInputError with one line of text.

python tests/bitstream/fuzz.py --seconds 60 [--seed 0]    (where the package is installed)
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import time
import zlib

import numpy as np
from streams import Pipe, make_header, make_stream

from switchcodec_cli.bitstream import (
    ChannelCoding,
    DamagedWindow,
    RateMode,
    StreamParameters,
    StreamReader,
    Window,
    inspect,
    verify,
)
from switchcodec_cli.errors import BadInputError

INTERESTING_BYTES = [0, 1, 2, 3, 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF]


def valid_streams(rng: np.random.Generator) -> list[bytes]:
    """Valid streams of all channel codings and rate modes, to be mutated.

    Half of them are entropy-coded, and half of these have waveform layers.
    """
    streams = []
    for coding in ChannelCoding:
        for mode in RateMode:
            experts = int(rng.choice([0, 1, 4, 8, 32]))
            frames, entries, codebooks = rng.integers(1, 9), rng.choice([2, 5, 16, 1024]), rng.integers(1, 4)
            parameters = StreamParameters(8000, 10, int(frames), experts, int(entries), int(codebooks))
            total = int(rng.integers(0, 600))
            known = total if rng.random() < 0.5 else None
            tags = (("title", "x"),) if rng.random() < 0.3 else ()
            entropy_coded = bool(rng.integers(2))
            layers = entropy_coded and bool(rng.integers(2))
            header = make_header(
                parameters, coding, mode, min(2, experts), known, 11025, tags, entropy_coded, layers
            )
            streams.append(
                make_stream(total, header, int(rng.integers(1000)), float(rng.choice([0, 0.4])))[0]
            )
    return streams


def mutate(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """One to four random changes; often the CRCs of header and trailer are then corrected."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(changed) + 1))
        kind = rng.integers(0, 7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and at < len(changed):
            changed[at] = int(rng.choice(INTERESTING_BYTES))
        elif kind == 2:
            del changed[at : at + int(rng.integers(1, 20))]
        elif kind == 3:
            changed[at:at] = rng.bytes(int(rng.integers(1, 20)))
        elif kind == 4:
            start = int(rng.integers(0, len(changed) + 1))
            changed[at:at] = changed[start : start + int(rng.integers(1, 80))]
        elif kind == 5:
            other = others[rng.integers(len(others))]
            changed[at:] = other[int(rng.integers(0, len(other))) :]
        else:  # mostly in the header
            changed[min(at, 59, len(changed) - 1) if changed else 0 : at + 1] = rng.bytes(1)
    if rng.random() < 0.7 and len(changed) >= 64:
        changed[60:64] = struct.pack("<I", zlib.crc32(changed[:60]))
    at = changed.rfind(b"\xffEND")
    if rng.random() < 0.5 and at >= 0 and len(changed) - at >= 44:
        size = len(changed) - at
        changed[at + 4 : at + 8] = struct.pack("<I", size)
        changed[-12:] = struct.pack("<II4s", zlib.crc32(changed[at:-12]), size, b"CWS\x89")
    return bytes(changed)


def check(data: bytes) -> bool:
    """Reads ``data`` in all ways; returns whether it is a sound stream. Raises if the reader misbehaves."""
    reports = [verify(io.BytesIO(data)), verify(Pipe(data, 100))]
    for file in (io.BytesIO(data), Pipe(data, 100)):
        count = 0
        try:
            reader = StreamReader(file)
            for window in reader:
                assert isinstance(window, Window | DamagedWindow)
                assert 1 <= window.frames <= reader.header.parameters.frames_per_window
                count += 1
        except BadInputError as error:
            assert "\n" not in str(error)
        assert count <= len(data) // 3
    try:
        inspect(io.BytesIO(data))
        list(StreamReader(io.BytesIO(data)).windows(1, 3))
    except BadInputError:
        pass
    if reports[0].ok:
        assert reports[1].ok, "sound as a file but not as a pipe"
    return reports[0].ok


def fuzz(seconds: float, seed: int) -> tuple[int, int]:
    """Runs for some time; returns the number of inputs and how many of them were sound streams."""
    rng = np.random.default_rng(seed)
    pool = valid_streams(rng)
    assert all(check(data) for data in pool)
    inputs = sound = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if inputs % 2000 == 1999:
            pool = valid_streams(rng)
        data = mutate(pool[rng.integers(len(pool))], pool, rng)
        inputs += 1
        try:
            started = time.monotonic()
            sound += check(data)
            assert time.monotonic() - started < 5, "took too long"
        except Exception:
            print(f"input {inputs} of seed {seed}: {data.hex()}", file=sys.stderr)
            raise
    return inputs, sound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    inputs, sound = fuzz(options.seconds, options.seed)
    print(f"{inputs} inputs, {sound} of them still sound streams, no misbehaviour")


if __name__ == "__main__":
    main()
