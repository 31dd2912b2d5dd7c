"""The group `swc`, and what holds for all its commands: errors, signals, pipes, exit codes."""

from __future__ import annotations

import io
import signal
import sys
from typing import Any, NoReturn

import click

from .. import __version__
from ..errors import UsageError
from .completion import completion
from .decode import decode
from .encode import encode
from .errors import CLOSED_PIPE, TERMINATED, ClosedPipe, Interrupted, Run, report, silence_streams
from .evaluate import evaluate
from .info import info
from .options import debug_option
from .train import train
from .verify import verify
from .weights import weights

EXIT_CODES = (
    ("0", "fine"),
    ("1", "some files failed, or an output could not be written"),
    ("2", "usage: the request makes no sense, or an output exists already"),
    ("3", "bad or damaged input"),
    ("4", "weights missing, or not those that a stream was made with"),
    ("5", "device not available"),
    ("130", "interrupted; 143 terminated (nothing is left half-written either way)"),
    ("141", "the reader of the output went away"),
)


class Application(click.Group):
    """A group whose commands return an exit code, or raise what becomes a line and an exit code."""

    def main(self, args=None, prog_name=None, complete_var=None, standalone_mode=True, **extra: Any) -> Any:
        run = Run()
        try:
            code = super().main(args, prog_name or "swc", complete_var, False, obj=run, **extra) or 0
            if code:
                silence_streams()  # what failed has been told
            elif sys.stdout is not None:
                sys.stdout.flush()
        except (ClosedPipe, BrokenPipeError):
            silence_streams()
            code = CLOSED_PIPE
        except (Interrupted, click.Abort) as error:
            code = getattr(error, "exit_code", Interrupted().exit_code)
            click.echo("swc: terminated" if code == TERMINATED else "swc: interrupted", err=True)
        except Exception as error:
            code = report(error, run.debug)
            silence_streams()
        if not standalone_mode:
            return code
        sys.exit(code)

    def invoke(self, context: click.Context) -> Any:
        # click has its own ideas of these two; both must keep the meaning they have here.
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            raise ClosedPipe from None

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)  # as added, not by alphabet

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


@click.group(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="swc", message="%(prog)s %(version)s")
@debug_option
@click.pass_context
def cli(context: click.Context) -> int | None:
    """Tiny self-describing files from speech, music and sound, and back.

    `swc encode talk.wav` writes talk.swc, `swc decode talk.swc` turns it into a WAV again, and
    `swc info talk.swc` tells where its bits went. Each command's own --help has more examples.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return UsageError.exit_code
    return None


for command in (encode, decode, info, verify, weights, evaluate, train, completion):
    cli.add_command(command)


def _terminate(*_: Any) -> NoReturn:
    raise Interrupted(TERMINATED)


def _buffer_output() -> None:
    """Undo PYTHONUNBUFFERED, under which a write to a pipe may stop half way without an error."""
    if sys.stdout is not None and isinstance(sys.stdout.buffer, io.RawIOBase):
        encoding = sys.stdout.encoding
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.detach()), encoding, line_buffering=True)


def main() -> NoReturn:
    """Run `swc` with the arguments of the process, and end the process."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # one that is ignored stays so: that is how nohup works
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)
    _buffer_output()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not end the program
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main()
    except KeyboardInterrupt:  # in the moments before or after a command
        sys.exit(Interrupted().exit_code)
