"""A short run of the fuzzer of payloads and waveform layers; run fuzz_payloads.py by hand for longer."""

from __future__ import annotations

from fuzz_payloads import fuzz


def test_random_packets() -> None:
    counts = fuzz(inputs=2500, seconds=30.0, seed=1)
    assert counts.inputs >= 500  # however slow the machine
    assert counts.random > 50
    assert counts.random_decoded <= 0.01 * counts.random + 1
    assert counts.random_layers > 20
    assert counts.random_layers_decoded <= 0.01 * counts.random_layers + 1
    assert counts.layers_decoded > 50
