"""What indices cost, codebook by codebook."""

from __future__ import annotations

import io

import numpy as np
from layered_streams import stream_with_layers
from test_transcoding import MODEL, PARAMETERS, WAVEFORM_MODEL, load, make_stream

from switchcodec_cli.bitstream import inspect
from switchcodec_cli.bitstream.index_costs import index_costs


def test_costs_add_up_to_the_payload() -> None:
    data, windows = make_stream(True)
    costs = index_costs(io.BytesIO(data), load)
    summary = inspect(io.BytesIO(data))
    assert costs.count.sum() == summary.index_count
    coded = summary.coded_blocks
    # the payload lacks the last index of each block, and has up to four bytes of the coder
    assert abs(summary.budget.payload - costs.bits.sum()) < coded * (32 + 16)
    used = np.zeros(1 + PARAMETERS.experts, np.int64)
    for window in windows:
        for block in window.blocks:
            used[[0, *(1 + expert for expert in block.experts)]] += block.indices.size > 0 and window.frames
    assert costs.count[:, 0].tolist() == used.tolist()
    assert MODEL.tensors.codebooks == costs.bits.size


def test_waveform_layers_do_not_count() -> None:
    """Nor is the waveform model needed."""
    data = make_stream(True)[0]
    with_layers = stream_with_layers(data, MODEL, WAVEFORM_MODEL)
    assert len(with_layers) > len(data)
    found, expected = (index_costs(io.BytesIO(each), load) for each in (with_layers, data))
    assert np.array_equal(found.bits, expected.bits) and np.array_equal(found.count, expected.count)
    assert inspect(io.BytesIO(with_layers)).bits_per_index == inspect(io.BytesIO(data)).bits_per_index


def test_plain_streams_have_the_same_costs() -> None:
    plain, modelled = (index_costs(io.BytesIO(make_stream(coded)[0]), load) for coded in (False, True))
    assert np.allclose(plain.bits, modelled.bits)
