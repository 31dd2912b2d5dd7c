"""SwitchCodec: a neural audio codec with residual expert vector quantization."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Codec", "EncoderSettings", "__version__"]

if TYPE_CHECKING:
    from .api import Codec, EncoderSettings


def __getattr__(name: str):
    # Lazy, so that `swc --help` and `swc info` never pay for importing torch.
    if name in ("Codec", "EncoderSettings"):
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
