"""Training of the index model with simulated quantization, and its export to integer tensors.

    python -m switchcodec_cli.training.index_model WEIGHTS AUDIO_FOLDER OUTPUT --minutes 25

The network below mirrors `bitstream.index_model` operation by operation, in real numbers: an activation is
its integer divided by 2^ACTIVATION_BITS, a weight its integer divided by 2^WEIGHT_BITS. Rounding is simulated
with straight-through gradients.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..atomic_io import atomic_output
from ..bitstream.index_model import IndexModelTensors
from ..model.codec_model import CodecModel
from ..model.weights import load_weights, save_weights
from .data import build_pool, default_cache
from .index_data import CodedWindows, concatenate, extract_indices, index_files

WEIGHT_BITS = 7
ACTIVATION_BITS = 6
BIAS_BITS = WEIGHT_BITS + ACTIVATION_BITS
LIMIT = 127 / 2**ACTIVATION_BITS
WEIGHT_LIMIT = 127 / 2**WEIGHT_BITS
LOGIT_GAIN = 8.0  # bits per unit of the last layer's sums: sums of 2^-13 shifted by 6 are steps of 1/16 bit
TABLES = ("embedding", "previous", "preceding")
DROPOUT = 0.1
BLOCK_ROWS = 32  # rows that share a gathered matrix of the last layer


@dataclass(frozen=True)
class IndexModelConfig:
    """Sizes of the index model."""

    codebooks: int
    size: int  # of a codebook
    experts: int
    embedding: int = 32
    width: int = 192  # of the recurrent states
    hidden: int = 256
    features: int = 192

    @property
    def ranks(self) -> int:
        """Numbers of experts that can come before a quantizer in a frame."""
        return max(1, self.experts)

    @property
    def groups(self) -> int:
        """Groups of a codebook; each has size / groups members."""
        return 1 << ((self.size.bit_length()) // 2)

    @property
    def members(self) -> int:
        """Members of a group."""
        return self.size // self.groups


class _Quantize(torch.autograd.Function):
    """Clamp and round to multiples of 2^-bits, halves up; the gradient is that of the clamp."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float, bits: int) -> Tensor:
        ctx.inside = (x >= low) & (x <= high)
        return x.clamp(low, high).mul_(2.0**bits).add_(0.5).floor_().mul_(2.0**-bits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient * ctx.inside, None, None, None


def _limit(x: Tensor, low: float, high: float, bits: int, rounding: bool) -> Tensor:
    """Clamp, and round to multiples of 2^-bits if asked to."""
    if not rounding:
        return F.hardtanh(x, low, high)
    limited: Tensor = _Quantize.apply(x, low, high, bits)  # type: ignore[no-untyped-call]  # torch's
    return limited


class IndexNetwork(nn.Module):
    """The index model in real numbers. Names and order of operations are those of the specification."""

    def __init__(self, config: IndexModelConfig) -> None:
        super().__init__()
        self.config = config
        self.quantized = False  # whether rounding is simulated; clamping always is
        c, e, h = config.codebooks, config.embedding, config.width
        head = config.hidden + config.features

        def matrix(rows: int, columns: int, gain: float = 1.0) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns) * gain / math.sqrt(columns))

        def zeros(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(*shape))

        self.embedding = nn.Parameter(torch.randn(c, config.size, e) * 0.1)
        self.previous = nn.Parameter(torch.randn(c, config.size, e) * 0.1)
        self.preceding = nn.Parameter(torch.randn(c, config.size, e) * 0.1)
        self.input_weight, self.input_bias = matrix(h, 2 * e, 1.8), zeros(h)
        self.input_mask = zeros(config.experts, h)
        self.gate1_weight, self.gate1_bias = matrix(2 * h, h, 1.5), zeros(2 * h)
        self.gate2_weight, self.gate2_bias = matrix(2 * h, 2 * h, 1.5), zeros(2 * h)
        self.context_weight, self.context_bias = matrix(head, e + 2 * h, 1.5), zeros(head)
        self.context_mask = zeros(config.experts, head)
        self.head_weight, self.head_bias = matrix(head, 3 * e, 1.2), zeros(c, config.ranks, head)
        self.feature_weight = matrix(config.features, config.hidden)
        self.group_weight = nn.Parameter(torch.randn(c, config.groups, config.features) * 0.02)
        self.group_bias = zeros(c, config.ranks, config.groups)
        self.member_weight = nn.Parameter(torch.randn(c, config.size, config.features) * 0.02)
        self.member_bias = zeros(c, config.ranks, config.size)

    def weight(self, name: str) -> Tensor:
        """A weight matrix or table, clamped and, in simulation, rounded."""
        value: Tensor = getattr(self, name)
        return _limit(value, -WEIGHT_LIMIT, WEIGHT_LIMIT, WEIGHT_BITS, self.quantized)

    def table(self, name: str) -> Tensor:
        """An embedding table in the units of activations."""
        value: Tensor = getattr(self, name)
        return _limit(value, -LIMIT, LIMIT, ACTIVATION_BITS, self.quantized)

    def activation(self, x: Tensor, low: float = -LIMIT) -> Tensor:
        """Clamp and round."""
        return _limit(x, low, LIMIT, ACTIVATION_BITS, self.quantized)

    def _drop(self, x: Tensor) -> Tensor:
        """Dropout of single values."""
        return F.dropout(x, DROPOUT, self.training)

    def _forget(self, embedded: Tensor) -> Tensor:
        """Dropout of whole embeddings, (P, T, E)."""
        kept = F.dropout(torch.ones_like(embedded[..., :1]), DROPOUT, self.training)
        return embedded * (kept > 0)

    def recurrence(self, x: Tensor, name: str) -> Tensor:
        """A gated recurrence whose gate and candidate depend on the input only, (N, T, .) -> (N, T, H).

        minGRU (Feng et al. 2024): h_t = h_{t-1} + z_t (c_t - h_{t-1}).
        """
        acc = F.linear(x, self.weight(f"{name}_weight")).float() + getattr(self, f"{name}_bias")
        gate, candidate = acc.chunk(2, -1)
        gate = _limit(gate + 0.5, 0.0, 1.0, 7, self.quantized)
        candidate = self.activation(candidate)
        gains, kept = (gate * candidate).unbind(1), (1 - gate).unbind(1)
        states = [gains[0]]
        for gain, share in zip(gains[1:], kept[1:], strict=True):
            states.append(torch.addcmul(gain, share, states[-1]))
        return self.activation(torch.stack(states, 1))

    def forward(self, masks: Tensor, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bits of each index that is sent.

        Args:
            masks: Experts of each window, float. # (N, Nr)
            indices: Of all codebooks. # (N, C, T)

        Returns:
            The bits (P, T) of P pairs of a window and a codebook that it uses, and the numbers of both, (P,).
        """
        config = self.config
        n, c, t = indices.shape
        per_quantizer = c // (config.experts + 1)
        used = F.pad(masks, (1, 0), value=1.0).repeat_interleave(per_quantizer, 1)  # (N, C)
        window, book = used.nonzero(as_tuple=True)
        flat = indices + config.size * torch.arange(c)[:, None]
        embedded = F.embedding(flat, self.table("embedding").flatten(0, 1)) * used[:, :, None, None]
        partial = embedded.cumsum(1)
        vector = self.activation(partial[:, -1])  # (N, T, E)
        partial = partial - embedded

        before = F.pad(vector, (0, 0, 1, 0))[:, :-1]
        earlier = F.pad(vector, (0, 0, 2, 0))[:, :-2]
        acc = F.linear(torch.cat([before, earlier], -1), self.weight("input_weight")).float()
        x = self.activation(acc + self.input_bias + (masks @ self.input_mask)[:, None], 0.0)
        first = self.recurrence(x, "gate1")
        second = self.recurrence(torch.cat([x, first], -1), "gate2")
        context = F.linear(torch.cat([before, first, second], -1), self.weight("context_weight")).float()
        context = context + self.context_bias + (masks @ self.context_mask)[:, None]  # (N, T, A + R)

        chosen = flat[window, book]  # (P, T)
        last = F.embedding(F.pad(chosen, (1, 0))[:, :-1], self.table("previous").flatten(0, 1))
        last = torch.cat([torch.zeros_like(last[:, :1]), last[:, 1:]], 1)
        just = F.embedding(F.pad(chosen, (0, 0, 1, 0))[:-1], self.table("preceding").flatten(0, 1))
        just = just * (book > 0)[:, None, None]
        last, just = self._forget(last), self._forget(just)
        local = torch.cat([self.activation(partial[window, book]), last, just], -1)
        acc = F.linear(local, self.weight("head_weight"))
        before_expert = F.pad(masks.cumsum(1).long(), (2, 0))[:, : config.experts + 1]  # (N, Nr + 1)
        rank = before_expert[window, book // per_quantizer]
        bias_row = book * config.ranks + rank  # (P,)
        acc = acc + F.embedding(bias_row, self.head_bias.flatten(0, 1))[:, None].to(acc.dtype)
        # a product with one-hot rows gathers, and its gradient is a product too
        rows = F.one_hot(window, n).to(acc.dtype) @ context.to(acc.dtype).flatten(1)
        acc = acc + rows.view_as(acc)
        hidden = self._drop(self.activation(acc[..., : config.hidden], 0.0))
        acc = acc[..., config.hidden :] + F.linear(hidden, self.weight("feature_weight"))
        features = self._drop(self.activation(acc))  # (P, T, R)
        return self._bits(features, chosen, bias_row).view(-1, t), window, book

    def _bits(self, features: Tensor, chosen: Tensor, bias_row: Tensor) -> Tensor:
        """Bits of the chosen indices, (P, T, R), flat indices (P, T), rows of biases (P,) -> (P * T,)."""
        config = self.config
        rows, order = chosen.flatten().sort()
        x = F.embedding(order, features.flatten(0, 1))
        group, member = rows // config.members, rows % config.members  # over all codebooks
        groups = config.codebooks * config.groups
        by_book = torch.bincount(group // config.groups, minlength=config.codebooks).tolist()
        weight = self.weight("group_weight")
        logits = torch.cat([F.linear(part, weight[c]) for c, part in enumerate(x.split(by_book))]).float()
        bias_rows = bias_row[order // features.shape[1]]
        logits = logits + F.embedding(bias_rows, self.group_bias.flatten(0, 1))
        group_nll = F.cross_entropy(
            logits * (LOGIT_GAIN * math.log(2)), group % config.groups, reduction="none"
        )
        # blocks of rows of one group: row r of a group lies in the group's block r // BLOCK_ROWS
        counts = torch.bincount(group, minlength=groups)
        blocks = (counts + BLOCK_ROWS - 1) // BLOCK_ROWS
        first_block = blocks.cumsum(0) - blocks
        first_row = counts.cumsum(0) - counts
        place = first_block[group] * BLOCK_ROWS + torch.arange(len(rows)) - first_row[group]
        owner = torch.repeat_interleave(torch.arange(groups), blocks)
        padded = x.new_zeros(len(owner) * BLOCK_ROWS, x.shape[1]).index_copy(0, place, x)
        matrices = F.embedding(owner, self.weight("member_weight").view(groups, -1))
        matrices = matrices.view(len(owner), config.members, -1)
        product = torch.bmm(padded.view(len(owner), BLOCK_ROWS, -1), matrices.mT).float()
        logits = F.embedding(place, product.flatten(0, 1))
        bias_rows = bias_rows * config.groups + group % config.groups
        logits = logits + F.embedding(bias_rows, self.member_bias.view(-1, config.members))
        member_nll = F.cross_entropy(logits * (LOGIT_GAIN * math.log(2)), member, reduction="none")
        return torch.zeros_like(group_nll).index_copy(0, order, (group_nll + member_nll) / math.log(2))


def group_codewords(codewords: Tensor, groups: int) -> Tensor:
    """Codewords in `groups` equal groups of neighbours, by halving along the principal axis, again and again.

    Args:
        codewords: Of one codebook. # (K, D)
        groups: A power of two that divides K.

    Returns:
        Indices, group by group. # (K,)
    """
    parts = [torch.arange(len(codewords))]
    while len(parts) < groups:
        halves: list[Tensor] = []
        for part in parts:
            points = codewords[part] - codewords[part].mean(0)
            axis = torch.linalg.svd(points, full_matrices=False).Vh[0]
            halves += part[(points @ axis).argsort()].chunk(2)
        parts = halves
    return torch.cat(parts)


@torch.no_grad()
def initial_network(
    codec: CodecModel, config: IndexModelConfig, sample: CodedWindows
) -> tuple[IndexNetwork, npt.NDArray[np.int64]]:
    """A network that begins with the geometry of the codebooks, and the order of the indices.

    Embeddings begin as the codewords' leading principal coordinates, each scaled to the spread of the
    latents; the last layers as the terms of a Gaussian in the codewords in units of their codebook's spread,
    and as the logarithms of relative frequencies.

    Returns:
        The network, and for each codebook the index at each place of its groups. # (C, K)
    """
    books = torch.stack([book.all_codewords() for q in codec.quantizer.quantizers for book in q.stages])
    c, size = config.codebooks, config.size
    order = torch.stack([group_codewords(book, config.groups) for book in books])
    places = order.argsort(1).numpy()
    books = books.gather(1, order[:, :, None].expand(-1, -1, books.shape[-1]))
    indices = torch.from_numpy(reorder(sample.indices, places))
    used = torch.from_numpy(sample.masks).float()
    used = F.pad(used, (1, 0), value=1.0).repeat_interleave(c // (config.experts + 1), 1)
    latents = sum(
        (F.embedding(indices[:, i], books[i]) * used[:, i, None, None] for i in range(c)),
        start=torch.zeros(()),
    ).flatten(0, 1)  # (N * T, D)
    mean = latents.mean(0)
    axes = torch.linalg.eigh((latents - mean).T @ (latents - mean)).eigenvectors.flip(1).T[: config.embedding]
    spread = ((latents - mean) @ axes.T).std(0)
    spread = spread.clamp(min=1e-2 * float(spread.max()))  # latents may lie in fewer dimensions
    coordinates = books @ axes.T / spread  # (C, K, E')
    e = coordinates.shape[-1]
    network = IndexNetwork(config)
    centred = coordinates.clone()
    centred[0] -= (mean @ axes.T) / spread  # the first codebook holds the mean
    network.embedding[..., :e] = 0.5 * centred
    network.previous[..., :e] = 0.5 * centred / centred.std((1, 2), keepdim=True).clamp(min=0.1)
    network.preceding.copy_(network.previous)
    whitened = centred - centred.mean(1, keepdim=True)
    whitened = whitened / whitened.std(1, keepdim=True).clamp(min=1e-3)
    geometry = _terms(whitened, config.features)
    dimensions = geometry.shape[-1]
    network.member_weight[..., :dimensions] = 0.1 * geometry
    by_group = geometry.view(c, config.groups, config.members, dimensions).mean(2)
    network.group_weight[..., :dimensions] = 0.1 * by_group
    per_quantizer = c // (config.experts + 1)
    ranks = F.pad(used[:, ::per_quantizer].cumsum(1)[:, :-1] - 1, (1, 0)).clamp(min=0)  # (N, Nr + 1)
    for i in range(c):
        rows = used[:, i] > 0
        whole = torch.bincount(indices[rows, i].flatten(), minlength=size) + 0.3
        for rank in range(config.ranks):
            chosen = rows & (ranks[:, i // per_quantizer] == rank)
            frequency = (
                torch.bincount(indices[chosen, i].flatten(), minlength=size) + 500 * whole / whole.sum()
            )
            network.member_bias[i, rank] = (frequency.log2() - frequency.log2().mean()) / LOGIT_GAIN
            of_groups = frequency.view(config.groups, -1).sum(1).log2()
            network.group_bias[i, rank] = (of_groups - of_groups.mean()) / LOGIT_GAIN
    return network, order.numpy()


def _terms(coordinates: Tensor, limit: int) -> Tensor:
    """Coordinates, their squares, and products of the first eight: terms of the logarithm of a Gaussian.

    Args:
        coordinates: Of codewords, each with mean 0 and deviation 1 over a codebook. # (C, K, E)
        limit: Greatest number of terms.

    Returns:
        Terms with mean 0. # (C, K, n)
    """
    e = coordinates.shape[-1]
    pairs = torch.combinations(torch.arange(min(8, e)))
    products = coordinates[..., pairs[:, 0]] * coordinates[..., pairs[:, 1]]
    squares = coordinates.square() / 2**0.5
    terms = torch.cat([coordinates, squares, products], -1)[..., :limit]
    return terms - terms.mean(1, keepdim=True)


def reorder(indices: npt.NDArray[np.int16], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Indices (N, C, T) as places in the groups of their codebooks."""
    return np.stack([places[i][indices[:, i]] for i in range(len(places))], 1)


@dataclass(frozen=True)
class TrainingOptions:
    """Of a run of `train`."""

    minutes: float = 25.0
    batch: int = 24  # windows
    learning_rate: float = 1.5e-3  # of matrices
    decay_from: float = 0.2  # share of the time after which the learning rate falls linearly
    quantized_from: float = 0.65  # share of the time after which rounding is simulated


def batches(windows: CodedWindows, size: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Numbers of random windows; those with few experts come more often, as they do in use."""
    generator = np.random.default_rng(seed)
    chances = 1.0 / (2 + windows.masks.sum(1))
    chances /= chances.sum()
    while True:
        chosen = generator.choice(len(windows), size * 1000, p=chances)
        yield from chosen.reshape(-1, size)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a learning rate of their own, as a share of that of the matrices."""

    parameters: list[nn.Parameter]
    share: float
    decay: float = 0.0


def parameter_groups(network: IndexNetwork) -> list[ParameterGroup]:
    """Parameters by kind.

    The last layers are scaled by LOGIT_GAIN, and a row of theirs has a gradient only where its index occurs,
    so they take small steps.
    """
    last = ("group_weight", "member_weight")
    named = dict(network.named_parameters())
    return [
        ParameterGroup([p for name, p in named.items() if name not in last + TABLES], 1.0, 0.02),
        ParameterGroup([named[name] for name in TABLES], 0.5, 0.1),
        ParameterGroup([named[name] for name in last], 0.2, 0.5),
    ]


def train(
    network: IndexNetwork,
    windows: CodedWindows,
    places: npt.NDArray[np.int64],
    options: TrainingOptions,
    report: Callable[[str], None] = print,
) -> None:
    """Train for a time budget.

    Products are calculated in bfloat16, which holds the integers of weights and activations exactly.

    Args:
        network: Changed in place; in the end it simulates rounding.
        windows: Of the training set.
        places: Place of each index in the groups of its codebook. # (C, K)
        options: The time and the schedule.
        report: Called with lines of progress.
    """
    optimizer = torch.optim.AdamW(
        [
            {"params": group.parameters, "lr": 0.0, "share": group.share, "weight_decay": group.decay}
            for group in parameter_groups(network)
        ],
        betas=(0.9, 0.99),
        eps=1e-10,
        fused=True,
    )
    network.train()
    start, mean, count, step = time.monotonic(), 0.0, 0, 0
    for rows in batches(windows, options.batch, 0):
        done = (time.monotonic() - start) / 60 / options.minutes
        if done >= 1:
            break
        rate = min(1.0, (step + 1) / 100) * max(
            0.02, min(1.0, (1 - done) / max(1e-3, 1 - options.decay_from))
        )
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * rate * group["share"]
        network.quantized = done >= options.quantized_from
        masks = torch.from_numpy(windows.masks[rows]).float()
        indices = torch.from_numpy(reorder(windows.indices[rows], places))
        with torch.autocast("cpu", torch.bfloat16):
            bits, _, _ = network(masks, indices)
        loss = bits.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        mean, count, step = mean + loss.item(), count + 1, step + 1
        if step % 100 == 0:
            report(
                f"{(time.monotonic() - start) / 60:.1f} min, step {step}: {mean / count:.3f} bits per index, "
                f"{step * options.batch / len(windows):.2f} epochs"
            )
            mean, count = 0.0, 0
    network.quantized = True
    network.eval()


@torch.no_grad()
def export(network: IndexNetwork, order: npt.NDArray[np.int64]) -> IndexModelTensors:
    """The integers of a trained network.

    Raises:
        WeightsError: A sum of products could reach 2^24.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {"order": order.astype(np.int32)}
    for name, value in network.named_parameters():
        bits = _fraction_bits(name)
        scaled = (value.double() * 2**bits + 0.5).floor()
        if bits == BIAS_BITS:
            arrays[name] = scaled.to(torch.int32).numpy()
        else:
            arrays[name] = scaled.clamp(-127, 127).to(torch.int8).numpy()
    return IndexModelTensors.from_arrays(arrays)


@torch.no_grad()
def restore(tensors: IndexModelTensors) -> IndexNetwork:
    """The network of exported integers, to go on training."""
    config = IndexModelConfig(
        codebooks=tensors.codebooks,
        size=tensors.size,
        experts=tensors.experts,
        embedding=tensors.embedding.shape[-1],
        width=len(tensors.input_bias),
        hidden=tensors.hidden,
        features=len(tensors.feature_weight),
    )
    network = IndexNetwork(config)
    for name, value in network.named_parameters():
        value.copy_(torch.from_numpy(getattr(tensors, name)) * 2.0 ** -_fraction_bits(name))
    return network


def _fraction_bits(name: str) -> int:
    """Fractional bits of a parameter's integers."""
    if name.endswith("_weight"):
        return WEIGHT_BITS
    return ACTIVATION_BITS if name in TABLES else BIAS_BITS


def save(tensors: IndexModelTensors, path: Path) -> None:
    """Write the integers to a safetensors file."""
    arrays = {field.name: getattr(tensors, field.name) for field in fields(tensors)}
    with atomic_output(path, force=True) as file:
        file.write(safetensors.numpy.save(arrays))


def train_index_model(
    weights: Path,
    audio: Path,
    output: Path,
    minutes: float,
    report: Callable[[str], None] = print,
) -> None:
    """Code a folder of audio with a codec's weights, train an index model on it and write both.

    The audio and its indices are kept in the user's cache folder. Indices of new weights take up to 40 % of
    the time.

    Args:
        weights: Of the codec. Its index model, if it has one, is trained further.
        audio: Folder of audio files.
        output: The weights file to write: that of the codec with the trained model.
        minutes: Time for all of it, decoding of audio files excluded.
        report: Called with lines of progress.
    """
    start = time.monotonic()
    codec, fingerprint, provenance = load_weights(weights)
    pool = default_cache(audio, codec.config.sample_rate)
    if not (pool / "pool.json").exists():
        build_pool(audio, pool, codec.config.sample_rate, report=report)
        start = time.monotonic()
    folder = pool / f"indices_{fingerprint.hex()}"
    extract_indices(codec, pool, folder, minutes * 0.4, report=report)
    windows = concatenate(list(index_files(folder)))
    quantizer = codec.config.quantizer
    config = IndexModelConfig(
        codebooks=quantizer.codebooks * (quantizer.experts + 1),
        size=quantizer.codebook_size,
        experts=quantizer.experts,
    )
    if codec.index_tensors is None:
        sample = CodedWindows(windows.masks[:4000], windows.indices[:4000])
        network, order = initial_network(codec, config, sample)
    else:
        network, order = restore(codec.index_tensors), codec.index_tensors.order.astype(np.int64)
    left = minutes - (time.monotonic() - start) / 60
    train(network, windows, order.argsort(1), TrainingOptions(minutes=left), report)
    codec.index_tensors = export(network, order)
    save_weights(output, codec, provenance)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train an index model.")
    parser.add_argument("weights", type=Path, help="weights of the codec")
    parser.add_argument("audio", type=Path, help="folder of audio files")
    parser.add_argument("output", type=Path, help="weights file to write")
    parser.add_argument("--minutes", type=float, default=25.0)
    options = parser.parse_args()
    train_index_model(options.weights, options.audio, options.output, options.minutes)


if __name__ == "__main__":
    main()
