"""SwitchCodec, a neural audio codec with residual experts vector quantization.

`Codec` encodes and decodes audio. `EncoderSettings` sets the rate and the effort of an encoder, and
`SourceFormat` describes the audio for it. `Tokens` are what a stream says, as arrays. All errors are
subclasses of `SwcError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import BadInputError, DeviceError, SwcError, UsageError, WeightsError

if TYPE_CHECKING:
    from .api import Codec
    from .encoder.settings import EncoderSettings, SourceFormat
    from .tokens import Tokens

__version__ = "0.1.0"
__all__ = [
    "BadInputError",
    "Codec",
    "DeviceError",
    "EncoderSettings",
    "SourceFormat",
    "SwcError",
    "Tokens",
    "UsageError",
    "WeightsError",
    "__version__",
]

# Imported on first use, since they import torch and numpy, which `swc --help` does not need.
_LAZY_EXPORTS = {
    "Codec": ".api",
    "EncoderSettings": ".encoder.settings",
    "SourceFormat": ".encoder.settings",
    "Tokens": ".tokens",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY_EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY_EXPORTS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
