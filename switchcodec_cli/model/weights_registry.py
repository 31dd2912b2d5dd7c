"""Where weights files lie. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError

DEFAULT = "default"
FORMAT = "switchcodec-1"  # in the metadata of every weights file


def weights_folder() -> Path:
    """The folder of the packaged weights: inside an installed package, beside it in a source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def packaged_weights() -> dict[str, Path]:
    """Packaged weights by name."""
    return {path.stem: path for path in sorted(weights_folder().glob("*.safetensors"))}


def find_weights(name: str | Path | None = None) -> Path:
    """The packaged weights of this name, or those at this path; None: the default. Raises WeightsError."""
    packaged = packaged_weights()
    if name is None or str(name) in packaged:
        if path := packaged.get(str(name or DEFAULT)):
            return path
        raise WeightsError(f"no packaged weights in {weights_folder()}: the installation is incomplete")
    path = Path(name)
    if not path.is_file():
        known = ", ".join(packaged) or "none"
        raise WeightsError(f"{path}: no such weights file, nor packaged weights of that name ({known})")
    return path
