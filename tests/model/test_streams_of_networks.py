"""Networks and phase search give over a stream in blocks what they give over the whole."""

import numpy as np
import pytest
import torch
from tiny_models import BOTH, SPECTRAL, build, noise

from switchcodec_cli.model.dsp.griffin_lim import GriffinLim, inverse_stft
from switchcodec_cli.model.streaming import ContextStream

BLOCKS = [[1] * 53, [53], [3, 46, 4], [13, 0, 20, 1, 0, 19], [0, 52, 1]]  # 53 positions in all


def cut(x: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    assert sum(sizes) == x.shape[1]
    return list(x.split(sizes, 1))


@pytest.mark.parametrize("sizes", BLOCKS)
@pytest.mark.parametrize(("context", "chunk"), [(2, 10), (7, 3), (5, 5), (1, 200)])
def test_context_stream_is_exact_for_any_blocks(sizes, context, chunk):
    """A moving average as the network: exactly `context` positions to each side, zeros beyond the ends."""
    kernel = torch.ones(1, 1, 2 * context + 1, dtype=torch.float64)
    lengths = []

    def network(x):
        lengths.append(x.shape[1])
        return torch.nn.functional.conv1d(x.mT, kernel, padding=context).mT

    x = torch.arange(53.0, dtype=torch.float64).square()[None, :, None]
    stream = ContextStream(network, context, chunk)
    out = [z for i, b in enumerate(cut(x, sizes)) for z in stream.push(b, last=i == len(sizes) - 1)]
    torch.testing.assert_close(torch.cat(out, 1), network(x), rtol=0, atol=0)
    assert max(lengths[:-1]) <= chunk + 2 * context
    assert all(z.shape[1] == chunk for z in out[:-1])


def test_a_stream_may_end_with_an_empty_block_or_before_it_began():
    stream = ContextStream(lambda x: x, 3, 4)
    x = noise(1, 9, 2)
    out = [*stream.push(x), *stream.push(x[:, :0], last=True)]
    assert torch.equal(torch.cat(out, 1), x)
    assert ContextStream(lambda x: x, 3, 4).push(x[:, :0], last=True) == []


@pytest.mark.parametrize("sizes", BLOCKS)
@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("iterations", [0, 1, 5])
def test_phase_search_in_blocks(sizes, signals, iterations):
    magnitude = noise(signals, 53, 129).abs().double()

    def search():
        return GriffinLim(256, 64, iterations, 0.9, dtype=torch.float64)

    whole = search().push(magnitude, last=True)
    assert whole.shape == (signals, 53 * 64)
    stream, out = search(), []
    for number, block in enumerate(cut(magnitude, sizes)):
        out.append(stream.push(block, last=number == len(sizes) - 1))
    torch.testing.assert_close(torch.cat(out, 1), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("signals", [1, 2])
def test_phase_search_of_very_short_signals(count, signals):
    audio = GriffinLim(256, 64, 4, 0.9).push(noise(signals, count, 129).abs(), last=True)
    assert audio.shape == (signals, count * 64)
    assert audio.isfinite().all()


def test_phase_search_begins_anywhere():
    """From the middle of a stream: the same audio once `context` spectra have gone by."""
    iterations = 5
    magnitude = noise(1, 400, 129).abs().double()

    def run(first, last):
        search = GriffinLim(256, 64, iterations, 0.9, first_spectrum=first, dtype=torch.float64)
        return search.push(magnitude[:, first:last], last=True)

    whole = run(0, 400)
    context = GriffinLim.context(256, 64, iterations)
    part = run(70, 330)
    inside = slice(context * 64, -context * 64)
    torch.testing.assert_close(part[:, inside], whole[:, 70 * 64 : 330 * 64][:, inside], rtol=0, atol=1e-9)
    assert not torch.allclose(part, whole[:, 70 * 64 : 330 * 64], atol=1e-3)  # the ends do differ


def test_phase_search_finds_what_was_there():
    """Iterations bring the spectrum of the result nearer to the wanted magnitudes."""
    model = build(SPECTRAL)
    time = torch.arange(64 * 200) / 16000
    audio = (0.3 * torch.sin(2 * torch.pi * (200 * time + 400 * time.square())))[None]
    wanted = model.backbone.analysis.magnitude(audio)
    errors = []
    for iterations in (0, 4, 16, 64):
        found = GriffinLim(256, 64, iterations, 0.99).push(wanted, last=True)
        inner = (model.backbone.analysis.magnitude(found) - wanted)[:, 8:-8]
        errors.append(float(inner.norm() / wanted[:, 8:-8].norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.1  # the start follows the line already
    assert errors[-1] < 0.5 * errors[0]


def test_true_phases_give_perfect_synthesis():
    """The overlap-add undoes the analysis: with the right spectra the audio comes back."""
    model = build(SPECTRAL)
    audio = noise(1, 64 * 50)
    padded = torch.nn.functional.pad(audio, (96, 96))
    spectra = torch.fft.rfft(padded.unfold(-1, 256, 64) * model.backbone.analysis.window)
    found = inverse_stft(spectra, 256, 64)
    torch.testing.assert_close(found[:, 256:-256], audio[:, 256:-256], atol=1e-5, rtol=0)


def test_equal_signals_stay_equal_and_levels_are_kept():
    magnitude = noise(1, 60, 129).abs()
    both = GriffinLim(256, 64, 6, 0.99).push(torch.cat([magnitude, magnitude]), last=True)
    torch.testing.assert_close(both[0], both[1])
    panned = GriffinLim(256, 64, 6, 0.99).push(torch.cat([magnitude, 0.25 * magnitude]), last=True)
    torch.testing.assert_close(0.25 * panned[0], panned[1], atol=1e-4, rtol=1e-3)


def test_a_silent_signal_stays_silent_beside_another():
    magnitude = noise(1, 60, 129).abs()
    audio = GriffinLim(256, 64, 6, 0.99).push(torch.cat([magnitude, 0 * magnitude]), last=True)
    assert audio[1].abs().max() == 0
    assert audio[0].abs().max() > 0.01


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("sizes", BLOCKS)
def test_both_networks_in_blocks(name, sizes):
    model = build(BOTH[name])
    audio = noise(2, 53 * model.hop)
    with torch.inference_mode():
        whole = model.backbone.encode(audio)
        stream = ContextStream(
            lambda audio: model.backbone.encode(audio.flatten(1)), model.backbone.encoder_context, 10
        )
        out = []
        frames = audio.view(2, 53, model.hop)
        for number, block in enumerate(cut(frames, sizes)):
            out += stream.push(block, last=number == len(sizes) - 1)
    torch.testing.assert_close(torch.cat(out, 1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("signals", [1, 2])
def test_decoder_stream_does_not_depend_on_blocks(name, signals):
    model = build(BOTH[name])
    z = noise(signals, 53, 8)
    gains = torch.ones(signals, 53, 1)
    gains[:, 20:30] = 0
    gains[-1, 35:] = 0.3
    results = []
    with torch.inference_mode():
        for sizes in BLOCKS:
            stream, out = model.backbone.decoder_stream(10), []
            for number, (block, gain) in enumerate(zip(cut(z, sizes), cut(gains, sizes), strict=True)):
                out += stream.push(block, gain, last=number == len(sizes) - 1)
            results.append(torch.cat(out, 1).numpy())
        longer = model.backbone.decoder_stream(50).push(z, gains, last=True)
    assert results[0].shape == (signals, 53 * model.hop)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])  # the same chunks, so the same bits
    np.testing.assert_allclose(torch.cat(longer, 1).numpy(), results[0], atol=1e-4)
