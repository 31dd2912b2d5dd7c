"""Errors of the container beyond those of the package."""

from __future__ import annotations

from ..errors import BadInputError


class TruncatedError(BadInputError):
    """The stream ends before its trailer; ``windows`` windows came before."""

    def __init__(self, message: str, windows: int) -> None:
        super().__init__(message)
        self.windows = windows
