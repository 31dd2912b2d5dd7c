"""Decodes hostile packets of entropy-coded streams with a tiny index model.

PYTHONPATH=tests/bitstream:tests/entropy python tests/hostile/fuzz_payloads.py --inputs 100000 --seed 0

An input is a packet. Most inputs have a right CRC and a changed payload, so that they reach the decoder of
the payload; of the others, the bytes of their stream were changed. Every window must be plain and within the
limits, or damaged with its number and a reason of one line; and a payload that decodes must be the one that
the encoder makes of its indices. Payloads of random bytes are counted apart: how many decode tells what the
check of the coder's end state leaves.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from fuzz import mutate
from modelled_streams import MODEL, PARAMETERS, modelled_stream
from streams import Pipe, write_stream

from switchcodec_cli.bitstream import (
    Block,
    BlockKind,
    ChannelCoding,
    DamagedWindow,
    Header,
    RateMode,
    StreamReader,
    Window,
)
from switchcodec_cli.bitstream.modelled_payload import model_indices, restore_indices
from switchcodec_cli.errors import BadInputError

WINDOWS = 60  # of a stream
SECONDS_OF_STREAM = 30.0  # more is a failure; it takes some ten milliseconds


@dataclass
class Counts:
    """What was tried, and what came of it."""

    inputs: int = 0
    decoded: int = 0  # packets whose modelled payloads were accepted
    random: int = 0  # payloads of random bytes that the decoder was given
    random_decoded: int = 0  # of these, accepted


@dataclass(frozen=True)
class Source:
    """A sound stream to change."""

    data: bytes
    header: Header
    total: int
    windows: list[Window]  # with modelled indices


def sources(rng: np.random.Generator) -> list[Source]:
    """Streams of all channel codings."""
    total = WINDOWS * PARAMETERS.window_samples - int(rng.integers(0, PARAMETERS.window_samples))
    made = []
    for coding in ChannelCoding:
        known, seed = bool(rng.integers(2)), int(rng.integers(2**31))
        data, header, _, windows = modelled_stream(total, coding, RateMode.QUALITY, known, seed)
        made.append(Source(data, header, total, windows))
    return made


def changed_payload(payload: bytes, most: int, others: list[bytes], rng: np.random.Generator) -> bytes:
    """A payload of 1 to ``most`` bytes with a few changes."""
    data = bytearray(payload)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(data) + 1))
        kind = rng.integers(0, 6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data += rng.bytes(int(rng.integers(1, 5)))
        elif kind == 3:
            other = others[rng.integers(len(others))]
            data[at:] = other[at:]
        elif kind == 4:
            data[:4] = int(rng.choice([0, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000, 2**32 - 1])).to_bytes(
                4, "little"
            )
        else:
            data[at : at + 2] = b""
    return bytes(data[:most]) or rng.bytes(1)


def changed_windows(
    source: Source, payloads: list[bytes], rng: np.random.Generator
) -> tuple[list[Window], set[tuple[int, int]]]:
    """Windows with changed payloads, and which blocks (window, signal) have random ones."""
    windows, random = [], set()
    for number, window in enumerate(source.windows):
        blocks: list[Block] = []
        for signal, block in enumerate(window.blocks):
            most = PARAMETERS.plain_bytes(len(block.experts), window.frames) - 1
            if block.kind is BlockKind.CODED and most > 0:
                if rng.random() < 0.5:
                    size = len(block.modelled) or most
                    payload = rng.bytes(int(np.clip(size + rng.integers(-1, 2), 1, most)))
                    random.add((number, signal))
                else:
                    payload = changed_payload(block.modelled or rng.bytes(most), most, payloads, rng)
                block = replace(block, indices=block.indices[:0, :0, :0], modelled=payload)
            blocks.append(block)
        windows.append(replace(window, blocks=tuple(blocks)))
    return windows, random


def check(file: io.BytesIO | Pipe) -> tuple[list[Window | DamagedWindow], list[Window | DamagedWindow]]:
    """Windows as the reader delivers them and with their indices. Raises if either misbehaves."""
    packed: list[Window | DamagedWindow] = []
    try:
        reader = StreamReader(file)
        for window in reader:
            packed.append(window)
    except BadInputError as error:
        assert "\n" not in str(error)
        if not packed:
            return [], []
    header = reader.header
    if header.parameters != PARAMETERS:  # a decoder compares them with the weights
        return packed, packed
    restored = restore_indices(header, MODEL, packed, 0)
    assert len(restored) == len(packed)
    for number, (before, after) in enumerate(zip(packed, restored, strict=True)):
        if isinstance(after, DamagedWindow):
            assert after.index == number and after.reason and "\n" not in after.reason
            assert after.frames == before.frames
            continue
        assert isinstance(before, Window)
        for block in after.blocks:
            assert not block.modelled
            if block.kind is BlockKind.CODED:
                assert block.indices.shape == (1 + len(block.experts), 2, after.frames)
                assert block.indices.max() < PARAMETERS.codebook_size
    decoded = [
        (before, after)
        for before, after in zip(packed, restored, strict=True)
        if isinstance(after, Window) and isinstance(before, Window) and any(b.modelled for b in before.blocks)
    ]
    again = model_indices(PARAMETERS, MODEL, [after for _, after in decoded])
    for (before, _), encoded in zip(decoded, again, strict=True):
        for first, second in zip(before.blocks, encoded.blocks, strict=True):
            assert not first.modelled or first.modelled == second.modelled, (
                "a second payload of the same indices"
            )
    return packed, restored


def fuzz(inputs: int, seconds: float, seed: int) -> Counts:
    """Tries some inputs, or as many as the time permits."""
    rng, counts = np.random.default_rng(seed), Counts()
    end = time.monotonic() + seconds
    pool: list[Source] = []
    rounds = 0
    while counts.inputs < inputs and time.monotonic() < end:
        if rounds % 50 == 0:
            pool = sources(rng)
            payloads = [b.modelled for s in pool for w in s.windows for b in w.blocks if b.modelled]
        rounds += 1
        source = pool[rng.integers(len(pool))]
        random: set[tuple[int, int]] = set()
        if rng.random() < 0.8:
            windows, random = changed_windows(source, payloads, rng)
            data = write_stream(source.header, windows, source.total)
        else:
            data = mutate(source.data, [s.data for s in pool], rng)
        started = time.monotonic()
        try:
            packed, restored = check(Pipe(data) if rng.random() < 0.3 else io.BytesIO(data))
            assert time.monotonic() - started < SECONDS_OF_STREAM, "took too long"
        except Exception:
            print(f"after {counts.inputs} inputs of seed {seed}: {data.hex()}", file=sys.stderr)
            raise
        counts.inputs += len(packed)
        count_accepted(counts, packed, restored, random)
    return counts


def count_accepted(
    counts: Counts,
    packed: list[Window | DamagedWindow],
    restored: list[Window | DamagedWindow],
    random: set[tuple[int, int]],
) -> None:
    """Counts decoded packets; and random payloads where they are the only one of their window."""
    for number, (before, after) in enumerate(zip(packed, restored, strict=True)):
        if not isinstance(before, Window):
            continue
        modelled = [signal for signal, block in enumerate(before.blocks) if block.modelled]
        decoded = bool(modelled) and isinstance(after, Window)
        counts.decoded += decoded
        if len(modelled) == 1 and (number, modelled[0]) in random:
            counts.random += 1
            counts.random_decoded += decoded


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = fuzz(options.inputs, options.seconds, options.seed)
    print(
        f"{counts.inputs} packets, no misbehaviour; {counts.decoded} with modelled payloads decoded; "
        f"of {counts.random} payloads of random bytes {counts.random_decoded} decoded"
    )


if __name__ == "__main__":
    main()
