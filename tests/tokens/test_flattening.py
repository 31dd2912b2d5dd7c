"""Tokens as sequences for language models, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bitstream.streams import make_header, make_stream
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tokens import streams

from switchcodec_cli import UsageError
from switchcodec_cli.bitstream import BlockKind, ChannelCoding, RateMode
from switchcodec_cli.tokens import (
    Tokens,
    Vocabulary,
    from_delay_pattern,
    from_sequence,
    to_delay_pattern,
    to_sequence,
)


@settings(deadline=None, max_examples=150)
@given(streams())
def test_sequences_have_an_exact_inverse(data: bytes) -> None:
    tokens = Tokens.from_stream(data)
    sequence = to_sequence(tokens)
    assert (
        sequence.size == 0 or 0 <= sequence.min() <= sequence.max() < Vocabulary(tokens.header.parameters).pad
    )
    assert from_sequence(sequence, tokens) == tokens


@settings(deadline=None, max_examples=150)
@given(streams(), st.booleans())
def test_delay_patterns_have_an_exact_inverse(data: bytes, with_all_rows: bool) -> None:
    tokens = Tokens.from_stream(data)
    experts = tokens.header.parameters.experts if with_all_rows else None
    assert from_delay_pattern(to_delay_pattern(tokens, experts), tokens) == tokens


@settings(deadline=None, max_examples=300)
@given(streams(), st.data())
def test_changed_sequences_are_errors_or_other_tokens(data: bytes, draw: st.DataObject) -> None:
    tokens = Tokens.from_stream(data)
    for flatten, inverse in ((to_sequence, from_sequence), (to_delay_pattern, from_delay_pattern)):
        flat = flatten(tokens).copy()
        if flat.size == 0:
            continue
        place = draw.draw(st.integers(0, flat.size - 1))
        flat.flat[place] = draw.draw(st.integers(-1, Vocabulary(tokens.header.parameters).size))
        try:
            result = inverse(flat, tokens)
        except UsageError:
            continue
        assert (flatten(result) == flat).all()


def example() -> Tokens:
    """Two windows, of four frames and one; two codebooks; the second window has another number of experts."""
    parameters = replace(make_header().parameters, codebooks_per_quantizer=2)
    header = make_header(parameters, mode=RateMode.QUALITY)
    template = Tokens.from_stream(make_stream(50, header, seed=5)[0])
    masks = np.zeros((2, 1, 4), bool)
    masks[0, 0, [1, 3]] = True
    indices = np.full((2, 1, 5, 2, 4), -1)
    indices[0, 0, [0, 2, 4]] = np.arange(24).reshape(3, 2, 4) % 16
    indices[1, 0, 0, :, 0] = (14, 15)
    return replace(template, masks=masks, indices=indices)


def test_sequence_of_an_example() -> None:
    vocabulary = Vocabulary(example().header.parameters)
    size, codebook = 5 * 2 * 16, 16
    assert (vocabulary.indices, vocabulary.size) == (size, size + 4 + 4 + 4 + 32 + 1)
    start = [
        vocabulary.window(4),
        vocabulary.kind(BlockKind.CODED),
        vocabulary.expert(1),
        vocabulary.expert(3),
    ]
    assert start == [size + 3, size + 4, size + 9, size + 11]
    columns = [0, 1, 4, 5, 8, 9]  # codebooks of the shared quantizer, of expert 1 and of expert 3
    frames = [
        [codebook * column + (4 * row + frame) % 16 for row, column in enumerate(columns)]
        for frame in range(4)
    ]
    second = [vocabulary.window(1), vocabulary.kind(BlockKind.CODED), 14, 16 + 15]
    assert to_sequence(example()).tolist() == [*start, *np.ravel(frames), *second]


def test_delay_pattern_of_an_example() -> None:
    tokens = example()
    vocabulary = Vocabulary(tokens.header.parameters)
    pattern = to_delay_pattern(tokens, experts=2)
    window, coded = vocabulary.window, vocabulary.kind(BlockKind.CODED)
    pad = vocabulary.pad
    rows = [
        [window(4), 0, 1, 2, 3, window(1), 14],
        [coded, 20, 21, 22, 23, coded, 16 + 15],
        [vocabulary.expert(1), 72, 73, 74, 75, pad, pad],
        [vocabulary.expert(3), 92, 93, 94, 95, pad, pad],
        [pad, 128, 129, 130, 131, pad, pad],
        [pad, 148, 149, 150, 151, pad, pad],
    ]
    assert pattern.tolist() == [[pad] * row + values + [pad] * (5 - row) for row, values in enumerate(rows)]
    with pytest.raises(UsageError, match="2 experts, more than 1"):
        to_delay_pattern(tokens, experts=1)


def test_a_sequence_of_another_length_becomes_a_whole_number_of_frames() -> None:
    tokens = Tokens.from_stream(make_stream(190, make_header(total_samples=190))[0])
    sequence = to_sequence(tokens)
    first = (sequence == Vocabulary(tokens.header.parameters).window(4)).nonzero()[0][2]
    shorter = from_sequence(sequence[:first], tokens)
    assert (shorter.windows, shorter.frames, shorter.samples) == (2, 8, 80)
    assert shorter.header.total_samples == 80 and shorter.source is None
    assert Tokens.from_stream(shorter.to_stream()) == shorter


def test_malformed_sequences_are_errors() -> None:
    tokens = example()
    vocabulary = Vocabulary(tokens.header.parameters)
    sequence = to_sequence(tokens)
    wrong = {
        "ends within window 1": sequence[:-1],
        "ends where the kind": sequence[:1],
        "token 0 is 31, where the start of a window": sequence[::-1],
        "only the last may be short": np.concatenate([sequence[-4:], sequence]),
        "is not an index of the codebook": np.where(sequence == 16 + 4, 4, sequence),
        "must ascend": np.where(sequence == vocabulary.expert(3), vocabulary.expert(0), sequence),
        "array of integers": sequence.astype(float),
        "of 1 dimension": sequence[None],
    }
    for message, values in wrong.items():
        with pytest.raises(UsageError, match=message):
            from_sequence(values, tokens)
    with pytest.raises(UsageError, match="cannot have the shape"):
        from_delay_pattern(to_delay_pattern(tokens)[:-1], tokens)


def test_stereo_sequences_hold_both_signals() -> None:
    header = make_header(coding=ChannelCoding.LEFT_RIGHT, experts_total=0)
    tokens = Tokens.from_stream(make_stream(40, header)[0])
    sequence = to_sequence(tokens)
    assert (sequence[3:].reshape(4, 2) == tokens.indices[0, :, 0, 0].T).all()
    assert to_delay_pattern(tokens).shape == (4, 8)
