"""The block that the networks of the spectral backbone consist of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, LayerNorm, pointwise expansion with GELU, scaled residual.

    After Liu et al. 2022, "A ConvNet for the 2020s", in one dimension. An output depends on kernel // 2
    frames to either side.
    """

    def __init__(self, width: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.depthwise = nn.Conv1d(width, width, kernel, padding=self.padding, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.contract = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        # depthwise convolutions are faster, and more exact, in float32 even where the rest runs in bfloat16
        with torch.autocast(x.device.type, enabled=False):
            # conv2d accepts channels-last tensors, which saves the transpositions of conv1d
            depthwise = self.depthwise
            y = F.conv2d(
                x.float().mT[:, :, None], depthwise.weight[:, :, None], depthwise.bias,
                padding=(0, self.padding), groups=depthwise.groups,
            )[:, :, 0].mT  # fmt: skip
            y = self.norm(y)
        z: Tensor = self.contract(F.gelu(self.expand(y)))
        return x + self.scale * z
