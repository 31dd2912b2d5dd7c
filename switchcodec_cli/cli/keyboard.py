"""Single keys from the terminal."""

from __future__ import annotations

import os
import re
import select
import sys
from types import TracebackType

_ARROWS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
_CHARACTERS = {b" ": "space", b"\t": "tab", b"q": "q"}
_SEQUENCE = re.compile(rb"\x1b[\[O](?:[0-9;]*)([A-D])|\x1b[\[O][0-9;]*[~A-Za-z]|(.)", re.DOTALL)
_UNFINISHED = re.compile(rb"\x1b(?:[\[O][0-9;]*)?$")


class Keyboard:
    """Reads keys as they are pressed, while it is used as a context manager.

    Echo and the editing of lines are switched off; Ctrl-C still interrupts. The terminal's settings come back
    when the context ends, however it ends. If standard input is not a terminal, there are no keys.
    """

    def __init__(self) -> None:
        self.is_available = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
        self._pending = b""

    def __enter__(self) -> Keyboard:
        if self.is_available:
            import termios
            import tty

            self._file = sys.stdin.fileno()
            self._settings = termios.tcgetattr(self._file)
            tty.setcbreak(self._file, termios.TCSADRAIN)  # keeps keys that were pressed already
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_available:
            import termios

            termios.tcsetattr(self._file, termios.TCSADRAIN, self._settings)

    def read(self, seconds: float) -> list[str]:
        """Names of the keys pressed within a time: "space", "tab", "q", "left", "right", "up", "down".

        The end of the input counts as "q".
        """
        ready, _, _ = select.select([self._file], [], [], seconds)
        if not ready:
            return []
        read = os.read(self._file, 256)
        if not read:
            return ["q"]
        data = self._pending + read
        unfinished = _UNFINISHED.search(data)
        self._pending = unfinished[0] if unfinished else b""
        complete = data[: len(data) - len(self._pending)]
        names = [
            _ARROWS[match[1]] if match[1] else _CHARACTERS.get(match[2] or b"", "")
            for match in _SEQUENCE.finditer(complete)
        ]
        return [name for name in names if name]
