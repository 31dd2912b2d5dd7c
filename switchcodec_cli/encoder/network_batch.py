"""The encoder network on many recordings at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..model.codec_model import CodecModel
from ..perceptual import LatentEncoder, PerceptualDistance

MAX_FRAMES = 4096  # latent frames in a run, padding included; bounds the memory to some 200 MB


@torch.inference_mode(False)  # the refiner needs gradients
@torch.no_grad()
def encode_together(model: CodecModel, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Latents of pieces of audio of any lengths, each as `LatentEncoder` makes them of the piece alone.

    Pieces of similar lengths share a run of the encoder network; differences are those of rounding. The
    refiner, where there is one, takes each piece on its own.

    Args:
        model: The model.
        inputs: Pieces, of one or two signals. # (signals, T, hop) each

    Returns:
        Latents of each piece. # (signals, T, D)
    """
    encoder = LatentEncoder(model, PerceptualDistance(model))
    latents: dict[int, Tensor] = {}
    for batch in _batches([tuple(audio.shape[:2]) for audio in inputs]):
        rows = [signal.flatten() for number in batch for signal in inputs[number]]
        frames = torch.tensor([len(row) // model.hop for row in rows], device=model.device)
        z = model.backbone.encode_padded(pad_sequence(rows, batch_first=True), frames)
        first = 0
        for number in batch:
            signals, count = inputs[number].shape[:2]
            latents[number] = encoder.refined(z[first : first + signals, :count], inputs[number].flatten(1))
            first += signals
    return [latents[number] for number in range(len(inputs))]


def _batches(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Numbers of pieces (signals, T) that share a run, by length."""
    batch: list[int] = []
    rows = 0
    for number in sorted(range(len(shapes)), key=lambda number: shapes[number][1]):
        signals, frames = shapes[number]
        if batch and (rows + signals) * frames > MAX_FRAMES:
            yield batch
            batch, rows = [], 0
        batch.append(number)
        rows += signals
    if batch:
        yield batch
