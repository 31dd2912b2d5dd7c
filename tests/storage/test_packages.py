"""What is imported for which paths, and what is said when it is not installed."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STREAM = ROOT / "tests" / "golden" / "spectral_mono_2.swc"
PROGRAM = """
import sys
from switchcodec_cli.audio import AudioReader, AudioWriter
from switchcodec_cli.cli import cli
cli.main(["verify", sys.argv[1]], standalone_mode=False)
with AudioWriter("a.wav", 8000, 1) as writer:
    writer.write([0.0])
AudioReader("a.wav").read()
print(sorted({"fsspec", "s3fs", "paramiko", "aiohttp", "torch", "ray"} & sys.modules.keys()))
"""


def test_local_paths_import_no_package_for_others():
    command = [sys.executable, "-c", PROGRAM, STREAM]
    result = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


@pytest.mark.parametrize(
    ("url", "package", "install"),
    [
        ("s3://bucket/a.swc", "s3fs", "'switchcodec-cli[remote]'"),
        ("sftp://host/a.swc", "paramiko", "'switchcodec-cli[remote]'"),
        ("https://host/a.swc", "aiohttp", "'switchcodec-cli[remote]'"),
        ("gs://bucket/a.swc", "gcsfs", "gcsfs"),
        ("az://container/a.swc", "adlfs", "adlfs"),
    ],
)
def test_a_missing_package_is_named(swc, monkeypatch, url, package, install):
    pytest.importorskip("fsspec", reason="needs fsspec, of the extra remote")
    monkeypatch.setitem(sys.modules, package, None)
    for module in (
        "fsspec.implementations.http",
        "fsspec.implementations.sftp",
        "switchcodec_cli.storage.sftp",
    ):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, url.partition(":")[0], raising=False)
    error = swc("verify", url, code=2).err
    assert f"needs the package {package}: pip install {install}" in error
