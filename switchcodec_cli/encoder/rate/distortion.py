"""Distortion estimate: the distortion of each window by number of experts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ
from ...perceptual import PerceptualDistance, PerceptualFeatures

FloatArray = npt.NDArray[np.float64]

# Errors in faint windows are less audible than the loudness term of the distance implies. The square of a
# window's weight is linear in its level between these (dBFS, RMS).
FAINT, LOUD = -120.0, -20.0
MIN_WEIGHT = 0.55

# The estimate combines the decoded distance with no and with all experts, and the quantization error of the
# latents in between; together they rank windows better than either alone. Decoding at every number of experts
# costs more and ranks worse, since differences between neighbouring numbers are mostly chance. Weight of the
# quantization error, in units of the mean square of the shared codewords:
QUANTIZATION_WEIGHT = 0.6


def audibility(energy: FloatArray) -> FloatArray:
    """Weights MIN_WEIGHT..1 for the errors of windows with these mean squares (full scale 1)."""
    level = 10 * np.log10(energy + 1e-12)
    weight: FloatArray = np.clip((level - FAINT) / (LOUD - FAINT), MIN_WEIGHT**2, 1) ** 0.5
    return weight


class DistortionEstimator:
    """Estimates distortion by number of experts, with the router's masks and greedy quantization.

    Args:
        quantizer: The quantizer.
        distance: Measures what latents decode to.
    """

    def __init__(self, quantizer: ResidualExpertVQ, distance: PerceptualDistance) -> None:
        self._quantizer, self._distance = quantizer, distance
        self._experts = len(quantizer.experts)
        self._unit = quantizer.mean_square()
        # numbers of experts at which the quick estimate measures
        self._anchors = sorted({round(part * self._experts) for part in (0, 1 / 4, 5 / 8, 1)})

    def _quantize(self, z: Tensor, count: int) -> Tensor:
        """Quantize windows z (B, F, D) with `count` experts each."""
        masks = self._quantizer.route(z, torch.full((len(z),), count, device=z.device))
        return self._quantizer.encode(z, masks)[1]

    def from_latents(self, z: Tensor) -> FloatArray:
        """Root mean square of the quantization error of the latents; quick, and a rough estimate.

        Args:
            z: Latents of windows. # (B, W, F, D)

        Returns:
            Distortion by number of experts. # (B, W, Nr + 1)
        """
        flat = z.flatten(0, 1)
        errors = [
            (flat - self._quantize(flat, count)).square().mean((1, 2)).sqrt() for count in self._anchors
        ]
        known = torch.stack(errors, 1).double().cpu().numpy()
        counts = np.arange(self._experts + 1)
        weights = np.array([np.interp(counts, self._anchors, unit) for unit in np.eye(len(self._anchors))])
        table: FloatArray = np.minimum.accumulate(known @ weights, 1).reshape(*z.shape[:2], -1)
        return table

    def from_decoding(self, z: Tensor, features: PerceptualFeatures) -> FloatArray:
        """Perceptual distance, combined with the quantization error of the latents.

        Args:
            z: Latents of windows. # (B, W, F, D)
            features: Of the input, for their W * F latent frames. # (B, W * F, ...)

        Returns:
            Distortion by number of experts. # (B, W, Nr + 1)
        """
        batch, windows, frames, dimension = z.shape
        flat = z.flatten(0, 1)
        errors, distances = [], {}
        for count in range(self._experts + 1):
            quantized = self._quantize(flat, count)
            errors.append((flat - quantized).square().mean((1, 2)))
            if count in (0, self._experts):
                decoded = self._distance.decoded_features(quantized.view(batch, -1, dimension))
                distance = self._distance.distance(decoded, features)
                mean = distance.view(batch * windows, frames).mean(1)
                distances[count] = mean.double().cpu().numpy()
        error = torch.stack(errors, 1).double().cpu().numpy()  # (B * W, Nr + 1)
        table = interpolate_distance(error, distances[0], distances[self._experts])
        table += QUANTIZATION_WEIGHT / self._unit * np.minimum.accumulate(error, 1)
        return table.reshape(batch, windows, -1)


def interpolate_distance(error: FloatArray, ceiling: FloatArray, floor: FloatArray) -> FloatArray:
    """Distances that fall from `ceiling` to `floor` as the quantization error does.

    Args:
        error: Quantization error by number of experts. # (N, Nr + 1)
        ceiling: Distance with no experts. # (N,)
        floor: Distance with all experts. # (N,)

    Returns:
        Distances by number of experts, never rising. # (N, Nr + 1)
    """
    least = np.minimum(floor, ceiling)[:, None]
    final = error[:, -1:]
    share = np.clip((error - final) / np.maximum(error[:, :1] - final, 1e-12), 0, 1)
    distances: FloatArray = least + (ceiling[:, None] - least) * np.minimum.accumulate(share, 1)
    return distances
