"""Phases that follow the magnitudes: what random ones lose is there from the start."""

import pytest
import torch
from tiny_models import noise

from switchcodec_cli.model.dsp.griffin_lim import GriffinLim
from switchcodec_cli.model.dsp.phase_init import RESTART, PhaseInitializer
from switchcodec_cli.model.dsp.stft import MagnitudeSTFT

RATE, LENGTH, HOP = 44100, 2048, 512


def found(audio: torch.Tensor, iterations: int = 8) -> torch.Tensor:
    """What is found for the magnitudes of audio (n,), n a multiple of the hop."""
    magnitude = MagnitudeSTFT(LENGTH, HOP).magnitude(audio[None])
    return GriffinLim(LENGTH, HOP, iterations, 0.99).push(magnitude, last=True)[0]


@pytest.mark.parametrize("frequency", [50, 100, 441.3, 9000])
@pytest.mark.parametrize("iterations", [0, 8])
def test_a_tone_stays_a_tone(frequency, iterations):
    time = torch.arange(HOP * 3 * RESTART) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * frequency * time)
    result = found(tone, iterations)[4 * LENGTH : -4 * LENGTH]
    energy = torch.fft.rfft(result * torch.hann_window(len(result))).abs().square()
    place = torch.fft.rfftfreq(len(result), 1 / RATE)
    share = energy[(place - frequency).abs() < 0.03 * frequency].sum() / energy.sum()
    assert share > (0.9 if frequency < 200 else 0.97)


def test_a_click_stays_in_its_place():
    audio = torch.zeros(HOP * 60)
    places = [HOP * 20 + 100, HOP * 40 + 300]
    audio[places] = 0.5
    result = found(audio)
    for place in places:
        near = result[place - 20 : place + 20].square().sum()
        before = result[place - 4 * HOP : place - 20].square().sum()
        assert 10 * (before / near).log10() < -15


def test_blocks_do_not_matter_and_the_magnitudes_come_back_in_order():
    magnitude = noise(2, 150, 129).abs()
    phasors, out = PhaseInitializer(256, 64).push(magnitude, last=True)
    assert torch.equal(out, magnitude)
    torch.testing.assert_close(phasors.abs(), torch.ones(2, 150, 129))
    stream, pieces = PhaseInitializer(256, 64), []
    for number, block in enumerate(magnitude.split([1, 0, 1, 70, 2, 76, 0], 1)):
        pieces.append(stream.push(block, last=number == 6))
    assert torch.equal(torch.cat([piece for piece, _ in pieces], 1), phasors)
    assert torch.equal(torch.cat([piece for _, piece in pieces], 1), magnitude)


def test_from_the_middle_the_next_restart_brings_the_same_phases():
    magnitude = noise(1, 4 * RESTART, 129).abs()
    whole, _ = PhaseInitializer(256, 64).push(magnitude, last=True)
    begin = RESTART // 2
    part = PhaseInitializer(256, 64, first_spectrum=begin)
    phasors, _ = part.push(magnitude[:, begin:], last=True)
    assert torch.equal(phasors[:, RESTART - begin :], whole[:, RESTART:])
    assert not torch.equal(phasors[:, : RESTART - begin], whole[:, begin:RESTART])


def test_silence_has_phases_too():
    phasors, _ = PhaseInitializer(256, 64).push(torch.zeros(1, 5, 129), last=True)
    assert phasors.isfinite().all()
