"""Creates the golden files.

    python tests/golden/make.py                 all files
    python tests/golden/make.py --train dac     the weights of one backbone, and all streams and audio
    python tests/golden/make.py --keep-weights  streams of the newest version of the format, and all audio

`test_golden.py` compares later versions with the stored files. Create them again only if the meaning of
weights or streams changes on purpose:

- a change of the encoder's search: streams and audio (`--keep-weights`);
- a change of the decoder: audio (`--keep-weights`; the streams do not change);
- new tensors or configuration fields: everything. The streams of older versions of the format then need the
  old weights; they must be kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from golden import (
    CASES,
    FOLDER,
    MODELS,
    NEWEST,
    VERSIONS,
    Case,
    describe,
    encode,
    packets,
    recording,
    voice,
)

from switchcodec_cli.api import Codec
from switchcodec_cli.model.quantizer.codebook import FullCodebook
from switchcodec_cli.training.config import (
    CodebookConfig,
    DataConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
)
from switchcodec_cli.training.data import build_pool
from switchcodec_cli.training.trainer import Trainer

STEPS = {"spectral": 900, "dac": 300}


def write_audio(folder: Path, rate: int) -> None:
    """Training audio of all kinds."""
    for number in range(12):
        kind = ("speech", "music", "sound")[number % 3]
        audio = voice(6 * rate, rate, seed=10 + number)
        (folder / kind).mkdir(exist_ok=True)
        soundfile.write(folder / kind / f"{number}.wav", audio, rate)


def train(name: str) -> None:
    """Trains the weights of one backbone."""
    model = MODELS[name]
    spectral = name == "spectral"
    config = TrainingConfig(
        model=model,
        data=DataConfig(segment_frames=20 if spectral else 40, batch_size=8, speed_eq_probability=0.2),
        loss=LossConfig(mel_bands=(20, 40), commitment_weight=1.0 if spectral else 0.25),
        optimizer=OptimizerConfig(learning_rate=3e-3 if spectral else 5e-4, warmup_steps=20, ema_decay=0.98),
        codebook=CodebookConfig(
            unquantized_share=0.2, replace_dead_every=40, router_bias_step=1e-3 if spectral else 5e-3
        ),
    )
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "audio").mkdir()
        write_audio(root / "audio", model.sample_rate)
        build_pool(root / "audio", root / "pool", model.sample_rate, workers=1)
        trainer = Trainer(config, root / "pool", root / "run", compiled=False)
        made = trainer.train(steps=STEPS[name])
        (FOLDER / f"{name}.safetensors").write_bytes(made.read_bytes())
        print(name, "load", trainer.codebooks.load.tolist(), "perplexity", trainer.codebooks.perplexities())


def margin(codec: Codec, audio: np.ndarray) -> float:
    """Smallest relative distance between the nearest and the second nearest codeword of full codebooks."""
    least = np.inf
    model = codec.model
    with torch.inference_mode():
        length = len(audio) // model.hop * model.hop
        z = model.backbone.encode(torch.from_numpy(audio[:length].T.copy()))
        for quantizer in model.quantizer.quantizers:
            for codebook in quantizer.codebooks:
                if isinstance(codebook, FullCodebook):
                    words = codebook.codewords
                    distances = words.square().sum(-1) - 2 * (z @ words.mT)  # less |z|^2, which is common
                    nearest = distances.topk(2, largest=False).values
                    least = min(
                        least, float((nearest[..., 1] - nearest[..., 0]).min() / z.square().sum(-1).mean())
                    )
                    z = z - codebook.lookup(codebook.nearest(z))
    return least


def write_decoded(codec: Codec, case: Case, version: str) -> None:
    """Writes the audio of a stored stream; none where that of version 1.0 has the same packets."""
    data = case.stream(version).read_bytes()
    path = VERSIONS[version] / f"{case.name}.flac"
    if version != "1.0" and packets(data) == packets(case.stream("1.0").read_bytes()):
        path.unlink(missing_ok=True)
        return
    decoded, rate = codec.decode(data)
    soundfile.write(path, np.clip(decoded, -1, 1), rate, subtype="PCM_16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", choices=list(MODELS), help="train the weights of this backbone only")
    parser.add_argument("--keep-weights", action="store_true", help="create only streams and audio")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.keep_weights:
        for name in [arguments.train] if arguments.train else MODELS:
            train(name)
    codecs = {name: Codec.load(FOLDER / f"{name}.safetensors", device="cpu") for name in MODELS}
    content = {}
    VERSIONS[NEWEST].mkdir(exist_ok=True)
    for case in CASES:
        codec, audio = codecs[case.model], recording(case)
        stream = case.stream(NEWEST)
        stream.write_bytes(encode(codec, case))
        content[case.name] = {
            "sha256": hashlib.sha256(stream.read_bytes()).hexdigest(),
            **describe(stream),
        }
        for version in VERSIONS:
            write_decoded(codec, case, version)
        if case.rate == codec.sample_rate:
            print(f"{case.name}: smallest margin of a decision {margin(codec, audio):.2g}")
    (VERSIONS[NEWEST] / "expected.json").write_text(
        json.dumps(content, separators=(",", ":")).replace('},{"frames"', '},\n{"frames"') + "\n"
    )
    print(sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()), "bytes in all")


if __name__ == "__main__":
    main()
