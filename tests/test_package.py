"""The exports of the package."""

import subprocess
import sys
from pathlib import Path

import pytest

import switchcodec_cli


def test_exports():
    for name in switchcodec_cli.__all__:
        assert name in dir(switchcodec_cli)
        assert getattr(switchcodec_cli, name) is not None
    assert issubclass(switchcodec_cli.WeightsError, switchcodec_cli.SwcError)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = switchcodec_cli.nothing


def test_everything_that_a_stream_encoder_needs_is_exported():
    assert {"Codec", "EncoderSettings", "SourceFormat", "SwcError"} <= set(switchcodec_cli.__all__)


def test_import_is_lazy():
    program = "import sys, switchcodec_cli; print('torch' in sys.modules, 'numpy' in sys.modules)"
    folder = Path(__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)
    assert result.stdout == "False False\n", result.stderr
