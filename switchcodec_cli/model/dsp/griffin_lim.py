"""Fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013) as a stream.

With analysis windows of four hops, an iteration needs three spectra to either side of its own, so iteration i
can run three spectra behind iteration i - 1. A chain of such iterations, each of which keeps the samples that
it shares with the next block, gives the result of one run over the whole signal in constant memory, and no
spectrum is computed twice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .phase_init import RESTART, PhaseInitializer

BLOCK = 96  # spectra that pass through all iterations together: sized to fit the processor's cache


def join_targets(magnitude: Tensor, known: Tensor) -> Tensor:
    """Magnitudes, and low bins of spectra whose phases are known, in one tensor.

    Args:
        magnitude: Magnitudes. # (B, T, bins)
        known: The lowest bins with their phases, of these magnitudes; 0 where the phase is not known.
            # (B, T, known) complex

    Returns:
        Targets: magnitudes, then real and imaginary parts. # (B, T, bins + 2 * known)
    """
    return torch.cat([magnitude, known.real, known.imag], -1)


def restore_known(real: Tensor, imaginary: Tensor, targets: Tensor) -> None:
    """Give the bins of spectra (B, T, bins) whose phases are known their values, in place."""
    bins = real.shape[-1]
    count = (targets.shape[-1] - bins) // 2
    if count:
        known_real, known_imaginary = targets[..., bins:].split(count, -1)
        unknown = (known_real == 0) & (known_imaginary == 0)
        real[..., :count] = torch.where(unknown, real[..., :count], known_real)
        imaginary[..., :count] = torch.where(unknown, imaginary[..., :count], known_imaginary)


class _Transform:
    """The short-time Fourier transform and its inverse, shared by all iterations."""

    def __init__(
        self,
        length: int,
        hop: int,
        momentum: float,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.length, self.hop, self.momentum = length, hop, momentum
        self.parts = length // hop
        self.window = torch.hann_window(length, device=device).to(dtype)
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
    """One iteration: project spectra onto consistent ones, then restore their magnitudes."""

    def __init__(self, transform: _Transform) -> None:
        self.transform = transform
        self.tail: Tensor | None = None  # samples that the overlap-add has not completed
        self.history: Tensor | None = None  # complete samples that later spectra still need
        self.targets: Tensor | None = None  # of spectra whose samples are not complete
        self.before: Tensor | None = None  # consistent spectra of the previous iteration, likewise

    def samples(self, spectra: Tensor, last: bool) -> Tensor:
        """Overlap-add a block (B, T, bins); returns the samples (B, n) that later blocks cannot change."""
        transform = self.transform
        count = spectra.shape[1]
        total = transform.overlap_add(spectra)
        if self.tail is not None:
            total[:, : self.tail.shape[1]] += self.tail
        ready = total.shape[1] if last else count * transform.hop
        self.tail = total[:, ready:].clone()
        return total[:, :ready]

    def push(
        self, spectra: Tensor, targets: Tensor, before: Tensor | None, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Process the next block.

        Args:
            spectra: Spectra with the current phases. # (B, T, bins)
            targets: What the spectra should be; see `join_targets`. # (B, T, bins + 2 * known)
            before: Consistent spectra of the previous iteration, None in the first. # (B, T, bins, 2)
            last: Whether the signal ends with this block.

        Returns:
            Spectra with new phases, their targets and the consistent spectra, as many as are complete.
        """
        transform = self.transform
        samples = self.samples(spectra, last)
        if self.history is not None and self.targets is not None:
            samples = torch.cat([self.history, samples], 1)
            targets = torch.cat([self.targets, targets], 1)
            if before is not None and self.before is not None:
                before = torch.cat([self.before, before], 1)
        count = max(0, (samples.shape[1] - transform.length) // transform.hop + 1)
        self.history = samples[:, count * transform.hop :].clone()
        self.targets, targets = targets[:, count:].clone(), targets[:, :count]
        if before is not None:
            self.before, before = before[:, count:].clone(), before[:, :count]
        if count == 0:
            return spectra[:, :0], targets, torch.view_as_real(spectra[:, :0])
        now = torch.view_as_real(
            torch.fft.rfft(samples.unfold(1, transform.length, transform.hop) * transform.window)
        )
        if before is None:
            refined = now * (1 + transform.momentum)
        else:
            refined = torch.lerp(before, now, 1 + transform.momentum)
        # magnitude * u / |u|, without angles and complex square roots
        real, imaginary = refined.unbind(-1)
        scale = torch.addcmul(real * real, imaginary, imaginary).clamp_(min=1e-18).rsqrt_()
        scale.mul_(targets[..., : real.shape[-1]])
        real.mul_(scale)
        imaginary.mul_(scale)
        restore_known(real, imaginary, targets)
        return torch.view_as_complex(refined), targets, now


class _Chain:
    """Several iterations in sequence."""

    def __init__(self, transform: _Transform, iterations: int) -> None:
        self.stages = [_Stage(transform) for _ in range(iterations)]

    def push(self, spectra: Tensor, targets: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Process the next spectra (B, T, bins) and their targets; returns those that are complete."""
        before: Tensor | None = None
        for stage in self.stages:
            spectra, targets, before = stage.push(spectra, targets, before, last)
        return spectra, targets


class GriffinLim:
    """Estimates phases for a stream of magnitudes and synthesises the audio.

    The initial phases are derived from the magnitudes, starting anew at every spectrum whose absolute number
    is a multiple of RESTART. A decoder that begins in the middle of a stream therefore produces the same
    audio once `context` spectra have passed.

    At the end of the stream the last magnitudes are repeated, so that the overlapping spectra there are
    complete.

    Two signals share initial phases estimated on their mean, so that common components stay in phase: level
    differences between channels place a sound, and a mono downmix does not cancel.

    Args:
        length: Samples of the analysis window.
        hop: Samples between spectra.
        iterations: Iterations for one signal; two signals get as many on their mean and half as many each.
        momentum: Of the fast variant of the algorithm; 0 gives plain Griffin-Lim.
        first_spectrum: Absolute number of the first spectrum that will be pushed.
        device: Where the magnitudes will be.
        dtype: Of the magnitudes.
    """

    def __init__(
        self,
        length: int,
        hop: int,
        iterations: int,
        momentum: float,
        *,
        first_spectrum: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._transform = _Transform(length, hop, momentum, device, dtype)
        self._initial = PhaseInitializer(length, hop, first_spectrum)
        self._common = _Chain(self._transform, iterations)
        self._separate = _Chain(self._transform, iterations // 2)
        self._final = _Stage(self._transform)
        self._waiting: Tensor | None = None  # targets of both signals whose mean has no phases yet
        self._edge = (length - hop) // 2
        self._skip = self._edge  # samples before the signal that the first analysis window covers
        self._repeats = -(-self._edge // hop)  # spectra that are appended at the end
        self._last: Tensor | None = None  # targets of the last spectrum so far
        self._bins = length // 2 + 1

    @staticmethod
    def context(length: int, hop: int, iterations: int) -> int:
        """Spectra to either side that can influence a spectrum's samples."""
        return (iterations + iterations // 2 + 1) * (length // hop - 1) + 1 + RESTART

    def push(self, targets: Tensor, last: bool = False) -> Tensor:
        """Process the next spectra; returns the samples (B, n) they complete.

        In total hop samples come out for every spectrum, the last of them with `last`.

        Args:
            targets: Magnitudes (B, T, bins), or those of `join_targets`.
            last: Whether the stream ends with these spectra.
        """
        if targets.shape[1]:
            self._last = targets[:, -1:]
        if last and self._last is not None:
            # the phases of what is appended are not known
            appended = self._last.expand(-1, self._repeats, -1).clone()
            appended[..., self._bins :] = 0
            targets = torch.cat([targets, appended], 1)
        parts = targets.split(BLOCK, 1)
        done = [self._push(part, last and number == len(parts) - 1) for number, part in enumerate(parts)]
        return torch.cat(done, 1)

    def _push(self, targets: Tensor, last: bool) -> Tensor:
        if len(targets) == 1:
            spectra = self._iterate(targets, last)[0]
        else:
            waiting = targets if self._waiting is None else torch.cat([self._waiting, targets], 1)
            common, mean = self._iterate(self._mean_targets(targets), last)
            ready, self._waiting = waiting[:, : common.shape[1]], waiting[:, common.shape[1] :]
            mean = mean[..., : self._bins]
            spectra = self._with_known(ready[..., : self._bins] * (common / mean.clamp(min=1e-9)), ready)
            spectra, _ = self._separate.push(spectra, ready, last)
        samples = self._final.samples(spectra, last)
        if last:
            appended = self._edge + self._repeats * self._transform.hop
            samples = samples[:, : max(0, samples.shape[1] - appended)]
        cut = min(self._skip, samples.shape[1])
        self._skip -= cut
        return samples[:, cut:]

    def _iterate(self, targets: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Initial phases and all iterations for one signal; returns spectra and targets that are complete."""
        phasors, targets = self._initial.push(targets, last)
        return self._common.push(
            self._with_known(targets[..., : self._bins] * phasors, targets), targets, last
        )

    def _with_known(self, spectra: Tensor, targets: Tensor) -> Tensor:
        """Spectra with the values of bins whose phases are known; `spectra` may be changed."""
        real, imaginary = torch.view_as_real(spectra).unbind(-1)
        restore_known(real, imaginary, targets)
        return spectra

    def _mean_targets(self, targets: Tensor) -> Tensor:
        """Targets of the mean of two signals, in which a phase is known if it is in both."""
        magnitude = targets[..., : self._bins].mean(0, keepdim=True)
        count = (targets.shape[-1] - self._bins) // 2
        if not count:
            return magnitude
        known = torch.complex(*targets[..., self._bins :].split(count, -1))
        total = known.sum(0, keepdim=True) * (known != 0).all(0, keepdim=True)
        phasors = total / total.abs().clamp(min=1e-9)
        return join_targets(magnitude, magnitude[..., :count] * phasors)


def griffin_lim(
    magnitude: Tensor, length: int, hop: int, momentum: float, iterations: int, gradient_iterations: int = 0
) -> Tensor:
    """Synthesise whole signals from their magnitudes, with gradients with respect to the magnitudes.

    Args:
        magnitude: Magnitudes of all spectra. # (B, T, bins)
        length: Samples of the analysis window.
        hop: Samples between spectra.
        momentum: Of the fast variant, in the iterations without gradient.
        iterations: Iterations whose phases are taken as constants.
        gradient_iterations: Further plain iterations that gradients pass through.

    Returns:
        Audio. # (B, T * hop)
    """
    transform = _Transform(length, hop, momentum, magnitude.device)
    with torch.no_grad():
        phasors, _ = PhaseInitializer(length, hop).push(magnitude, last=True)
        spectra, _ = _Chain(transform, iterations).push(magnitude * phasors, magnitude, last=True)
        phasor = spectra / spectra.abs().clamp(min=1e-9)
    for _ in range(gradient_iterations):
        frames = transform.overlap_add(magnitude * phasor).unfold(-1, length, hop)
        consistent = torch.fft.rfft(frames * transform.window)
        phasor = consistent / consistent.abs().clamp(min=1e-4)
    return _synthesise(transform, magnitude * phasor)


def inverse_stft(spectra: Tensor, length: int, hop: int) -> Tensor:
    """Synthesise whole signals from spectra with their phases, (B, T, bins) -> (B, T * hop)."""
    return _synthesise(_Transform(length, hop, 0.0, spectra.device), spectra)


def _synthesise(transform: _Transform, spectra: Tensor) -> Tensor:
    edge = (transform.length - transform.hop) // 2
    return transform.overlap_add(spectra)[:, edge : edge + spectra.shape[1] * transform.hop]
