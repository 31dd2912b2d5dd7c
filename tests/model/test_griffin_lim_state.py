"""What the iterations of phase reconstruction keep between blocks."""

import torch

from switchcodec_cli.model.dsp.griffin_lim import GriffinLim


def test_iterations_keep_what_later_spectra_need_and_no_blocks():
    """With 1000 iterations, whole blocks would be gigabytes."""
    length, hop, iterations = 256, 64, 5
    search = GriffinLim(length, hop, iterations, 0.99)
    for _ in range(3):
        search.push(torch.rand(2, 96, length // 2 + 1))
    stages = [*search._common.stages, *search._separate.stages]
    kept = {"tail": 0, "history": 0, "targets": 0, "before": 0}
    for stage in stages:
        for name in kept:
            tensor = getattr(stage, name)
            if tensor is not None:
                assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size(), name
                kept[name] += 1
    assert all(kept.values())
