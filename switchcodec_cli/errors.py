"""Errors with a message of one line for the user, each with the exit code of the command line."""


class SwcError(Exception):
    """Base class of all errors that are reported to the user without a traceback."""

    exit_code = 1


class UsageError(SwcError):
    """The request cannot be met: an unattainable rate, conflicting options, an existing output file."""

    exit_code = 2


class BadInputError(SwcError):
    """An input file is unreadable, malformed, damaged or truncated."""

    exit_code = 3


class WeightsError(SwcError):
    """Weights are missing or malformed, or the stream was encoded with other weights."""

    exit_code = 4


class DeviceError(SwcError):
    """The requested compute device is not available."""

    exit_code = 5
