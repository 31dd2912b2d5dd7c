"""Decodes hostile packets of entropy-coded streams, half of them with waveform layers, with tiny models.

PYTHONPATH=tests/bitstream:tests/entropy python tests/hostile/fuzz_payloads.py --inputs 100000 --seed 0

An input is a packet. Most inputs have a right CRC and changed payloads or layers, so that they reach the
decoders of these; of the others, the bytes of their stream were changed. Every window must be plain and
within the limits, or damaged with its number and a reason of one line; and a payload or a layer that decodes
must be the one that the encoder makes of its indices or coefficients. Payloads and layers of random bytes are
counted apart: how many decode tells what the check of the coder's end state leaves.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from fuzz import mutate
from layered_streams import WAVEFORM_MODEL, layered_stream
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
from switchcodec_cli.bitstream.modelled_payload import masks_of_blocks, model_indices, restored_windows
from switchcodec_cli.bitstream.parameters import MAX_LAYER_BYTES
from switchcodec_cli.bitstream.waveform_layer import decode_layers, encode_layers
from switchcodec_cli.errors import BadInputError

WINDOWS = 60  # of a stream
LANES = 32  # windows decoded together
SECONDS_OF_STREAM = 30.0  # more is a failure; it takes some ten milliseconds


@dataclass
class Counts:
    """What was tried, and what came of it."""

    inputs: int = 0
    decoded: int = 0  # packets whose modelled payloads were accepted
    random: int = 0  # payloads of random bytes that the decoder was given
    random_decoded: int = 0  # of these, accepted
    layers: int = 0  # waveform layers that the decoder was given, in windows with sound indices
    layers_decoded: int = 0  # of these, accepted
    random_layers: int = 0  # layers of random bytes that the decoder was given
    random_layers_decoded: int = 0  # of these, accepted


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
        make = layered_stream if rng.integers(2) else modelled_stream
        data, header, _, windows = make(total, coding, RateMode.QUALITY, known, seed)
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


def changed_layer(layer: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """A layer with a few changes, mostly behind its step."""
    if rng.random() < 0.2:
        return bytes([int(rng.choice([0, 1, 127, 128, 255]))]) + layer[1:]
    others = [other[1:] for other in others if len(other) > 1]
    return layer[:1] + changed_payload(layer[1:], MAX_LAYER_BYTES - 1, others, rng)


def changed_windows(
    source: Source, payloads: list[bytes], layers: list[bytes], rng: np.random.Generator
) -> tuple[list[Window], set[tuple[int, int]], set[tuple[int, int]]]:
    """Windows with changed payloads or, in streams that have them, changed layers.

    Returns:
        The windows, and which blocks (window, signal) have random payloads and which random layers.
    """
    if source.header.waveform_layers and rng.random() < 0.8:
        windows, random = windows_with_changed_layers(source, layers, rng)
        return windows, set(), random
    windows, random = windows_with_changed_payloads(source, payloads, rng)
    return windows, random, set()


def windows_with_changed_layers(
    source: Source, layers: list[bytes], rng: np.random.Generator
) -> tuple[list[Window], set[tuple[int, int]]]:
    """Windows with sound indices and changed layers, and which blocks (window, signal) have random ones."""
    windows, random = [], set()
    for number, window in enumerate(source.windows):
        blocks: list[Block] = []
        for signal, block in enumerate(window.blocks):
            if block.kind is BlockKind.CODED and rng.random() < 0.5:
                layer = block.waveform or layers[rng.integers(len(layers))]
                if rng.random() < 0.5:
                    size = max(1, len(layer) + int(rng.integers(-2, 3)))
                    layer = bytes([int(rng.integers(1, 128))]) + rng.bytes(size - 1)
                    random.add((number, signal))
                else:
                    layer = changed_layer(layer, layers, rng)
                block = replace(block, waveform=layer)
            blocks.append(block)
        windows.append(replace(window, blocks=tuple(blocks)))
    return windows, random


def windows_with_changed_payloads(
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
    restored = list(restored_windows(header, lambda: MODEL, lambda: WAVEFORM_MODEL, iter(packed), 0, LANES))
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
            assert (block.coefficients is None) == (not block.waveform)
            if block.coefficients is not None:
                assert block.coefficients.shape == (after.frames, WAVEFORM_MODEL.tensors.bins)
                assert np.isfinite(block.coefficients).all()
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
    for after in restored:
        if isinstance(after, Window):
            check_layers(after)
    return packed, restored


def check_layers(window: Window) -> None:
    """Layers that decode must be those of their coefficients, unless these are all 0."""
    tensors = WAVEFORM_MODEL.tensors
    for block in window.blocks:
        if not block.waveform:
            continue
        mask = masks_of_blocks(PARAMETERS.experts, [block])
        sizes = WAVEFORM_MODEL.sizes(mask, [block.indices.reshape(-1, window.frames).astype(np.int64)])
        decoded = decode_layers(tensors, sizes, [block.waveform])
        assert not decoded.damage and np.array_equal(decoded.values[0], block.coefficients)
        again = encode_layers(tensors, sizes, decoded.steps, decoded.q)
        assert again == [block.waveform] or not decoded.q[0].any(), "a second layer of the same coefficients"


def fuzz(inputs: int, seconds: float, seed: int) -> Counts:
    """Tries some inputs, or as many as the time permits."""
    rng, counts = np.random.default_rng(seed), Counts()
    end = time.monotonic() + seconds
    pool: list[Source] = []
    rounds = 0
    while counts.inputs < inputs and time.monotonic() < end:
        if rounds % 50 == 0:
            pool = sources(rng)
            blocks = [block for s in pool for window in s.windows for block in window.blocks]
            payloads = [block.modelled for block in blocks if block.modelled]
            layers = [block.waveform for block in blocks if block.waveform] or [rng.bytes(9)]
        rounds += 1
        source = pool[rng.integers(len(pool))]
        random: set[tuple[int, int]] = set()
        random_layers: set[tuple[int, int]] = set()
        if rng.random() < 0.8:
            windows, random, random_layers = changed_windows(source, payloads, layers, rng)
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
        count_layers(counts, packed, restored, random_layers)
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


def count_layers(
    counts: Counts,
    packed: list[Window | DamagedWindow],
    restored: list[Window | DamagedWindow],
    random: set[tuple[int, int]],
) -> None:
    """Counts layers where they are the only one of their window and its indices are sound."""
    for number, (before, after) in enumerate(zip(packed, restored, strict=True)):
        if not isinstance(before, Window):
            continue
        signals = [signal for signal, block in enumerate(before.blocks) if block.waveform]
        decoded = isinstance(after, Window)
        if len(signals) != 1 or not (decoded or after.reason.startswith("waveform layer: ")):
            continue
        counts.layers += 1
        counts.layers_decoded += decoded
        if (number, signals[0]) in random:
            counts.random_layers += 1
            counts.random_layers_decoded += decoded


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
        f"of {counts.random} payloads of random bytes {counts.random_decoded} decoded; of {counts.layers} "
        f"waveform layers {counts.layers_decoded} decoded, of {counts.random_layers} of random bytes "
        f"{counts.random_layers_decoded}"
    )


if __name__ == "__main__":
    main()
