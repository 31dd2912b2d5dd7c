"""Choice of the compute device."""

from __future__ import annotations

import torch

from ..errors import DeviceError, UsageError


def choose_device(name: str) -> torch.device:
    """The device called `name`: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: The name is none of these.
        DeviceError: There is no such CUDA device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(f"device {name} is not available ({count} CUDA devices found)")
    return device
