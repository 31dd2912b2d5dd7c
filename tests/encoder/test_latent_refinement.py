"""The optimizer of latent refinement."""

from __future__ import annotations

import torch

from switchcodec_cli.encoder.search.latent_refinement import BETA1, BETA2, Adam


def test_steps_are_those_of_torch():
    random = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 30, 8, generator=random)
    theirs = ours.clone().requires_grad_()
    optimizer, reference = Adam(ours, 0.045), torch.optim.Adam([theirs], 0.045, (BETA1, BETA2))
    for _ in range(12):
        gradient = torch.randn(2, 30, 8, generator=random)
        optimizer.step(gradient)
        theirs.grad = gradient.clone()
        reference.step()
    assert torch.equal(ours, theirs.detach())
