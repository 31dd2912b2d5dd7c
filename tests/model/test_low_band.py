"""Tests of the MDCT and of phases from a coded waveform."""

import math

import numpy as np
import pytest
import torch

from switchcodec_cli.model.dsp.griffin_lim import GriffinLim, join_targets
from switchcodec_cli.model.dsp.low_band import LEAST_SHARE, LowBand
from switchcodec_cli.model.dsp.mdct import mdct, mdct_basis, mdct_to_stft
from switchcodec_cli.model.dsp.stft import MagnitudeSTFT

HOP, STFT_HOP, LENGTH = 64, 32, 128


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, frames * HOP, generator=torch.Generator().manual_seed(seed))


def spectra_of(audio: torch.Tensor) -> torch.Tensor:
    """Short-time spectra in latent frames, (1, T * hop) -> (1, T, n, bins)."""
    stft = MagnitudeSTFT(LENGTH, STFT_HOP)
    padded = torch.nn.functional.pad(audio, (stft.margin, stft.margin))
    frames = padded.unfold(-1, LENGTH, STFT_HOP) * stft.window
    return torch.fft.rfft(frames).unflatten(1, (-1, HOP // STFT_HOP))


def test_mdct_agrees_with_its_definition():
    audio = noise(4)
    coefficients = mdct(audio, mdct_basis(HOP, 8))
    frame, b, total = 2, 5, 0.0
    for n in range(2 * HOP):
        at = frame * HOP - HOP // 2 + n
        sample = float(audio[0, at]) if 0 <= at < audio.shape[1] else 0.0
        cosine = math.cos(math.pi / HOP * (n + 0.5 + HOP / 2) * (b + 0.5))
        total += math.sin(math.pi * (n + 0.5) / (2 * HOP)) * sample * cosine
    assert float(coefficients[0, frame, b]) == pytest.approx(math.sqrt(2 / HOP) * total, abs=1e-5)


def test_spectra_from_all_coefficients_are_those_of_the_audio():
    audio = noise(12)
    coefficients = mdct(audio, mdct_basis(HOP, HOP))
    found = LowBand(HOP, HOP, torch.hann_window(LENGTH), STFT_HOP).spectra(coefficients)
    wanted = spectra_of(audio)[..., : found.shape[-1]]
    assert (found - wanted)[:, 3:-3].abs().max() < 1e-4 * wanted.abs().max()


def test_spectra_depend_on_two_frames_to_either_side():
    matrix = mdct_to_stft(HOP, HOP, torch.hann_window(LENGTH), STFT_HOP, 20).unflatten(0, (5, HOP))
    assert all(matrix[place].abs().max() > 1e-3 for place in (1, 2, 3))
    coefficients = mdct(noise(12), mdct_basis(HOP, HOP))
    low_band = LowBand(HOP, HOP, torch.hann_window(LENGTH), STFT_HOP)
    changed = coefficients.clone()
    changed[:, 6] += 1
    difference = (low_band.spectra(changed) - low_band.spectra(coefficients)).abs().amax((0, 2, 3))
    assert set(np.flatnonzero(difference.numpy() > 1e-6)) <= {4, 5, 6, 7, 8}


def test_phases_are_taken_where_the_waveform_is_loud_enough():
    low_band = LowBand(8, HOP, torch.hann_window(LENGTH), STFT_HOP)
    magnitude = torch.ones(1, 3, 2, LENGTH // 2 + 1)
    spectra = torch.full((1, 3, 2, 8), 2j)
    spectra[..., 3] = 0.9 * LEAST_SHARE * 1j
    targets = low_band.targets(magnitude, spectra)
    bins = magnitude.shape[-1]
    real, imaginary = targets[..., bins:].split(8, -1)
    assert (real == 0).all()
    assert (imaginary[..., 3] == 0).all()
    assert (targets[..., 3] == 1).all()
    others = [0, 1, 2, 4, 5, 6, 7]
    # the magnitude moves towards that of the waveform, and the known bin has it
    assert (targets[..., others] > 1.1).all()
    torch.testing.assert_close(imaginary[..., others], targets[..., others])
    assert (targets[..., 8:bins] == 1).all()


@pytest.mark.parametrize("signals", [1, 2])
def test_griffin_lim_keeps_known_phases(signals):
    """With all phases known it synthesises the audio itself; with none it does what it does without."""
    audio = torch.cat([noise(200, seed) for seed in range(signals)])
    spectra = torch.cat([spectra_of(each[None]).flatten(1, 2) for each in audio])
    known = join_targets(spectra.abs(), spectra)
    found = GriffinLim(LENGTH, STFT_HOP, 2, 0.99).push(known, last=True)
    inside = slice(4 * HOP, -4 * HOP)
    assert (found - audio)[:, inside].abs().max() < 1e-3
    unknown = join_targets(spectra.abs(), torch.zeros_like(spectra[..., :10]))
    plain = GriffinLim(LENGTH, STFT_HOP, 2, 0.99).push(spectra.abs(), last=True)
    assert torch.equal(GriffinLim(LENGTH, STFT_HOP, 2, 0.99).push(unknown, last=True), plain)


def test_known_phases_do_not_depend_on_how_the_stream_is_cut():
    spectra = spectra_of(noise(300)).flatten(1, 2)
    targets = join_targets(spectra.abs(), spectra[..., :12] * (torch.arange(12) % 3 > 0))
    whole = GriffinLim(LENGTH, STFT_HOP, 3, 0.99).push(targets, last=True)
    stream = GriffinLim(LENGTH, STFT_HOP, 3, 0.99)
    pieces = [
        stream.push(part, last=begin + 70 >= 600)
        for begin, part in zip(range(0, 600, 70), targets.split(70, 1), strict=True)
    ]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=1e-4)
