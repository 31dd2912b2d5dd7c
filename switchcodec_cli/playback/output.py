"""Sound devices, through PortAudio."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DeviceError, UsageError


class Output(Protocol):
    """Takes samples and plays them."""

    def start(self) -> None:
        """Begin, or go on after `stop` or `abort`."""

    def write(self, samples: npt.NDArray[np.float32]) -> None:
        """Play samples after those before; waits while the device has enough. # (n, channels)"""

    def stop(self) -> None:
        """Stop when all that was written has been played."""

    def abort(self) -> None:
        """Stop at once."""

    def close(self) -> None:
        """Give the device back."""


def open_output(sample_rate: int, channels: int, pipe: str) -> Output:
    """Open the default sound device.

    Args:
        sample_rate: In Hz.
        channels: 1 or 2.
        pipe: A command without this package that plays the same, for messages.

    Raises:
        UsageError: The package sounddevice is not installed.
        DeviceError: PortAudio or the device is not available.
    """
    try:
        import sounddevice
    except ImportError:
        raise UsageError(
            f"playing needs sounddevice: pip install 'switchcodec-cli[play]'; or without it: {pipe}"
        ) from None
    except OSError:  # the package is there, the library is not
        raise DeviceError(
            f"playing needs the library PortAudio (libportaudio2); or without it: {pipe}"
        ) from None
    try:
        stream = sounddevice.OutputStream(samplerate=sample_rate, channels=channels, dtype="float32")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeviceError(f"no sound device can be used ({_reason(error)}); without one: {pipe}") from None
    return _Device(stream, sounddevice.PortAudioError)


class _Device:
    """A stream of `sounddevice`."""

    def __init__(self, stream: Any, error: type[Exception]) -> None:
        self._stream, self._error = stream, error

    def start(self) -> None:
        """See `Output`."""
        if self._stream.stopped:
            self._call(self._stream.start)

    def write(self, samples: npt.NDArray[np.float32]) -> None:
        """See `Output`."""
        self._call(self._stream.write, np.ascontiguousarray(samples))

    def stop(self) -> None:
        """See `Output`."""
        if not self._stream.stopped:
            self._call(self._stream.stop)

    def abort(self) -> None:
        """See `Output`."""
        if not self._stream.stopped:
            self._call(self._stream.abort)

    def close(self) -> None:
        """See `Output`."""
        self._stream.close()

    def _call(self, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except self._error as error:
            raise DeviceError(f"the sound device failed ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """The message of PortAudio, without its error code."""
    return str(error.args[0]).split(" [PaErrorCode")[0] if error.args else type(error).__name__
