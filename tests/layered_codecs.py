"""Codecs whose weights have random index and waveform models, and their streams with random layers."""

from __future__ import annotations

import copy
from functools import lru_cache

import tiny_codecs
from layered_streams import stream_with_layers
from random_models import Sizes, random_tensors
from random_waveform_models import WaveformSizes, random_waveform_tensors

from switchcodec_cli import Codec


@lru_cache
def layered_codec(name: str) -> Codec:
    """The tiny codec with this backbone and random models."""
    model = copy.deepcopy(tiny_codecs.codec(name).model)
    quantizer = model.config.quantizer
    shape = quantizer.experts, quantizer.codebooks, quantizer.codebook_size
    model.index_tensors = random_tensors(Sizes(*shape, 4), 0)
    model.waveform_tensors = random_waveform_tensors(WaveformSizes(*shape, bins=16), 0)
    return Codec(model, bytes(range(16)))


def layered(codec: Codec, data: bytes, seed: int = 0) -> bytes:
    """A stream of such a codec with random waveform layers."""
    return stream_with_layers(data, codec.model.index_model, codec.model.waveform_model, seed)
