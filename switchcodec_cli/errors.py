"""Errors that a user can cause, each with the exit code the command line returns for it."""


class SwcError(Exception):
    """Base of every error with a one-line message meant for the user."""

    exit_code = 1


class UsageError(SwcError):
    """The request itself makes no sense (an impossible rate, contradicting options)."""

    exit_code = 2


class BadInputError(SwcError):
    """An input file is unreadable, malformed, damaged or truncated."""

    exit_code = 3


class WeightsError(SwcError):
    """Weights are missing, malformed, or not the ones a stream was made with."""

    exit_code = 4


class DeviceError(SwcError):
    """The requested compute device is not available."""

    exit_code = 5
