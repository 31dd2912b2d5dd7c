"""Train a small language model on the tokens of one voice, and let it continue a recording.

    swc tokens voice/ -o voice.parquet --experts 0 --effort 0
    python examples/token_language_model.py voice.parquet continuation.wav

The model predicts the tokens of a frame, codebook by codebook, from all before. It sees tokens as the
codewords they stand for, and scores codewords by their product with its output, so that a quarter of an hour
of speech is enough. Of the recordings, which are joined, the first 80 % train the model, the next 10 % choose
the moment to stop, and the last 10 % are held out. Printed are the bits per token of the held-out part, under
the model and under the frequencies of tokens in the training part, and the levels and pitches of the
continuation and of the held-out part. Needs the extra `tokens`.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from switchcodec_cli import Codec, Tokens
from switchcodec_cli.bitstream import BlockKind
from switchcodec_cli.tokens import FILL, Vocabulary, from_record, from_sequence

SEGMENT = 128  # frames of a training item
BATCH = 24
EVALUATE_EVERY = 50  # steps
RATE = 3e-3  # of learning, at the start
PROMPT_SECONDS = 3.0


class TokenModel(nn.Module):
    """Predicts the indices of a frame from the frames before it and from its indices so far.

    Args:
        codewords: Of the codebooks in order. # (S, K, D)
        width: Of the recurrent layer.
        dropout: Share of activations that are dropped in training.
    """

    codewords: Tensor

    def __init__(self, codewords: Tensor, width: int, dropout: float) -> None:
        super().__init__()
        scale = codewords.square().mean((1, 2), keepdim=True).sqrt()
        self.register_buffer("codewords", codewords / scale, persistent=False)
        codebooks, size, dimension = codewords.shape
        self.recurrent = nn.GRU(codebooks * dimension, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width + number * dimension, width),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(width, dimension),
            )
            for number in range(codebooks)
        )
        self.biases = nn.Parameter(torch.zeros(codebooks, size))

    def embed(self, indices: Tensor) -> Tensor:
        """Codewords of the first n indices of frames, side by side. # (B, T, n) -> (B, T, n * D)"""
        count = indices.shape[-1]
        return torch.cat([self.codewords[number][indices[..., number]] for number in range(count)], -1)

    def logits(self, state: Tensor, known: Tensor) -> Tensor:
        """Scores of the next index of a frame.

        Args:
            state: Of the recurrent layer before the frame. # (B, T, width)
            known: Indices of the frame so far. # (B, T, n)
        """
        number = known.shape[-1]
        inputs = state if number == 0 else torch.cat([state, self.dropout(self.embed(known))], -1)
        book = self.codewords[number]
        return self.heads[number](inputs) @ book.mT / book.shape[1] ** 0.5 + self.biases[number]

    def forward(self, indices: Tensor) -> Tensor:
        """Nats of each index but those of the first frame. # (B, T, S) -> (B, T - 1, S)"""
        state, _ = self.recurrent(self.dropout(self.embed(indices[:, :-1])))
        state, targets = self.dropout(state), indices[:, 1:]
        nats = [
            F.cross_entropy(
                self.logits(state, targets[..., :number]).mT, targets[..., number], reduction="none"
            )
            for number in range(indices.shape[-1])
        ]
        return torch.stack(nats, -1)

    @torch.no_grad()
    def sample(self, prompt: Tensor, frames: int, temperature: float) -> Tensor:
        """A continuation of a prompt (T, S). # (frames, S)"""
        state, memory = self.recurrent(self.embed(prompt[None]))
        state, sampled = state[:, -1:], []
        for _ in range(frames):
            known = prompt.new_zeros(1, 1, 0)
            for _ in range(prompt.shape[-1]):
                chances = (self.logits(state, known)[0, 0] / temperature).softmax(-1)
                known = torch.cat([known, torch.multinomial(chances, 1)[None, None]], -1)
            sampled.append(known[0, 0])
            state, memory = self.recurrent(self.embed(known), memory)
        return torch.stack(sampled)


@dataclass(frozen=True)
class Voice:
    """Indices (T, S) of a voice, in parts."""

    training: Tensor
    validation: Tensor
    held_out: Tensor


def read_recordings(path: Path) -> list[Tokens]:
    """The recordings in a Parquet file of `swc tokens --experts 0`."""
    recordings = [from_record(row) for row in pyarrow.parquet.read_table(path).to_pylist()]
    if not recordings or any(tokens.signals != 1 or tokens.masks.any() for tokens in recordings):
        raise SystemExit(f"{path}: must hold mono recordings without experts (swc tokens --experts 0)")
    return recordings


def split(recordings: list[Tokens]) -> Voice:
    """All frames that are sent, divided into parts."""
    indices = np.concatenate([tokens.mono.T for tokens in recordings])
    frames = torch.from_numpy(indices[(indices != FILL).all(1)]).long()
    first, second = len(frames) * 8 // 10, len(frames) * 9 // 10
    return Voice(frames[:first], frames[first:second], frames[second:])


@torch.no_grad()
def bits_per_token(model: TokenModel, frames: Tensor) -> float:
    """Mean bits of tokens (T, S), those of the first frame left out."""
    model.eval()
    return float(model(frames[None]).mean() / np.log(2))


def bits_of_frequencies(training: Tensor, frames: Tensor, size: int) -> float:
    """Mean bits of tokens under their frequencies in each codebook, with the best additive smoothing."""
    counts = torch.stack([torch.bincount(column, minlength=size) for column in training.T]).double()
    costs = []
    for smoothing in (0.03, 0.1, 0.3, 1.0, 3.0):
        chances = (counts + smoothing) / (counts + smoothing).sum(1, keepdim=True)
        costs.append(
            -torch.stack([chances[s].log2()[column] for s, column in enumerate(frames[1:].T)]).mean()
        )
    return float(min(costs))


def train(model: TokenModel, voice: Voice, minutes: float, steps: int) -> TokenModel:
    """Train for a time or a number of steps; returns the model that was best for the validation part."""
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    segment = min(SEGMENT, len(voice.training) - 1)
    best, best_bits, began = copy.deepcopy(model), float("inf"), time.monotonic()
    for step in range(1, steps + 1):
        starts = torch.randint(len(voice.training) - segment, (BATCH, 1))
        items = voice.training[starts + torch.arange(segment + 1)]
        model.train()
        optimizer.zero_grad()
        loss = model(items).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress = max(step / steps, (time.monotonic() - began) / (60 * minutes))
        is_over = progress >= 1
        for group in optimizer.param_groups:  # down to a twentieth, along a cosine
            group["lr"] = RATE * (0.525 + 0.475 * np.cos(np.pi * min(progress, 1.0)))
        if step % EVALUATE_EVERY == 0 or is_over:
            bits = bits_per_token(model, voice.validation)
            if bits < best_bits:
                best, best_bits = copy.deepcopy(model), bits
            trained = float(loss.detach()) / np.log(2)
            print(
                f"step {step}: {trained:.3f} bits per token in training, {bits:.3f} in validation", flush=True
            )
        if is_over:
            break
    return best.eval()


def tokens_of(frames: Tensor, like: Tokens) -> Tokens:
    """Tokens of indices (T, S), as a recording of the same voice."""
    parameters = like.header.parameters
    vocabulary = Vocabulary(parameters)
    offsets = vocabulary.offsets(np.zeros(0, np.int64)).ravel()
    parts = []
    for window in frames.split(parameters.frames_per_window):
        parts.append([vocabulary.window(len(window)), vocabulary.kind(BlockKind.CODED)])
        parts.append((window.numpy() + offsets).ravel())
    return from_sequence(np.concatenate(parts), like)


@dataclass(frozen=True)
class Statistics:
    """Levels and pitches of speech, in frames of 40 ms."""

    level: float  # mean of frames that are not pauses, dBFS
    level_deviation: float  # dB
    pauses: float  # share of frames 30 dB below the loudest twentieth
    pitch: float  # median of voiced frames, Hz
    pitch_deviation: float  # semitones
    voiced: float  # share of frames that are not pauses

    def __str__(self) -> str:
        return (
            f"level {self.level:.1f} ± {self.level_deviation:.1f} dBFS, {self.pauses:.0%} pauses, "
            f"pitch {self.pitch:.0f} Hz ± {self.pitch_deviation:.1f} semitones, {self.voiced:.0%} voiced"
        )


def statistics(audio: np.ndarray, rate: int) -> Statistics:
    """Measure speech (n,); the pitch of a frame is the highest peak of its normalised autocorrelation."""
    size = round(0.04 * rate)
    frames = audio[: len(audio) // size * size].reshape(-1, size).astype(np.float64)
    levels = 10 * np.log10(np.square(frames).mean(1) + 1e-12)
    loud = levels > np.percentile(levels, 95) - 30
    spectra = np.fft.rfft(frames - frames.mean(1, keepdims=True), 2 * size)
    correlation = np.fft.irfft(np.abs(spectra) ** 2)[:, :size]
    correlation /= (correlation[:, :1] + 1e-12) * (1 - np.arange(size) / size)
    shortest, longest = round(rate / 400), round(rate / 70)
    lags = shortest + correlation[:, shortest:longest].argmax(1)
    voiced = loud & (np.take_along_axis(correlation, lags[:, None], 1)[:, 0] > 0.5)
    pitches = rate / lags[voiced] if voiced.any() else np.array([np.nan])
    semitones = 12 * np.log2(pitches / np.median(pitches))
    return Statistics(
        levels[loud].mean(), levels[loud].std(), 1 - loud.mean(), float(np.median(pitches)), semitones.std(),
        voiced.sum() / max(loud.sum(), 1),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tokens", type=Path, help="Parquet file of `swc tokens --experts 0`, of one voice")
    parser.add_argument("output", type=Path, help="audio file to write")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the continuation")
    parser.add_argument("--minutes", type=float, default=8.0, help="limit of the training time")
    parser.add_argument("--steps", type=int, default=600, help="limit of the training steps")
    parser.add_argument("--width", type=int, default=160, help="of the recurrent layer")
    parser.add_argument("--temperature", type=float, default=0.9, help="of sampling")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", help="that the tokens were made with")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    codec = Codec.load(options.weights, device="cpu")
    recordings = read_recordings(options.tokens)
    voice, like = split(recordings), recordings[0]
    codewords = torch.stack([stage.all_codewords() for stage in codec.model.quantizer.shared.stages]).detach()
    model = TokenModel(codewords, options.width, dropout=0.3)
    print(f"{len(recordings)} recordings, {len(voice.training)} frames to train on, "
          f"{sum(each.numel() for each in model.parameters())} parameters")  # fmt: skip
    model = train(model, voice, options.minutes, options.steps)

    frequencies = bits_of_frequencies(voice.training, voice.held_out, like.vocabulary_size)
    bits = bits_per_token(model, voice.held_out)
    print(f"held-out bits per token: {bits:.3f}; by frequencies alone {frequencies:.3f} "
          f"({bits / frequencies - 1:+.1%})")  # fmt: skip

    prompt = voice.held_out[: round(PROMPT_SECONDS * like.frame_rate)]
    sampled = model.sample(prompt, round(options.seconds * like.frame_rate), options.temperature)
    continued, rate = codec.detokenize(tokens_of(torch.cat([prompt, sampled]), like))
    original, _ = codec.detokenize(tokens_of(voice.held_out, like))
    heard = len(prompt) / like.frame_rate  # seconds
    print(f"held-out part: {statistics(original, rate)}")
    print(f"continuation:  {statistics(continued[round(heard * rate) :], rate)}")
    soundfile.write(options.output, continued, rate)
    print(f"{options.output}: {heard:.1f} s of the held-out part and {options.seconds:g} s that follow")


if __name__ == "__main__":
    main()
