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
    for kind, cbr in (("plain", True), ("modelled", False)):
        if cbr or codec.has_index_model:
            data = codec.encode(audio, rate, kbps=2.67, effort=0, cbr=cbr)
            (FOLDER / f"{name}_{kind}.swc").write_bytes(data)
            decoded, _ = codec.decode(data)
            soundfile.write(FOLDER / f"{name}_{kind}.flac", decoded, rate)


if __name__ == "__main__":
    main(sys.argv[1])
