"""`swc play`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from math import log10
from typing import TYPE_CHECKING

import click

from ..atomic_io import PIPE
from ..errors import UsageError, one_line
from .errors import Invocation
from .jobs import damage_warnings
from .keyboard import Keyboard
from .options import (
    Command,
    device_option,
    parse_time,
    phase_iterations_option,
    quiet_option,
    weights_option,
)

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from ..bitstream import Header
    from ..playback import Player, Source, Status

EXAMPLES = (
    ("swc play talk.swc", "Plays while it decodes."),
    ("swc play talk.swc --start 1:30", "Begins after a minute and a half."),
    ("swc play talk.swc --compare talk.wav", "Tab switches between the stream and the original."),
    ("swc decode talk.swc - | aplay", "Plays without a sound device of PortAudio."),
)
_SHORT_SKIP, _LONG_SKIP = 5, 60  # seconds
_REFRESH_SECONDS = 0.05
_METER_WIDTH, _METER_RANGE = 24, 48  # characters, dB

_ACTIONS: dict[str, Callable[[Player], None]] = {
    "space": lambda player: player.toggle_pause(),
    "left": lambda player: player.skip(-_SHORT_SKIP),
    "right": lambda player: player.skip(_SHORT_SKIP),
    "down": lambda player: player.skip(-_LONG_SKIP),
    "up": lambda player: player.skip(_LONG_SKIP),
    "tab": lambda player: player.switch(),
    "q": lambda player: player.stop(),
}


@click.command(cls=Command, examples=EXAMPLES, short_help="Play .swc files.")
@click.argument("path", metavar="IN.swc", type=click.Path(readable=False))
@click.option(
    "--start",
    type=parse_time,
    metavar="TIME",
    default="0",
    help="Start position, as seconds, MM:SS or HH:MM:SS.",
)
@click.option(
    "--compare",
    metavar="ORIGINAL",
    type=click.Path(readable=False),
    help="Audio file to switch to and back with Tab, at the same position.",
)
@click.option(
    "--conceal",
    is_flag=True,
    help="Replace damaged windows by silence with fades instead of failing.",
)
@phase_iterations_option
@weights_option
@device_option
@quiet_option
@click.pass_obj
def play(
    invocation: Invocation,
    /,
    path: str,
    start: float,
    compare: str | None,
    conceal: bool,
    phase_iterations: int | None,
    weights: str | None,
    device: str,
    quiet: bool,
) -> int:
    """Play a .swc file while it is decoded.

    Space pauses and goes on. The left and right arrows go back and forward by 5 seconds, the down and up
    arrows by a minute, and q ends. With --compare, Tab switches to the original and back; it is resampled
    and mixed to the rate and the channels of the stream.

    Needs sounddevice (switchcodec-cli[play]) and PortAudio. Without a terminal there are no keys, and the
    file is played to its end.
    """
    from ..batch.files import open_input
    from ..bitstream import StreamReader
    from ..playback import AudioSource, Player, StreamSource, open_output

    if path == PIPE:
        raise UsageError("play reads files; play a pipe with: swc decode - - | aplay")
    with open_input(path) as file:
        reader = StreamReader(file)
        header, frames = reader.header, reader.total_samples
    first = round(start * header.original_rate)
    if frames is not None and first > frames:
        raise UsageError(f"the stream ends at {frames / header.original_rate:.3f} s, before {start:g} s")
    if compare is not None:
        _check_audio(compare)
    with ExitStack() as resources:
        pipe = f"swc decode {shlex.quote(path)} - | aplay (or ffplay -nodisp -autoexit -)"
        output = open_output(header.original_rate, header.channels, pipe)
        resources.enter_context(closing(output))

        from ..api import Codec

        codec = Codec.load(weights, device)
        stream = StreamSource(codec, path, header.original_rate, conceal, phase_iterations)
        sources: list[Source] = [stream]
        if compare is not None:
            sources.append(AudioSource(compare, header.original_rate, header.channels))
        player = Player(
            output,
            sources,
            sample_rate=header.original_rate,
            channels=header.channels,
            frames=frames,
            start=first,
        )
        names = [path] if compare is None else [path, compare]
        has_display = not quiet and sys.stderr is not None and sys.stderr.isatty()
        line = _Line(names, header, frames) if has_display else None
        _play(player, line)
    for warning in damage_warnings(path, list(stream.damage.values()), stream.truncated, "played"):
        click.echo(f"swc: {warning}", err=True)
    return 0


def _check_audio(path: str) -> None:
    """Check that a file to compare with can be read. Raises BadInputError."""
    from ..audio import AudioReader

    with AudioReader(path):
        pass


def _play(player: Player, line: _Line | None) -> None:
    """Run a player in a thread, and give it the keys that are pressed. Raises SwcError."""
    with Keyboard() as keyboard, ExitStack() as resources, ThreadPoolExecutor(1) as pool:
        live = None if line is None else resources.enter_context(_live())
        playing = pool.submit(player.run)
        try:
            while not playing.done():
                if keyboard.is_available:
                    for key in keyboard.read(_REFRESH_SECONDS):
                        _ACTIONS[key](player)
                else:
                    wait([playing], _REFRESH_SECONDS if live else None)
                if live is not None and line is not None:
                    live.update(line.text(player.status), refresh=True)
        except BaseException:
            player.stop()
            raise
        playing.result()


def _live() -> Live:
    """A line on standard error that changes."""
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(stderr=True), auto_refresh=False, transient=True)


class _Line:
    """The line that shows level and position.

    Args:
        names: Of the sources.
        header: Of the stream.
        frames: Length of the stream in samples, None if unknown.
    """

    def __init__(self, names: list[str], header: Header, frames: int | None) -> None:
        self._names = names
        self._total = "" if frames is None else f" / {_clock(frames / header.original_rate)}"

    def text(self, status: Status) -> Text:
        """The line for a status."""
        from rich.text import Text

        meters = " ".join(_meter(peak) for peak in status.peaks)
        state = "paused " if status.paused else ""
        name = one_line(self._names[status.selected])
        line = f"{_clock(status.position)}{self._total}  {meters}  {state}{name}"
        return Text(line, no_wrap=True, overflow="ellipsis")


def _clock(seconds: float) -> str:
    """1:02:03.4 or 2:03.4."""
    minutes, rest = divmod(int(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{rest // 10:02d}.{rest % 10}"


def _meter(peak: float) -> str:
    """A bar for a peak, and its level in dBFS."""
    level = 20 * log10(max(peak, 1e-5))
    filled = round(_METER_WIDTH * max(0.0, min(1.0, 1 + level / _METER_RANGE)))
    return f"{'█' * filled}{'·' * (_METER_WIDTH - filled)} {level:4.0f} dB"
