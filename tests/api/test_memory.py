"""Memory does not grow with the length of a recording."""

import json
import subprocess
import sys
from pathlib import Path

CHILD = """
import json, resource, sys
import numpy as np
import torch

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

peaks = [peak()]
from switchcodec_cli.encoder import EncoderSettings, SourceFormat
from tiny_codecs import audio, codec

folder, name, minutes = sys.argv[1], sys.argv[2], [float(x) for x in sys.argv[3:]]
this = codec(name)
second = audio(24000, 2, 24000)
for length in minutes:
    seconds = round(60 * length)
    with open(folder + "/stream.swc", "wb") as file:
        encoder = this.encoder(file, SourceFormat(24000, 2), EncoderSettings(experts=2, effort=0))
        for _ in range(seconds):
            encoder.write(second)
        encoder.close()
    with open(folder + "/stream.swc", "rb") as file:
        heard = sum(len(block) for block in this.decoder(file).blocks())
    assert heard == seconds * 24000
    peaks.append(peak())
print(json.dumps(peaks))
"""


def test_memory_is_flat_both_ways(tmp_path):
    """Eight times the length in the same memory (an hour more of samples and latents would show at once)."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), "spectral", "0.5", "4"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={
            "PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}",
            "OMP_NUM_THREADS": "1",
            "PATH": "/usr/bin:/bin",
        },
    )
    assert done.returncode == 0, done.stderr
    torch_alone, short, long = json.loads(done.stdout)
    # 3.5 minutes of stereo at 24 kHz are 40 MB as float32
    assert long - short < 20
    # a torch that was built for CUDA takes several times as much as another one
    assert long - torch_alone < 700
