"""What a training step minimises: one class per backbone, chosen by `build_objective`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..model.backbones import SpectralBackbone
from ..model.backbones.spectral import MAX_LOG_MAGNITUDE
from ..model.codec_model import CodecModel
from ..model.dsp.griffin_lim import griffin_lim
from ..model.quantizer.residual_vq import Observer
from ..perceptual import PerceptualDistance
from .config import LossConfig
from .discriminators import Domain
from .losses import MultiScaleMelLoss, SpectralLoss

# (window length in samples, mel bands) of the loss on audio after Griffin-Lim
SYNTHESIS_SCALES = ((512, 80), (1024, 120), (2048, 150))


class Comparison(NamedTuple):
    """What was predicted beside what it should be, for discriminators."""

    predicted: Tensor
    target: Tensor


@dataclass
class ForwardResult:
    """One forward pass over a batch."""

    loss: Tensor
    terms: dict[str, Tensor]  # of the loss, for the log
    masks: Tensor | None  # of the experts in use, (B, Nr); None if the latents were not quantized
    comparisons: dict[Domain, Comparison]


class Objective(ABC):
    """The reconstruction losses of a model.

    Args:
        model: The model that is trained.
        config: Weights of the losses.
    """

    domains: frozenset[Domain]  # of the comparisons that `forward` returns

    def __init__(self, model: CodecModel, config: LossConfig):
        self.model, self.config = model, config
        self.encoder: Callable[[Tensor], Any] = model.backbone.encoder
        self.decoder: Callable[[Tensor], Any] = model.backbone.decoder

    def compile(self) -> None:
        """Fuse the networks' small operations."""
        self.encoder = torch.compile(self.model.backbone.encoder)
        self.decoder = torch.compile(self.model.backbone.decoder)

    def latents(self, audio: Tensor) -> Tensor:
        """Latents Z (B, T, D) of audio (B, L)."""
        return self._encode(self._target(audio))

    def forward(
        self, audio: Tensor, expert_counts: Tensor | None, observe: Observer | None = None
    ) -> ForwardResult:
        """Code a batch and compare the result with it.

        Args:
            audio: Items, (B, L).
            expert_counts: Number of experts of each item, (B,); None leaves the latents unquantized.
            observe: Called with what every codebook coded, for its moving averages.
        """
        target = self._target(audio)
        z = self._encode(target)
        masks, commitment = None, z.new_zeros(())
        if expert_counts is not None:
            z, commitment, masks = self.model.quantizer(z, expert_counts, observe)
        with torch.autocast(audio.device.type, torch.bfloat16):
            decoded = self.decoder(z)
        loss, terms, comparisons = self._reconstruction(decoded.float(), target, audio)
        loss = loss + self.config.commitment_weight * commitment
        return ForwardResult(loss, {**terms, "commitment": commitment}, masks, comparisons)

    def _encode(self, target: Tensor) -> Tensor:
        with torch.autocast(target.device.type, torch.bfloat16):
            z = self.encoder(self._encoder_input(target))
        latents: Tensor = z.float()
        return latents

    @abstractmethod
    def fit_statistics(self, batches: Iterable[Tensor]) -> None:
        """Set those constants of a new model that are measured on batches of audio (B, L)."""

    @abstractmethod
    def _target(self, audio: Tensor) -> Tensor:
        """What the decoder's output is compared with."""

    @abstractmethod
    def _encoder_input(self, target: Tensor) -> Tensor:
        """What the encoder gets."""

    @abstractmethod
    def _reconstruction(
        self, decoded: Tensor, target: Tensor, audio: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], dict[Domain, Comparison]]:
        """Weighted reconstruction loss, its terms, and what discriminators compare."""


class SpectralObjective(Objective):
    """Losses on log-magnitudes, and on the audio that Griffin-Lim makes of them if its weight is not zero."""

    def __init__(self, model: CodecModel, backbone: SpectralBackbone, config: LossConfig):
        super().__init__(model, config)
        self.analysis, self.spectral = backbone.analysis, model.config.spectral
        self.refiner, self.distance = backbone.refiner, PerceptualDistance(model)
        self.domains = frozenset(Domain if config.waveform_weight else {Domain.SPECTRA})
        device = model.device
        sample_rate, floor = model.config.sample_rate, self.spectral.output_floor
        self.spectral_loss = SpectralLoss(config, self.spectral.window_length, sample_rate, floor).to(device)
        self.waveform_loss = MultiScaleMelLoss(
            sample_rate, SYNTHESIS_SCALES, floor, config.loudness_weight, config.linear_magnitude_weight
        ).to(device)

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[Tensor]) -> None:
        """Measure mean and deviation of every bin's log-magnitude."""
        floor = self.spectral.floor
        logs = [self.analysis.magnitude(audio).clamp(min=floor).log().flatten(0, 1) for audio in batches]
        self.analysis.mean.copy_(torch.cat(logs).mean(0))
        self.analysis.deviation.copy_(torch.cat(logs).std(0))

    def _encode(self, target: Tensor) -> Tensor:
        z = super()._encode(target)
        if self.refiner is None:
            return z
        with torch.autocast(target.device.type, torch.bfloat16):
            wanted = self.distance.input_features(target.unflatten(1, (z.shape[1], -1)))
            refined: Tensor = self.refiner(z, self.distance.difference(z, wanted))
        return refined

    @torch.no_grad()
    def _target(self, audio: Tensor) -> Tensor:
        return self.analysis.magnitude(audio)  # (B, T, bins)

    @torch.no_grad()
    def _encoder_input(self, target: Tensor) -> Tensor:
        return self.analysis.standardise(target)

    def _reconstruction(
        self, decoded: Tensor, target: Tensor, audio: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], dict[Domain, Comparison]]:
        config = self.config
        log_magnitude = self.analysis.restore(decoded)
        mel, bins = self.spectral_loss(log_magnitude, target)
        loss, terms = config.mel_weight * mel + config.bin_weight * bins, {"mel": mel, "bins": bins}
        magnitude = log_magnitude.clamp(max=MAX_LOG_MAGNITUDE).exp()
        standardise = self.analysis.standardise  # cuts at the floor of the encoder's input
        comparisons = {Domain.SPECTRA: Comparison(standardise(magnitude), standardise(target))}
        if config.waveform_weight:
            edge = self.spectral.window_length  # where the overlapping spectra of neighbours are missing
            pair = Comparison(self.synthesise(magnitude)[:, edge:-edge], audio[:, edge:-edge])
            comparisons[Domain.AUDIO] = pair
            terms["waveform"] = self.waveform_loss(*pair)
            loss = loss + config.waveform_weight * terms["waveform"]
        return loss, terms, comparisons

    def synthesise(self, magnitude: Tensor) -> Tensor:
        """The audio (B, L) that fast Griffin-Lim makes of magnitudes (B, T, bins).

        Phases are found without gradient, but for the iterations after `phase_iterations`: through these the
        magnitudes learn what survives the overlap of neighbouring spectra.
        """
        return griffin_lim(
            magnitude,
            self.spectral.window_length,
            self.spectral.hop_length,
            self.spectral.phase_momentum,
            self.config.phase_iterations,
            self.config.phase_iterations_with_gradient,
        )


class WaveformObjective(Objective):
    """Multi-scale mel distance of waveforms, as of DAC (Kumar et al. 2023)."""

    domains = frozenset({Domain.AUDIO})

    def __init__(self, model: CodecModel, config: LossConfig):
        super().__init__(model, config)
        self.waveform_loss = MultiScaleMelLoss(model.config.sample_rate).to(model.device)

    def fit_statistics(self, batches: Iterable[Tensor]) -> None:
        """Do nothing: these networks have no such constants."""

    def _target(self, audio: Tensor) -> Tensor:
        return audio

    def _encoder_input(self, target: Tensor) -> Tensor:
        return target

    def _reconstruction(
        self, decoded: Tensor, target: Tensor, audio: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], dict[Domain, Comparison]]:
        pair = Comparison(decoded.flatten(1), target)
        mel = self.waveform_loss(*pair)
        return self.config.mel_weight * mel, {"mel": mel}, {Domain.AUDIO: pair}


def build_objective(model: CodecModel, config: LossConfig) -> Objective:
    """The objective for a model's backbone."""
    if isinstance(model.backbone, SpectralBackbone):
        return SpectralObjective(model, model.backbone, config)
    return WaveformObjective(model, config)
