"""The golden files: model configurations, the recordings that were encoded, and the stored streams."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from switchcodec_cli import Codec, EncoderSettings, SourceFormat
from switchcodec_cli.bitstream import (
    BlockKind,
    DamagedWindow,
    DigestKind,
    EncodingRequest,
    SourceDigest,
    StreamReader,
    rank_of_mask,
)
from switchcodec_cli.encoder.settings import EffortPreset
from switchcodec_cli.model.config import DacConfig, ModelConfig, QuantizerConfig, SpectralConfig

FOLDER = Path(__file__).parent
# Streams of each version of the format. Those of older versions are never made again.
VERSIONS = {"1.0": FOLDER, "1.1": FOLDER / "version_1_1"}
NEWEST = "1.1"

MODELS = {
    "spectral": ModelConfig(
        backbone="spectral",
        sample_rate=16000,
        frames_per_window=20,
        latent_dimension=8,
        quantizer=QuantizerConfig(experts=8, codebook_size=16, codebooks=2, form="full"),
        spectral=SpectralConfig(
            window_length=512,
            hop_length=128,
            spectra_per_frame=2,
            floor=1e-3,
            width=24,
            encoder_blocks=1,
            decoder_blocks=1,
            expansion=2,
            kernel=3,
            phase_iterations=4,
        ),
    ),
    "dac": ModelConfig(
        backbone="dac",
        sample_rate=8000,
        frames_per_window=40,
        latent_dimension=16,
        quantizer=QuantizerConfig(
            experts=5, codebook_size=32, codebooks=1, form="factorised", code_dimension=4
        ),
        dac=DacConfig(encoder_width=4, decoder_width=32, strides=(2, 4, 8)),
    ),
}


@dataclass(frozen=True)
class Case:
    """One stored stream, encoded greedily."""

    name: str
    model: str
    rate: int
    channels: int
    experts: int  # per signal
    frames: int  # samples per channel

    def stream(self, version: str) -> Path:
        """The stored stream."""
        return VERSIONS[version] / f"{self.name}.swc"

    def audio(self, version: str) -> Path:
        """What the stream decodes to; stored with that of version 1.0 unless it differs."""
        own = VERSIONS[version] / f"{self.name}.flac"
        return own if own.exists() else FOLDER / own.name


CASES = (
    Case("spectral_mono_0", "spectral", 16000, 1, 0, 15999),
    Case("spectral_mono_2", "spectral", 16000, 1, 2, 15999),
    Case("spectral_mono_8", "spectral", 16000, 1, 8, 15999),
    Case("spectral_stereo_3", "spectral", 22050, 2, 3, 44100),
    Case("dac_mono_0", "dac", 8000, 1, 0, 8001),
    Case("dac_mono_3", "dac", 8000, 1, 3, 8001),
    Case("dac_stereo_5", "dac", 8000, 2, 5, 8001),
)


def noise(count: int, seed: int) -> np.ndarray:
    """Uniform noise in -1..1, computed with integers so that it is the same on all machines  # (count,)"""
    state = np.arange(count, dtype=np.uint64) + np.uint64(seed * 1_000_003 + 1)
    for multiplier in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        state = (state ^ (state >> np.uint64(29))) * np.uint64(multiplier)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def voice(frames: int, rate: int, seed: int = 0) -> np.ndarray:
    """Synthetic speech: harmonics of a varying pitch with moving formants, and noise between  # (frames,)"""
    time = np.arange(frames) / rate
    base = 110 + 23 * (seed % 7)
    pitch = base * (1 + 0.3 * np.sin(2 * np.pi * 0.9 * time + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = (
        500 + 250 * np.sin(2 * np.pi * 1.7 * time + seed),
        1500 + 600 * np.cos(2 * np.pi * 1.1 * time),
    )
    total = np.zeros(frames)
    for number in range(1, 25):
        frequency = number * pitch
        shape = sum(np.exp(-(((frequency - formant) / 200) ** 2)) for formant in formants)
        total += (shape + 0.02) * (frequency < 0.45 * rate) * np.sin(number * phase) / number**0.5
    syllables = np.clip(np.sin(2 * np.pi * 2.6 * time + seed), 0, 1)
    hiss = np.clip(-np.sin(2 * np.pi * 2.6 * time + seed + 0.4), 0, 1) ** 3
    return 0.25 * syllables * total + 0.06 * hiss * noise(frames, seed)


def recording(case: Case) -> np.ndarray:
    """The audio that was encoded  # (frames, channels) float32"""
    mono = voice(case.frames, case.rate, seed=3)
    if case.channels == 1:
        return mono.astype(np.float32)[:, None]
    audio = np.stack([mono, 0.5 * mono + 0.3 * voice(case.frames, case.rate, seed=5)], 1)
    part = case.frames // 4
    audio[:part, 1] = audio[:part, 0]  # equal channels: the second is a copy
    audio[part : 2 * part, 0] = 0  # one silent channel
    audio[2 * part : 3 * part] = 0  # both silent
    return audio.astype(np.float32)


def describe(path: Path) -> dict[str, object]:
    """The content of a stream as JSON types: all masks with their ranks, and all indices."""
    with path.open("rb") as file:
        reader = StreamReader(file)
        windows = list(reader.windows())
    rows = []
    for window in windows:
        assert not isinstance(window, DamagedWindow)
        for block in window.blocks:
            row: dict[str, object] = {"kind": block.kind.value}
            if block.kind is BlockKind.CODED:
                row |= {
                    "experts": list(block.experts),
                    "rank": rank_of_mask(block.experts),
                    "indices": block.indices.tolist(),  # (1 + k_r, codebooks, frames)
                }
            rows.append({"frames": window.frames, **row})
    return {"fingerprint": reader.header.fingerprint.hex(), "blocks": rows}


def source_digest(audio: np.ndarray) -> SourceDigest:
    """Digest of a recording, over its samples  # (frames, channels) float32"""
    samples = np.ascontiguousarray(audio, "<f4").tobytes()
    return SourceDigest(DigestKind.SAMPLES, hashlib.blake2b(samples, digest_size=16).digest())


class GreedySettings(EncoderSettings):
    """Greedy quantization with the router's masks, as of effort 0 when the streams were made."""

    @property
    def preset(self) -> EffortPreset:
        return EffortPreset()


def encode(codec: Codec, case: Case) -> bytes:
    """The recording of a case, encoded anew in the newest version of the format."""
    audio, file = recording(case), io.BytesIO()
    source = SourceFormat(case.rate, case.channels, total_samples=len(audio))
    with codec.encoder(file, source, GreedySettings(experts=case.experts, effort=0)) as encoder:
        encoder.write(audio)
    return file.getvalue()


def packets(data: bytes) -> list[bytes]:
    """The packets of a stream; in any minor version they are the same."""
    return [packet.data for packet in StreamReader(io.BytesIO(data)).packets()]


def expected(version: str = NEWEST) -> dict[str, dict]:
    """The stored content of each stream of a version by its name."""
    return json.loads((VERSIONS[version] / "expected.json").read_text())


REQUEST = EncodingRequest(effort=0)  # of all cases


def ratio_db(audio: np.ndarray, reference: np.ndarray) -> float:
    """Signal-to-noise ratio of audio relative to a reference."""
    error = np.square(audio.astype(np.float64) - reference).sum()
    return float(10 * np.log10(np.square(reference, dtype=np.float64).sum() / max(error, 1e-20)))
