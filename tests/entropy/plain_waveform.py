"""Waveform layers in plain Python: a slow reader of Section 15 of the specification."""

from __future__ import annotations

from plain_index_model import Damage, PlainDecoder, add, clamp, product, symbol


def expected_sizes(tensors: dict[str, list], mask: list[int], indices: list[list[int]]) -> list[list[int]]:
    """Expected sizes of the coefficients of a block, by frame and bin.

    Args:
        tensors: Of the model.
        mask: The block's experts, ascending.
        indices: By codebook and frame.
    """
    quantizers = [0, *(1 + expert for expert in mask)]
    per_quantizer = len(indices) // len(quantizers)
    codebooks = [q * per_quantizer + s for q in quantizers for s in range(per_quantizer)]
    embedding, width = tensors["embedding"], len(tensors["embedding"][0][0])
    frames = len(indices[0])
    vectors = []
    for frame in range(frames):
        sums = add(*(embedding[c][row[frame]] for c, row in zip(codebooks, indices, strict=True)))
        vectors.append([clamp((x + 8) >> 4, -127, 127) for x in sums])
    reach = (len(tensors["hidden1_weight"][0]) // width - 1) // 2
    sizes = []
    for frame in range(frames):
        x: list[int] = []
        for near in range(frame - reach, frame + reach + 1):
            x += vectors[near] if 0 <= near < frames else [0] * width
        for layer in ("hidden1", "hidden2", "output"):
            sums = add(product(tensors[f"{layer}_weight"], x), tensors[f"{layer}_bias"])
            x = [clamp(value >> 7, 0, 255 if layer == "output" else 127) for value in sums]
        sizes.append(x)
    return sizes


def decode_layer(
    tensors: dict[str, list], mask: list[int], indices: list[list[int]], layer: bytes
) -> tuple[list[list[int]], list[list[float]]]:
    """The coefficients of a block, by frame and bin: as integers, and in units of full scale.

    Args:
        tensors: Of the model.
        mask: The block's experts, ascending.
        indices: By codebook and frame.
        layer: The layer's bytes.
    """
    step = layer[0]
    if not 1 <= step <= 127:
        raise Damage("the step is out of range")
    decoder = PlainDecoder(layer[1:])
    last, largest = len(tensors["frequencies"]) - 1, len(tensors["levels"][0]) - 1
    integers, values = [], []
    for row in expected_sizes(tensors, mask, indices):
        integers.append([0] * len(row))
        values.append([0.0] * len(row))
        for b, (size, offset) in enumerate(zip(row, tensors["offset"], strict=True)):
            c = size - step - offset
            if c < 0:
                continue
            found = tensors["frequencies"][min(c, last)]
            number, start = symbol(found, decoder.slot())
            decoder.advance(start, found[number])
            q = number - largest
            level = tensors["levels"][min(c, last)][abs(q)]
            integers[-1][b] = q
            values[-1][b] = (1 if q > 0 else -1) * level * 2 ** ((step + offset + max(0, c - last) - 64) / 4)
    if decoder.tail():
        raise Damage("the last coefficient is followed by bits that are not zero")
    return integers, values
