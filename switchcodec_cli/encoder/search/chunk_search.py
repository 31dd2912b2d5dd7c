"""Search for the masks and indices of a chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...model.codec_model import CodecModel
from ...perceptual import PerceptualDistance, PerceptualFeatures
from ..settings import EffortPreset
from .beam_search import BeamSearch
from .latent_refinement import LatentRefiner
from .mask_search import MaskSearch


@dataclass(frozen=True)
class SearchInput:
    """A chunk of T latent frames in W windows.

    All windows are whole but perhaps the last.
    """

    z: Tensor  # latents from the encoder network, (signals, T, D)
    counts: npt.NDArray[np.int64]  # experts of each block, -1 for blocks that are not coded, (signals, W)
    before: Tensor  # latents before the chunk, (signals, n, D)
    after: Tensor  # latents after the chunk, (signals, m, D)
    features: PerceptualFeatures | None  # of the input, where the search needs them


@dataclass(frozen=True)
class QuantizedChunk:
    """The result of a search. Blocks that are not coded hold zeros."""

    masks: npt.NDArray[np.bool_]  # (signals, W, Nr)
    indices: list[npt.NDArray[np.uint16]]  # of each window, (signals, 1 + Nr, S, F)
    latents: Tensor  # quantized, (signals, T, D)
    target: Tensor  # latents that were quantized, (signals, T, D)


class ChunkSearch:
    """Searches chunks with a preset of effort; several threads may use one.

    Args:
        model: The model to search in.
        distance: The distance that refinement minimises.
        preset: What the search may spend.
    """

    def __init__(self, model: CodecModel, distance: PerceptualDistance, preset: EffortPreset) -> None:
        self._quantizer, self._distance, self._preset = model.quantizer, distance, preset
        self._size = model.config.frames_per_window
        self._beam_search = BeamSearch(model.quantizer) if preset.beam_width > 1 else None
        self._mask_search = MaskSearch(model.quantizer)
        self._step_size = preset.step_size * model.quantizer.mean_square() ** 0.5

    @property
    def context(self) -> int:
        """Latent frames to either side of a chunk that the search takes into account.

        Half of those that can influence the decoded features; the outer half was measured to matter little.
        """
        return -(-self._distance.context // 2) if self._preset.initial_steps else 0

    @property
    def needs_features(self) -> bool:
        """Whether the search compares with the features of the input."""
        return self.context > 0

    @torch.no_grad()
    def __call__(self, chunk: SearchInput) -> QuantizedChunk:
        """Search the masks and indices of a chunk."""
        coded = torch.from_numpy(chunk.counts >= 0).to(chunk.z.device)  # (signals, W)
        if chunk.features is None or not coded.any():
            return self._quantize(chunk.z, self._routed_masks(chunk), coded)
        coded_frames = coded.repeat_interleave(self._size, 1)[:, : chunk.z.shape[1]]
        refiner = LatentRefiner(
            self._distance,
            chunk.z,
            chunk.before,
            chunk.after,
            chunk.features,
            coded_frames,
            self._step_size,
        )
        for _ in range(self._preset.initial_steps):
            refiner.step(refiner.latents)
        current = self._search_masks(chunk, coded, refiner)
        masks = torch.from_numpy(current.masks).to(chunk.z.device)
        tried, distances = [], []
        for _ in range(self._preset.quantized_steps):
            tried.append(current)
            distances.append(refiner.step(current.latents))
            current = self._quantize(refiner.latents, masks, coded)
        return self._best([*tried, current], [*distances, refiner.distance(current.latents)])

    @torch.no_grad()
    def requantize(self, chunk: QuantizedChunk, window: int, counts: npt.NDArray[np.int64]) -> QuantizedChunk:
        """Quantize one window of a searched chunk again with other numbers of experts.

        Args:
            chunk: The result of a search.
            window: Number of the window in the chunk.
            counts: Experts of each block, -1 for blocks that are not coded. # (signals,)

        Returns:
            The window alone.
        """
        z = chunk.target[:, window * self._size : (window + 1) * self._size]
        nothing = z[:, :0]
        alone = SearchInput(z, counts[:, None], nothing, nothing, None)
        coded = torch.from_numpy(alone.counts >= 0).to(z.device)
        return self._quantize(z, self._routed_masks(alone), coded)

    def _search_masks(self, chunk: SearchInput, coded: Tensor, refiner: LatentRefiner) -> QuantizedChunk:
        """Quantize with the router's masks and with others; for each block, the best by decoded distance."""
        routed = self._routed_masks(chunk)
        candidates = [routed]
        if self._preset.candidate_masks:
            others = self._least_error_masks(chunk, refiner.latents, routed)
            candidates += [mask for mask in others if not torch.equal(mask, routed)]
        tried = [self._quantize(refiner.latents, masks, coded) for masks in candidates]
        if len(tried) == 1:
            return tried[0]
        return self._best(tried, [refiner.distance(each.latents) for each in tried])

    def _windows(self, z: Tensor) -> list[tuple[slice, Tensor]]:
        """Split latents (signals, T, D) into whole windows and the short one, each (signals, W, F, D)."""
        count = z.shape[1] // self._size
        pieces = []
        if count:
            whole = z[:, : count * self._size].unflatten(1, (count, self._size))
            pieces.append((slice(0, count), whole))
        if z.shape[1] > count * self._size:
            pieces.append((slice(count, count + 1), z[:, None, count * self._size :]))
        return pieces

    def _routed_masks(self, chunk: SearchInput) -> Tensor:
        """The router's masks, or where these are better the first experts. # (signals, W, Nr) bool"""
        counts = torch.from_numpy(np.maximum(chunk.counts, 0)).to(chunk.z.device)
        masks = []
        for span, windows in self._windows(chunk.z):
            blocks, numbers = windows.flatten(0, 1), counts[:, span].flatten()
            routed = self._quantizer.route(blocks, numbers)
            if self._preset.tries_first_experts:
                routed = self._better_masks(blocks, routed, _first_experts(routed, numbers))
            masks.append(routed.unflatten(0, (len(counts), -1)))
        return torch.cat(masks, 1)

    def _better_masks(self, z: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        """For each window of z (B, F, D), the mask of two that leaves the smaller quantization error."""
        errors = [(self._quantizer.encode(z, each)[1] - z).square().sum((1, 2)) for each in (masks, others)]
        return torch.where((errors[1] < errors[0])[:, None], others, masks)

    def _least_error_masks(self, chunk: SearchInput, z: Tensor, routed: Tensor) -> list[Tensor]:
        """The masks of least quantization error of latents z; where there are fewer, the router's."""
        number = self._preset.candidate_masks
        counts = torch.from_numpy(np.maximum(chunk.counts, 0)).to(z.device)
        candidates = [routed.clone() for _ in range(number)]
        for span, windows in self._windows(z):
            masks, errors = self._mask_search.best(windows.flatten(0, 1), counts[:, span].flatten(), number)
            masks = masks.unflatten(0, (len(z), -1))  # (signals, W, number, Nr)
            exists = torch.isfinite(errors).unflatten(0, (len(z), -1))[..., None]
            for place, candidate in enumerate(candidates):
                candidate[:, span] = torch.where(exists[:, :, place], masks[:, :, place], routed[:, span])
        return candidates

    def _quantize(self, z: Tensor, masks: Tensor, coded: Tensor) -> QuantizedChunk:
        """Quantize the coded blocks (signals, W) of z (signals, T, D) within masks (signals, W, Nr)."""
        latents, indices = z.clone(), []
        masks = masks & coded[..., None]
        for span, windows in self._windows(z):
            chosen = coded[:, span]
            blocks, block_masks = windows[chosen], masks[:, span][chosen]  # (n, F, D), (n, Nr)
            if self._beam_search is not None:
                found = self._beam_search(blocks, block_masks, self._preset.beam_width)
            else:
                found, _ = self._quantizer.encode(blocks, block_masks)
            quantized = self._quantizer.dequantize(block_masks, found)
            piece = windows.clone()
            piece[chosen] = quantized
            start = span.start * self._size
            latents[:, start : start + piece.shape[1] * piece.shape[2]] = piece.flatten(1, 2)
            every = found.new_zeros(*chosen.shape, *found.shape[1:])  # (signals, W, 1 + Nr, S, F)
            every[chosen] = found
            indices += list(every.transpose(0, 1).cpu().numpy().astype(np.uint16))
        return QuantizedChunk(masks.cpu().numpy(), indices, latents, z)

    def _best(self, tried: list[QuantizedChunk], distances: list[Tensor]) -> QuantizedChunk:
        """Combine the best blocks of several results, given the distances (signals, T) of their frames."""
        scores = [
            torch.stack([window.mean(1) for window in distance.split(self._size, 1)], 1)  # (signals, W)
            for distance in distances
        ]
        best = torch.stack(scores).argmin(0).cpu().numpy()  # (signals, W)
        masks, latents = tried[0].masks.copy(), tried[0].latents.clone()
        indices = [window.copy() for window in tried[0].indices]
        for signal, window in zip(*np.nonzero(best), strict=True):
            other = tried[best[signal, window]]
            masks[signal, window] = other.masks[signal, window]
            indices[window][signal] = other.indices[window][signal]
            span = slice(window * self._size, (window + 1) * self._size)
            latents[signal, span] = other.latents[signal, span]
        return QuantizedChunk(masks, indices, latents, tried[-1].target)


def _first_experts(masks: Tensor, counts: Tensor) -> Tensor:
    """Masks like `masks` (B, Nr) of the first `counts` (B,) experts."""
    return torch.arange(masks.shape[1], device=masks.device) < counts[:, None]
