"""The search for masks and indices, as hard as the effort says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..model.codec_model import CodecModel
from .aim import LatentAim
from .expert_sets import ExpertSets
from .likeness import Likeness, Target
from .multi_path import MultiPathSearch


@dataclass(frozen=True)
class Effort:
    """What a level of effort spends."""

    paths: int = 1  # code sequences kept per frame
    steps: int = 0  # down the gradient of the decoder
    sets: int = 0  # expert sets that are judged by decoding them, besides the router's


# more steps come closer still in mel distance, but lose in PESQ what fewer have gained
LEVELS = (Effort(), Effort(paths=8), Effort(paths=8, steps=6), Effort(paths=8, steps=6, sets=6))


@dataclass
class Found:
    """Codes of a chunk of windows. Windows that are not coded hold zeros."""

    masks: np.ndarray  # (signals, W, Nr) bool
    indices: list[np.ndarray]  # per window, (signals, 1 + Nr, S, F)
    latents: Tensor  # what the decoder will see, (signals, T, D)


class WindowSearch:
    """Finds codes for chunks of windows."""

    def __init__(self, model: CodecModel, likeness: Likeness, level: Effort):
        self.model, self.likeness, self.level = model, likeness, level
        self.quantizer = model.quantizer
        self.aim = LatentAim(likeness, level.steps) if level.steps else None
        self.multi_path = MultiPathSearch(model.quantizer) if level.paths > 1 else None
        self.sets = ExpertSets(model.quantizer) if level.sets else None

    @property
    def context(self) -> int:
        """Frames of latents to either side that the search looks at."""
        return self.likeness.context if self.aim or self.sets else 0

    @property
    def needs_target(self) -> bool:
        """Whether the search compares with the magnitudes of the input."""
        return self.context > 0

    def __call__(
        self, z: Tensor, counts: np.ndarray, before: Tensor, after: Tensor, target: Target | None
    ) -> Found:
        """Codes for z (signals, T, D), T frames of whole windows but perhaps for the last.

        counts: experts of each window (signals, W), -1 where it is not coded. before, after: latents next
        to the chunk, (signals, n, D). target: needed where `needs_target`.
        """
        size = self.model.config.frames_per_window
        coded = torch.from_numpy(counts >= 0).to(z.device)
        heard = coded.repeat_interleave(size, 1)[:, : z.shape[1]].to(z.dtype)
        aimed = z
        if self.aim is not None and target is not None:
            aimed = self.aim(z, before, after, target, heard)
        candidates = self._candidates(z, aimed, counts)  # list of (signals, W, Nr)
        found = [self._code(z, candidates[0], coded)]
        if target is None:
            return found[0]
        routed, *others = candidates
        others = [mask for mask in others if not torch.equal(mask, routed)]
        found += [self._code(aimed, mask, coded) for mask in (routed, *others)]
        return self._judge(found, coded, before, after, target)

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

    def _code(self, z: Tensor, masks: Tensor, coded: Tensor) -> Found:
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
        return Found(masks.cpu().numpy(), indices, latents)

    def _judge(
        self, found: list[Found], coded: Tensor, before: Tensor, after: Tensor, target: Target
    ) -> Found:
        """Of several codes for a chunk the best in each window, as decoded."""
        size = self.model.config.frames_per_window
        start, length = before.shape[1], found[0].latents.shape[1]
        scores = []
        for each in found:
            decoded = self.likeness.decoded(torch.cat([before, each.latents, after], 1))
            distance = self.likeness.distance(decoded[:, start : start + length], target)
            scores.append(torch.stack([part.mean(1) for part in distance.split(size, 1)], 1))  # (signals, W)
        best = torch.stack(scores).argmin(0).cpu().numpy()  # (signals, W)
        result = found[0]
        latents = result.latents.clone()
        for signal, window in zip(*np.nonzero(best), strict=True):
            other = found[best[signal, window]]
            result.masks[signal, window] = other.masks[signal, window]
            result.indices[window][signal] = other.indices[window][signal]
            span = slice(window * size, (window + 1) * size)
            latents[signal, span] = other.latents[signal, span]
        return Found(result.masks, result.indices, latents)
