"""Locations of weights files: the packaged ones by name, others by path. Does not import torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError

DEFAULT_NAME = "default"


def weights_folder() -> Path:
    """The folder of the packaged weights: in the package if installed, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


def packaged_weights() -> dict[str, Path]:
    """Paths of the packaged weights by name."""
    return {path.stem: path for path in sorted(weights_folder().glob("*.safetensors"))}


def find_weights(name: str | Path | None = None) -> Path:
    """The path of a weights file.

    Args:
        name: name of packaged weights or path of a file; None for the default weights.

    Raises:
        WeightsError: there is no such file.
    """
    packaged = packaged_weights()
    chosen = DEFAULT_NAME if name is None else str(name)
    if chosen in packaged:
        return packaged[chosen]
    if name is None:
        raise WeightsError(f"no weights in {weights_folder()}: the installation is incomplete")
    path = Path(name)
    if not path.is_file():
        names = ", ".join(packaged) or "none"
        raise WeightsError(f"{path}: no such weights file; packaged weights: {names}")
    return path


def find_weights_of(fingerprint: bytes) -> Path:
    """The path of the packaged weights with a fingerprint.

    Raises:
        WeightsError: There are none, or a file is unreadable; the message lists the packaged weights.
    """
    from .weights_info import read_weights

    names = []
    for name, path in packaged_weights().items():
        found = read_weights(path).info.fingerprint
        if found == fingerprint:
            return path
        names.append(f"{name} ({found.hex()[:12]})")
    raise WeightsError(
        f"the stream was encoded with weights {fingerprint.hex()[:12]}; "
        f"packaged weights: {', '.join(names) or 'none'}; give others by name or path"
    )
