"""Playing of streams while they are decoded."""

from .output import Output, open_output
from .player import Player, Status
from .sources import AudioSource, Source, StreamSource

__all__ = ["AudioSource", "Output", "Player", "Source", "Status", "StreamSource", "open_output"]
