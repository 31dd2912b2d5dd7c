"""Phase search: fast Griffin-Lim as a stream, in which no frame is ever computed twice.

Each iteration needs three spectra to either side of its own, so iteration i can run 3 spectra behind
iteration i - 1. A chain of stages, each keeping the few samples it shares with the next block, gives what
one run over the whole signal would give, in constant memory and without overlap between blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .phase_init import RESTART, PhaseInitializer

BLOCK = 96  # spectra that go through all iterations together: what fits a processor's cache


class _Transform:
    """The short-time transform and its inverse. Apart from the stages, so that no reference cycle keeps
    their buffers alive."""

    def __init__(self, length: int, hop: int, momentum: float, device: torch.device | str):
        self.length, self.hop, self.momentum = length, hop, momentum
        self.parts = length // hop
        self.window = torch.hann_window(length, device=device)
        # sum over the overlapping squared windows of spacing `hop`
        gain = float(self.window.square().sum() / hop)
        self.synthesis_window = self.window / gain

    def overlap_add(self, spectra: Tensor) -> Tensor:
        """Spectra (B, T, bins) -> samples (B, (T + parts - 1) * hop)."""
        batch, count, _ = spectra.shape
        total = self.window.new_zeros(batch, count + self.parts - 1, self.hop)
        if count:
            frames = torch.fft.irfft(spectra, self.length) * self.synthesis_window
            frames = frames.view(batch, count, self.parts, self.hop)
            for part in range(self.parts):
                total[:, part : part + count] += frames[:, :, part]
        return total.view(batch, -1)


class _Stage:
    """One projection onto consistent spectra: inverse transform, overlap-add, forward transform."""

    def __init__(self, transform: _Transform):
        self.transform = transform
        self.tail: Tensor | None = None  # unfinished samples of the overlap-add
        self.history: Tensor | None = None  # finished samples that spectra to come still look at
        self.magnitude: Tensor | None = None  # of spectra that wait for their samples
        self.before: Tensor | None = None  # the previous stage's consistent spectra, likewise waiting

    def samples(self, spectra: Tensor, last: bool) -> Tensor:
        """Overlap-add of a block (B, T, bins): the samples (B, n) that no later block can change."""
        transform = self.transform
        count = spectra.shape[1]
        total = transform.overlap_add(spectra)
        if self.tail is not None:
            total[:, : self.tail.shape[1]] += self.tail
        ready = total.shape[1] if last else count * transform.hop
        self.tail = total[:, ready:].clone()
        return total[:, :ready]

    def push(
        self, spectra: Tensor, magnitude: Tensor, before: Tensor | None, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Next block in; out come refined spectra, their magnitudes and their consistent spectra."""
        transform = self.transform
        samples = self.samples(spectra, last)
        if self.history is not None:
            samples = torch.cat([self.history, samples], 1)
            magnitude = torch.cat([self.magnitude, magnitude], 1)
            before = before if self.before is None else torch.cat([self.before, before], 1)
        count = max(0, (samples.shape[1] - transform.length) // transform.hop + 1)
        self.history = samples[:, count * transform.hop :].clone()
        self.magnitude, magnitude = magnitude[:, count:], magnitude[:, :count]
        if before is not None:
            self.before, before = before[:, count:], before[:, :count]
        if count == 0:
            return spectra[:, :0], magnitude, torch.view_as_real(spectra[:, :0])
        now = torch.view_as_real(
            torch.fft.rfft(samples.unfold(1, transform.length, transform.hop) * transform.window)
        )
        if before is None:
            refined = now * (1 + transform.momentum)
        else:
            refined = torch.lerp(before, now, 1 + transform.momentum)
        # u / |u| scaled to the wanted magnitude, without angles or square roots of complex numbers
        real, imaginary = refined.unbind(-1)
        scale = torch.addcmul(real * real, imaginary, imaginary).clamp_(min=1e-18).rsqrt_().mul_(magnitude)
        real.mul_(scale)
        imaginary.mul_(scale)
        refined = torch.view_as_complex(refined)
        return refined, magnitude, now


class _Chain:
    """So many iterations one after the other."""

    def __init__(self, transform: _Transform, iterations: int):
        self.stages = [_Stage(transform) for _ in range(iterations)]

    def push(self, spectra: Tensor, magnitude: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Spectra (B, T, bins) of the wanted magnitudes in, refined ones with theirs out, later."""
        before = None
        for stage in self.stages:
            spectra, magnitude, before = stage.push(spectra, magnitude, before, last)
        return spectra, magnitude


class GriffinLim:
    """Finds phases for a stream of magnitudes and synthesises the audio.

    The start phases follow the magnitudes from the last spectrum whose absolute number is a multiple of
    RESTART, so a decoder that begins in the middle of a stream finds the same audio once `context` spectra
    have gone by.

    Two signals share a start found on their sum, so that what is common to them stays in phase: level
    differences place a sound, and the fold-down to mono does not cancel.
    """

    def __init__(
        self, length: int, hop: int, iterations: int, momentum: float, device: torch.device | str = "cpu"
    ):
        self.length, self.hop = length, hop
        self.transform = _Transform(length, hop, momentum, device)
        self.start = PhaseInitializer(length, hop)
        self.common = _Chain(self.transform, iterations)
        self.each = _Chain(self.transform, iterations // 2)  # of several signals, from the common start
        self.final = _Stage(self.transform)
        self.waiting: Tensor | None = None  # magnitudes of the signals that the common start lags behind
        self.edge = (length - hop) // 2
        self.skip = self.edge  # samples before the signal, left by the analysis margin

    @staticmethod
    def context(length: int, hop: int, iterations: int) -> int:
        """Spectra to each side that can influence a spectrum's samples."""
        return (iterations + iterations // 2 + 1) * (length // hop - 1) + 1 + RESTART

    def synthesise(self, spectra: Tensor) -> Tensor:
        """Spectra (B, T, bins) of a whole signal with their phases -> samples (B, T * hop)."""
        return self.transform.overlap_add(spectra)[:, self.edge : self.edge + spectra.shape[1] * self.hop]

    def push(self, magnitude: Tensor, last: bool = False) -> Tensor:
        """Magnitudes (B, T, bins) of the next spectra -> the samples (B, n) that they complete.

        In total T * hop samples come out for T spectra, the last of them with `last`.
        """
        parts = magnitude.split(BLOCK, 1)
        done = [self._push(part, last and number == len(parts) - 1) for number, part in enumerate(parts)]
        return torch.cat(done, 1)

    def _push(self, magnitude: Tensor, last: bool) -> Tensor:
        if len(magnitude) == 1:
            start, magnitude = self.start.push(magnitude, last)
            spectra, _ = self.common.push(magnitude * start, magnitude, last)
        else:
            waiting = magnitude if self.waiting is None else torch.cat([self.waiting, magnitude], 1)
            start, mean = self.start.push(magnitude.mean(0, keepdim=True), last)
            common, mean = self.common.push(mean * start, mean, last)
            ready, self.waiting = waiting[:, : common.shape[1]], waiting[:, common.shape[1] :]
            spectra = ready * (common / mean.clamp(min=1e-9))
            spectra, _ = self.each.push(spectra, ready, last)
        samples = self.final.samples(spectra, last)
        if last:
            samples = samples[:, : samples.shape[1] - self.edge]
        cut = min(self.skip, samples.shape[1])
        self.skip -= cut
        return samples[:, cut:]
