"""Stored weights, streams and audio fix the behaviour of model, router, masks and container.

`make.py` says when they may be created again.
"""

import hashlib
import io
from itertools import combinations
from math import comb

import numpy as np
import pytest
import soundfile
import torch
from golden import (
    CASES,
    FOLDER,
    MODELS,
    NEWEST,
    REQUEST,
    VERSIONS,
    describe,
    encode,
    expected,
    packets,
    ratio_db,
    recording,
    source_digest,
)
from tiny_codecs import latents_of

from switchcodec_cli.api import Codec
from switchcodec_cli.bitstream import BlockKind, StreamReader, verify
from switchcodec_cli.model.weights import load_weights

MIN_RATIO = 40.0  # dB, relative to audio stored with 16 bits


@pytest.fixture(scope="module")
def codecs():
    return {name: Codec.load(FOLDER / f"{name}.safetensors", device="cpu") for name in MODELS}


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.mark.parametrize("name", MODELS)
def test_weights_load(name):
    model, fingerprint, provenance = load_weights(FOLDER / f"{name}.safetensors")
    assert model.config == MODELS[name]
    stored = {expected()[case.name]["fingerprint"] for case in CASES if case.model == name}
    assert stored == {fingerprint.hex()}
    assert [run["steps"] for run in provenance["history"]]


def test_files_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 900_000


def test_streams_parse_to_stored_masks_and_indices(case, version):
    path = case.stream(version)
    stored = expected(version)[case.name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stored.pop("sha256")
    assert describe(path) == stored
    with path.open("rb") as file:
        assert verify(file).ok


def test_versions_and_additions(case, version):
    with case.stream(version).open("rb") as file:
        reader = StreamReader(file)
    assert reader.trailer is not None
    assert f"1.{reader.header.minor}" == version
    additions = (reader.trailer.source, reader.trailer.request)
    assert additions == ((None, None) if version == "1.0" else (source_digest(recording(case)), REQUEST))


def test_encoder_produces_stored_packets(case, codecs):
    data = encode(codecs[case.model], case)
    assert packets(data) == packets(case.stream(NEWEST).read_bytes())
    assert StreamReader(io.BytesIO(data)).header.minor == 1


def test_decoder_produces_stored_audio(case, version, codecs):
    audio, rate = codecs[case.model].decode(case.stream(version).read_bytes())
    reference, stored_rate = soundfile.read(case.audio(version), dtype="float32")
    assert rate == stored_rate == case.rate
    assert audio.shape == reference.shape == recording(case).squeeze().shape
    assert ratio_db(np.clip(audio, -1, 1), reference) > MIN_RATIO


def test_ranks_are_in_colexicographic_order(case):
    """By enumeration of all masks, without the formula."""
    experts = MODELS[case.model].quantizer.experts
    for block in expected()[case.name]["blocks"]:
        if block["kind"] == "coded":
            chosen = len(block["experts"])
            masks = sorted(combinations(range(experts), chosen), key=lambda mask: mask[::-1])
            assert len(masks) == comb(experts, chosen)
            assert masks[block["rank"]] == tuple(block["experts"])


@pytest.mark.parametrize("name", ["spectral_mono_2", "dac_mono_3"])
def test_masks_are_the_experts_of_highest_affinity(name, codecs):
    """Computed with the equations of the SwitchCodec paper."""
    case = next(case for case in CASES if case.name == name)
    codec = codecs[case.model]
    model, size = codec.model, codec.parameters.frames_per_window
    z = latents_of(codec, recording(case)[:, 0])
    router = model.quantizer.router
    with torch.inference_mode():
        for number, block in enumerate(expected()[name]["blocks"]):
            window = z[number * size : (number + 1) * size]
            affinity = torch.sigmoid(window @ router.weight.T).mean(0) + router.bias
            best = affinity.topk(case.experts).indices.sort().values
            assert best.tolist() == block["experts"]


def test_indices_are_those_of_the_nearest_codewords(codecs):
    """One window of full codebooks; each quantizer codes the residual of those before it."""
    case = next(case for case in CASES if case.name == "spectral_mono_2")
    codec = codecs["spectral"]
    size = codec.parameters.frames_per_window
    z = latents_of(codec, recording(case)[:, 0])[size : 2 * size].double()
    block = expected()[case.name]["blocks"][1]
    assert block["experts"] == sorted(block["experts"])
    quantizers = codec.model.quantizer.quantizers
    for place, number in enumerate([0, *(expert + 1 for expert in block["experts"])]):
        for stage, codebook in enumerate(quantizers[number].codebooks):
            words = codebook.codewords.double()
            index = torch.cdist(z, words, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
            assert index.tolist() == block["indices"][place][stage]
            z = z - words[index]


def test_all_experts_are_used():
    for name, config in MODELS.items():
        used = {
            expert
            for case in CASES
            if case.model == name
            for block in expected()[case.name]["blocks"]
            if block["kind"] == "coded" and len(block["experts"]) < config.quantizer.experts
            for expert in block["experts"]
        }
        assert used == set(range(config.quantizer.experts)), name


def test_kinds_of_silent_and_equal_channels():
    kinds = {"copy": 0, "silent": 0, "coded": 0}
    with (FOLDER / "spectral_stereo_3.swc").open("rb") as file:
        for window in StreamReader(file).windows():
            for block in window.blocks:
                kinds[block.kind.value] += 1
            if window.blocks[1].kind is BlockKind.COPY:
                assert len(window.blocks[0].experts) >= 6  # the first signal gets the bits of both
    assert min(kinds.values()) > 0
