"""What a training step minimises, for either backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..model.codec_model import CodecModel
from ..model.dsp.griffin_lim import GriffinLim
from ..model.quantizer.codebook import Codebook
from .config import LossConfig
from .losses import MagnitudeLoss, WaveformLoss


@dataclass
class Outcome:
    """One forward pass: the loss, its terms for the log, and what discriminators look at."""

    loss: Tensor
    terms: dict[str, Tensor]
    masks: Tensor | None
    # predicted and true, where the step has them: standardised log-magnitudes (B, T, bins), waveforms (B, L)
    spectra: tuple[Tensor, Tensor] | None = None
    audio: tuple[Tensor, Tensor] | None = None


class Objective(nn.Module):
    """LogMagnitudeSTFT, encoder, quantizer, decoder and the reconstruction losses."""

    def __init__(self, model: CodecModel, config: LossConfig):
        super().__init__()
        # not submodules: the trainer owns the model
        self.__dict__["model"] = model
        self.config = config
        self.spectral = model.config.backbone == "spectral"
        self.__dict__["encoder"], self.__dict__["decoder"] = model.encoder, model.decoder
        if self.spectral:
            spectral = model.config.spectral
            self.distance = MagnitudeLoss(
                config, spectral.window_length, model.config.sample_rate, spectral.output_floor
            )
            self.output_distance = WaveformLoss(
                model.config.sample_rate,
                ((512, 80), (1024, 120), (2048, 150)),
                config.loudness,
                spectral.output_floor,
                config.amplitude,
            )
        else:
            self.distance = WaveformLoss(model.config.sample_rate)

    def compile(self) -> None:
        """Fuse the networks' small operations."""
        self.__dict__["encoder"] = torch.compile(self.model.encoder)
        self.__dict__["decoder"] = torch.compile(self.model.decoder)

    def latents(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio (B, L) -> latents, and the target of the reconstruction."""
        model = self.model
        target = audio
        if self.spectral:
            with torch.no_grad():
                target = model.analysis.magnitude(audio)  # (B, T, bins)
                inputs = model.analysis.standardise(target)
        else:
            inputs = audio
        with torch.autocast(audio.device.type, torch.bfloat16):
            z = self.encoder(inputs)
        return z.float(), target

    def output(self, magnitude: Tensor) -> Tensor:
        """The audio (B, L) that the phase search makes of magnitudes (B, T, bins).

        The phases are searched without gradient but for the last `output_graded` rounds; through them the
        magnitudes learn what survives the overlap of neighbouring spectra.
        """
        spectral = self.model.config.spectral
        search = GriffinLim(
            spectral.window_length,
            spectral.hop_length,
            self.config.output_iterations,
            spectral.phase_momentum,
            magnitude.device,
        )
        with torch.no_grad():
            start, _ = search.start.push(magnitude, True)
            spectra = search.common.push(magnitude * start, magnitude, True)[0]
            phasor = spectra / spectra.abs().clamp(min=1e-9)
        for _ in range(self.config.output_graded):
            samples = search.transform.overlap_add(magnitude * phasor)
            frames = samples.unfold(-1, spectral.window_length, spectral.hop_length)
            consistent = torch.fft.rfft(frames * search.transform.window)
            phasor = consistent / consistent.abs().clamp(min=1e-4)
        return search.synthesise(magnitude * phasor)

    def forward(
        self,
        audio: Tensor,
        active: Tensor | None,
        observe: Callable[[Codebook, Tensor, Tensor], None] | None = None,
    ) -> Outcome:
        """Audio (B, L) with `active` (B,) experts an item; None leaves the latents unquantized."""
        config = self.config
        z, target = self.latents(audio)
        masks, commitment = None, z.new_zeros(())
        if active is not None:
            z, commitment, masks = self.model.quantizer(z, active, observe)
        with torch.autocast(audio.device.type, torch.bfloat16):
            predicted = self.decoder(z)
        predicted = predicted.float()
        if self.spectral:
            restored = self.model.analysis.restore(predicted)
            mel, fine = self.distance(restored, target)
            loss = config.mel * mel + config.fine * fine
            terms = {"mel": mel, "fine": fine, "commitment": commitment}
            outcome = Outcome(loss, terms, masks)
            magnitude = restored.clamp(max=8).exp()
            if config.output:
                # the ends of an item lack their neighbours
                edge = self.model.config.spectral.window_length
                outcome.audio = self.output(magnitude)[:, edge:-edge], audio[:, edge:-edge]
                terms["output"] = self.output_distance(*outcome.audio)
                outcome.loss = loss + config.output * terms["output"]
            # discriminators see what the encoder sees, cut at its floor
            outcome.spectra = (
                self.model.analysis.standardise(magnitude),
                self.model.analysis.standardise(target),
            )
        else:
            predicted = predicted.flatten(1)
            mel = self.distance(predicted, target)
            outcome = Outcome(config.mel * mel, {"mel": mel, "commitment": commitment}, masks)
            outcome.audio = predicted, target
        outcome.loss = outcome.loss + config.commitment * commitment
        return outcome
