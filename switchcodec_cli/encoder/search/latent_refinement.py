"""Latent refinement: gradient descent on latents through the decoder.

The encoder network predicts latents in one pass. Steps down the gradient of the perceptual distance between
decoded and given magnitudes find latents that represent this input better. Where the gradient is taken at the
dequantized latents (straight-through, as in training), other frames and later quantizers compensate for the
quantization error.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...perceptual import PerceptualDistance, PerceptualFeatures

BETA1, BETA2, EPSILON = 0.8, 0.95, 1e-8  # of Adam


class Adam:
    """The optimizer of Kingma and Ba 2015 for one tensor, with the arithmetic of torch.optim.Adam.

    Creating one of torch's optimizers imports torch's compiler, which takes most of a second.

    Args:
        parameter: The tensor to update in place.
        step_size: Learning rate.
    """

    def __init__(self, parameter: Tensor, step_size: float) -> None:
        self._parameter, self._step_size, self._steps = parameter, step_size, 0
        self._mean, self._mean_square = torch.zeros_like(parameter), torch.zeros_like(parameter)

    def step(self, gradient: Tensor) -> None:
        """Update the parameter by a gradient."""
        self._steps += 1
        self._mean.lerp_(gradient, 1 - BETA1)
        self._mean_square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        deviation = self._mean_square.sqrt() / (1 - BETA2**self._steps) ** 0.5
        step_size = self._step_size / (1 - BETA1**self._steps)
        self._parameter.addcdiv_(self._mean, deviation.add_(EPSILON), value=-step_size)


class LatentRefiner:
    """Refines the latents of one chunk with Adam.

    Args:
        distance: Measures what latents decode to.
        z: Initial latents. # (B, T, D)
        before: Latents before the chunk, which stay as they are. # (B, n, D)
        after: Latents after the chunk, which stay as they are. # (B, m, D)
        features: Features of the input. # (B, T, ...)
        coded: Whether each frame is coded; the others neither count nor change; at least one is. # (B, T)
        step_size: Learning rate, in units of the latents.
    """

    def __init__(
        self,
        distance: PerceptualDistance,
        z: Tensor,
        before: Tensor,
        after: Tensor,
        features: PerceptualFeatures,
        coded: Tensor,
        step_size: float,
    ) -> None:
        self._distance, self._initial, self._features = distance, z, features
        self._before, self._after = before, after
        self._coded = coded[..., None]
        self._weight = coded.to(z.dtype) / coded.sum()
        self._refined = z.clone()
        self._optimizer = Adam(self._refined, step_size)

    @property
    def latents(self) -> Tensor:
        """The refined latents. # (B, T, D)"""
        return torch.where(self._coded, self._refined, self._initial)

    def distance(self, z: Tensor) -> Tensor:
        """Perceptual distance (B, T) between what latents z (B, T, D) decode to and the input."""
        start = self._before.shape[1]
        extended = torch.cat([self._before, z, self._after], 1)
        decoded = self._distance.decoded_features(extended, start, start + z.shape[1])
        return self._distance.distance(decoded, self._features)

    def step(self, z: Tensor) -> Tensor:
        """Update the refined latents by the gradient at latents z (B, T, D); returns the distance of z."""
        with torch.enable_grad():
            z = z.detach().clone().requires_grad_(True)
            distance = self.distance(z)
            (gradient,) = torch.autograd.grad((distance * self._weight).sum(), z)
        self._optimizer.step(gradient)
        return distance.detach()
