"""Errors of the container format."""

from __future__ import annotations

from ..errors import BadInputError


class TruncatedError(BadInputError):
    """The stream ends before the end of its trailer."""


class PacketDamage(Exception):
    """The content of a packet breaks a rule of the format; the message says which one."""
