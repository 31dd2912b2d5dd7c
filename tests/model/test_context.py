"""How far networks look: a disturbance reaches no further than the contexts say.

What it does not reach is computed from the same numbers in the same places, hence equal to the last bit.
"""

from dataclasses import replace

import pytest
import torch
from tiny_models import BOTH, DAC, SPECTRAL, build, decoded, noise

from switchcodec_cli.model.config import DacConfig
from switchcodec_cli.model.dsp.phase_init import RESTART

CONFIGS = {
    **BOTH,
    "spectral, one spectrum a frame": replace(
        SPECTRAL, spectral=replace(SPECTRAL.spectral, spectra_per_frame=1, encoder_blocks=0)
    ),
    "spectral, long windows": replace(
        SPECTRAL, spectral=replace(SPECTRAL.spectral, window_length=512, kernel=3, phase_iterations=1)
    ),
    "dac, strides of the paper": replace(DAC, dac=DacConfig(2, 16, (2, 4, 8, 8))),
    "dac, one stride": replace(DAC, dac=DacConfig(2, 8, (8,))),
}
FRAMES = 121
MIDDLE = 60


def reach(changed: torch.Tensor) -> tuple[int, int]:
    """Frames before and after the middle that changed (FRAMES,) at all."""
    places = changed.nonzero()[:, 0]
    assert len(places)
    return MIDDLE - int(places.min()), int(places.max()) - MIDDLE


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_encoder_context(name):
    model = build(CONFIGS[name])
    audio = noise(1, FRAMES * model.hop)
    whole = model.backbone.encode(audio)
    most = 0
    for place in (0, model.hop // 2, model.hop - 1):
        disturbed = audio.clone()
        disturbed[0, MIDDLE * model.hop + place] += 3
        before, after = reach((model.backbone.encode(disturbed) - whole).abs().amax(-1)[0] != 0)
        assert max(before, after) <= model.backbone.encoder_context
        most = max(most, before, after)
    assert most >= model.backbone.encoder_context - 6  # and the bound is no waste


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_decoder_context(name):
    model = build(CONFIGS[name])
    z = noise(1, FRAMES, 8)
    disturbed = z.clone()
    disturbed[0, MIDDLE] += 3
    change = (decoded(model, disturbed) - decoded(model, z)).abs()
    before, after = reach(change.flatten(2).amax(-1)[0] != 0)
    if model.config.backbone == "dac":
        assert model.backbone.decoder_context() == model.backbone.decoder.context
    assert max(before, after) <= model.backbone.decoder.context
    assert max(before, after) >= model.backbone.decoder.context - 7


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("spectral")])
@pytest.mark.parametrize("iterations", [None, 0, 3])
@pytest.mark.parametrize("signals", [1, 2])
@torch.inference_mode()
def test_decoder_context_with_phase_search(name, iterations, signals):
    model = build(CONFIGS[name])
    gains = torch.ones(signals, FRAMES, 1)

    def audio(z):
        stream = model.backbone.decoder_stream(1000, phase_iterations=iterations)
        return torch.cat(stream.push(z, gains, last=True), 1).view(signals, FRAMES, -1)

    z = noise(signals, FRAMES, 8)
    disturbed = z.clone()
    disturbed[0, MIDDLE] += 3
    before, after = reach((audio(disturbed) - audio(z)).abs().amax((0, 2)) != 0)
    assert max(before, after) <= model.backbone.decoder_context(iterations)
    # the start's phases are carried on for RESTART spectra at most, and how far they are depends on the peaks
    carried = RESTART // model.config.spectral.spectra_per_frame
    assert max(before, after) >= (model.backbone.decoder_context(iterations) - carried) // 2
