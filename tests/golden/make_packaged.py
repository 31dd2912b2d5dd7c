"""Writes the stored streams of the packaged weights in `packaged/`.

python tests/golden/make_packaged.py NAME     (once, for new weights)

Streams of released weights are never made again: they must decode for ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile

from switchcodec_cli import Codec

FOLDER = Path(__file__).parent / "packaged"
EXCERPT = Path(__file__).parents[2] / "examples" / "speech.flac"


def main(name: str) -> None:
    """Encode and decode the excerpt with packaged weights."""
    audio, rate = soundfile.read(EXCERPT, dtype="float32", stop=60_000)
    codec = Codec.load(name, "cpu")
    kinds = {"plain": True, "modelled": codec.has_index_model, "layered": codec.has_waveform_model}
    for kind in (kind for kind, present in kinds.items() if present):
        kbps = 5.33 if kind == "layered" else 2.67
        data = codec.encode(audio, rate, kbps=kbps, effort=0, cbr=kind == "plain")
        (FOLDER / f"{name}_{kind}.swc").write_bytes(data)
        decoded, _ = codec.decode(data)
        soundfile.write(FOLDER / f"{name}_{kind}.flac", decoded, rate)


if __name__ == "__main__":
    main(sys.argv[1])
