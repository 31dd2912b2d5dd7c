"""Initial values of parameters."""

from __future__ import annotations

import torch
from torch import Tensor


def normal_values(*shape: int, variance: float = 1.0) -> Tensor:
    """Random values of normal distribution; undefined values on the meta device.

    Models are built on that device to check weights files. With arithmetic there torch would import its
    compiler, which takes a second.
    """
    values = torch.empty(*shape)
    return values if values.is_meta else values.normal_() * variance**0.5
