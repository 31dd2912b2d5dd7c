"""Choice of the compute device."""

from __future__ import annotations

import os

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


def adapt_to_fork(device: torch.device, process: int) -> None:
    """Make a model usable in a process that was forked from the one that loaded it.

    The threads of OpenMP do not survive a fork, and a forked process would wait for them forever; with one
    thread it needs none.

    Args:
        device: Where the model is.
        process: Identifier of the process that loaded it.

    Raises:
        DeviceError: This is another process, and the model is on a CUDA device.
    """
    if os.getpid() == process:
        return
    if device.type == "cuda":
        raise DeviceError(
            "a codec on a CUDA device cannot be used in a forked process; load it there, "
            "or start processes with multiprocessing's method 'spawn'"
        )
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
