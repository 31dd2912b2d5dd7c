"""How much each window gains from more experts, and how much of it can be heard."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...model.quantizer.revq import ResidualExpertVQ
from ...perceptual.distance import PerceptualDistance, PerceptualFeatures

# Errors in a faint window are heard less, more so than their loudness in the distance says. Weight by level:
# its square is linear in dB between these (dBFS, RMS).
FAINT, LOUD = -120.0, -20.0
LEAST_WEIGHT = 0.55

# How far a window's distance falls from no experts to all of them, found by decoding, and its latents'
# residual tell together what experts are worth to it, better than either alone: decoded distances at every
# number of experts are dearer and rank the windows worse, so much of them is chance. Share of the residual,
# in units of the mean square of the shared codewords.
RESIDUAL_SHARE = 0.6


def audibility(energy: np.ndarray) -> np.ndarray:
    """Weights 0.55..1 for the errors of windows with these mean squares (full scale 1)."""
    level = 10 * np.log10(energy + 1e-12)
    return np.clip((level - FAINT) / (LOUD - FAINT), LEAST_WEIGHT**2, 1) ** 0.5


class DistortionEstimator:
    """Distortion by number of experts with the router's choice, by decoding or by the latents' residual."""

    def __init__(self, quantizer: ResidualExpertVQ, likeness: PerceptualDistance):
        self.quantizer, self.likeness = quantizer, likeness
        self.experts = len(quantizer.experts)
        # numbers of experts whose residual is measured where there is no time for all of them
        self.anchors = sorted({round(part * self.experts) for part in (0, 1 / 4, 5 / 8, 1)})
        self.unit = quantizer.mean_square()

    def residuals(self, z: Tensor) -> np.ndarray:
        """Root mean square of what is left of windows z (B, W, F, D): (B, W, Nr + 1). Fast, and a guess."""
        flat = z.flatten(0, 1)
        rest = []
        for count in self.anchors:
            mask = self.quantizer.route(flat, torch.full((len(flat),), count, device=z.device))
            rest.append((flat - quantize(self.quantizer, flat, mask)).square().mean((1, 2)).sqrt())
        known = torch.stack(rest, 1).double().cpu().numpy()
        counts = np.arange(self.experts + 1)
        between = np.array([np.interp(counts, self.anchors, unit) for unit in np.eye(len(self.anchors))])
        return np.minimum.accumulate(known @ between, 1).reshape(*z.shape[:2], -1)

    def tables(self, z: Tensor, target: PerceptualFeatures) -> np.ndarray:
        """Distortion of windows z (B, W, F, D) whose target has W * F frames: (B, W, Nr + 1)."""
        batch, windows, frames, dimension = z.shape
        flat = z.flatten(0, 1)
        residuals, distances = [], {}
        for count in range(self.experts + 1):
            mask = self.quantizer.route(flat, torch.full((len(flat),), count, device=z.device))
            quantized = quantize(self.quantizer, flat, mask)
            residuals.append((flat - quantized).square().mean((1, 2)))
            if count in (0, self.experts):
                decoded = self.likeness.decoded(quantized.view(batch, -1, dimension))
                distance = self.likeness.distance(decoded, target)
                distances[count] = distance.view(batch * windows, frames).mean(1)
        residual = torch.stack(residuals, 1).double().cpu().numpy()  # (B * W, Nr + 1)
        ceiling, floor = (distances[count].double().cpu().numpy() for count in (0, self.experts))
        table = shaped(residual, ceiling, floor)
        table += RESIDUAL_SHARE / self.unit * np.minimum.accumulate(residual, 1)
        return table.reshape(batch, windows, -1)


def shaped(residual: np.ndarray, ceiling: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Distances (N, Nr + 1) that fall from `ceiling` to `floor` (N,) as the residuals (N, Nr + 1) do."""
    floor = np.minimum(floor, ceiling)[:, None]
    least = residual[:, -1:]
    share = np.clip((residual - least) / np.maximum(residual[:, :1] - least, 1e-12), 0, 1)
    return floor + (ceiling[:, None] - floor) * np.minimum.accumulate(share, 1)


def quantize(quantizer: ResidualExpertVQ, z: Tensor, mask: Tensor) -> Tensor:
    """What greedy codes of windows z (B, T, D) within masks (B, Nr) decode to, (B, T, D)."""
    _, total = quantizer.shared.encode(z)
    for number, expert in enumerate(quantizer.experts):
        rows = mask[:, number]
        if rows.any():
            total[rows] += expert.encode(z[rows] - total[rows])[1]
    return total
