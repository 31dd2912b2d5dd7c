"""The search for masks and indices, as hard as the effort says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...model.codec_model import CodecModel
from ...perceptual.distance import PerceptualDistance, PerceptualFeatures
from .beam_search import BeamSearch
from .latent_refinement import LatentRefiner
from .mask_search import MaskSearch


@dataclass(frozen=True)
class EffortPreset:
    """What a level of effort spends."""

    paths: int = 1  # code sequences kept per frame
    steps: int = 0  # down the gradient of the decoder, before codes are sought
    rounds: int = 0  # of such a step at what the codes decode to, and codes anew
    step: float = 0.0  # its size, of the root mean square of the shared codewords
    sets: int = 0  # expert sets that are judged by decoding them, besides the router's


# steps at codes gain more than those before; without the latter they start too far off
EFFORT_PRESETS = (
    EffortPreset(),
    EffortPreset(paths=8),
    EffortPreset(paths=8, steps=3, rounds=3, step=0.045),
    EffortPreset(paths=8, steps=6, rounds=8, step=0.03, sets=6),
)


@dataclass
class ChunkCodes:
    """Codes of a chunk of windows. Windows that are not coded hold zeros."""

    masks: np.ndarray  # (signals, W, Nr) bool
    indices: list[np.ndarray]  # per window, (signals, 1 + Nr, S, F)
    latents: Tensor  # what the decoder will see, (signals, T, D)


class ChunkSearch:
    """Finds codes for chunks of windows; several threads may use one."""

    def __init__(self, model: CodecModel, likeness: PerceptualDistance, level: EffortPreset):
        self.model, self.likeness, self.level = model, likeness, level
        self.quantizer = model.quantizer
        self.multi_path = BeamSearch(model.quantizer) if level.paths > 1 else None
        self.sets = MaskSearch(model.quantizer) if level.sets else None
        self.step = level.step * model.quantizer.mean_square() ** 0.5

    @property
    def context(self) -> int:
        """Frames of latents to either side that the search looks at: half of those that change anything, the
        rest of which hardly do."""
        return -(-self.likeness.context // 2) if self.level.steps else 0

    @property
    def needs_target(self) -> bool:
        """Whether the search compares with the magnitudes of the input."""
        return self.context > 0

    @torch.no_grad()
    def __call__(
        self, z: Tensor, counts: np.ndarray, before: Tensor, after: Tensor, target: PerceptualFeatures | None
    ) -> ChunkCodes:
        """Codes for z (signals, T, D), T frames of whole windows but perhaps for the last.

        counts: experts of each window (signals, W), -1 where it is not coded. before, after: latents next
        to the chunk, (signals, n, D). target: needed where `needs_target`.
        """
        size = self.model.config.frames_per_window
        coded = torch.from_numpy(counts >= 0).to(z.device)
        if target is None or not coded.any():
            return self._code(z, self._candidates(z, z, counts)[0], coded)
        heard = coded.repeat_interleave(size, 1)[:, : z.shape[1]].to(z.dtype)
        aim = LatentRefiner(self.likeness, z, before, after, target, heard, self.step)
        for _ in range(self.level.steps):
            aim.step(aim.latents)
        routed, *others = self._candidates(z, aim.latents, counts)
        others = [mask for mask in others if not torch.equal(mask, routed)]
        tried = [self._code(aim.latents, mask, coded) for mask in (routed, *others)]
        at = tried[0]
        if len(tried) > 1:
            at = self._best(tried, [aim.distance(each.latents) for each in tried])
        masks = torch.from_numpy(at.masks).to(z.device)
        tried, distances = [], []
        for _ in range(self.level.rounds):
            tried.append(at)
            distances.append(aim.step(at.latents))
            at = self._code(aim.latents, masks, coded)
        return self._best([*tried, at], [*distances, aim.distance(at.latents)])

    def _windows(self, z: Tensor) -> list[tuple[slice, Tensor]]:
        """z (signals, T, D) as windows: whole ones, then the short one, each (signals, W, F, D)."""
        size = self.model.config.frames_per_window
        count = z.shape[1] // size
        pieces = []
        if count:
            pieces.append((slice(0, count), z[:, : count * size].unflatten(1, (count, size))))
        if z.shape[1] > count * size:
            pieces.append((slice(count, count + 1), z[:, None, count * size :]))
        return pieces

    def _candidates(self, z: Tensor, aimed: Tensor, counts: np.ndarray) -> list[Tensor]:
        """Masks (signals, W, Nr) worth trying, the router's first."""
        wanted = torch.from_numpy(np.maximum(counts, 0)).to(z.device)
        tried = 1 + (self.level.sets if self.sets else 0)
        masks = [
            torch.zeros(*wanted.shape, len(self.quantizer.experts), dtype=torch.bool, device=z.device)
            for _ in range(tried)
        ]
        for span, windows in self._windows(z):
            active = wanted[:, span].flatten()
            routed = self.quantizer.route(windows.flatten(0, 1), active)
            masks[0][:, span] = routed.unflatten(0, (z.shape[0], -1))
        if self.sets is not None:
            for span, windows in self._windows(aimed):
                best, errors = self.sets.best(windows.flatten(0, 1), wanted[:, span].flatten(), tried - 1)
                for number in range(tried - 1):
                    # where there are fewer sets, the router's choice once more
                    real = torch.isfinite(errors[:, number]).unflatten(0, (z.shape[0], -1))[..., None]
                    other = best[:, number].unflatten(0, (z.shape[0], -1))
                    masks[1 + number][:, span] = torch.where(real, other, masks[0][:, span])
        return masks

    def _code(self, z: Tensor, masks: Tensor, coded: Tensor) -> ChunkCodes:
        """Codes within given masks (signals, W, Nr) of the windows that are coded (signals, W)."""
        latents, indices = z.clone(), []
        masks = masks & coded[..., None]
        size = self.model.config.frames_per_window
        for span, windows in self._windows(z):
            chosen = coded[:, span]
            rows, mask = windows[chosen], masks[:, span][chosen]  # (n, F, D), (n, Nr)
            if self.multi_path is not None:
                codes, quantized = self.multi_path(rows, mask, self.level.paths)
            else:
                codes, quantized = self.quantizer.encode(rows, mask), rows
            piece = windows.clone()
            piece[chosen] = quantized
            start = span.start * size
            latents[:, start : start + piece.shape[1] * piece.shape[2]] = piece.flatten(1, 2)
            every = codes.new_zeros(*chosen.shape, *codes.shape[1:])  # (signals, W, 1 + Nr, S, F)
            every[chosen] = codes
            indices += list(every.transpose(0, 1).cpu().numpy().astype(np.uint16))
        return ChunkCodes(masks.cpu().numpy(), indices, latents)

    def _best(self, found: list[ChunkCodes], distances: list[Tensor]) -> ChunkCodes:
        """Of several codes for a chunk the best in each window; distances of its frames, (signals, T)."""
        size = self.model.config.frames_per_window
        scores = [
            torch.stack([part.mean(1) for part in distance.split(size, 1)], 1)  # (signals, W)
            for distance in distances
        ]
        best = torch.stack(scores).argmin(0).cpu().numpy()  # (signals, W)
        result = found[0]
        latents = result.latents.clone()
        for signal, window in zip(*np.nonzero(best), strict=True):
            other = found[best[signal, window]]
            result.masks[signal, window] = other.masks[signal, window]
            result.indices[window][signal] = other.indices[window][signal]
            span = slice(window * size, (window + 1) * size)
            latents[signal, span] = other.latents[signal, span]
        return ChunkCodes(result.masks, result.indices, latents)
