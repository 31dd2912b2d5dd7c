"""The command group `swc`: errors, signals, pipes and exit codes of all commands."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from ..errors import UsageError
from .completion import completion
from .decode import decode
from .encode import encode
from .errors import CLOSED_PIPE, TERMINATED, ClosedPipe, Interrupted, Invocation, report, silence_streams
from .evaluate import evaluate
from .info import info
from .listen_results import listen_results
from .options import debug_option, version_option
from .play import play
from .tokens import tokens
from .train import train
from .transcode import transcode
from .verify import verify
from .weights import weights

EXIT_CODES = (
    ("0", "success"),
    ("1", "some of several files failed, or an output could not be written"),
    ("2", "usage error, or an output exists already"),
    ("3", "invalid, damaged or truncated input"),
    ("4", "weights missing, invalid, or not those the stream was encoded with"),
    ("5", "device not available"),
    ("130", "interrupted by Ctrl-C; no partial output remains"),
    ("141", "the reader of standard output closed it"),
    ("143", "terminated by a signal; no partial output remains"),
)


class Application(click.Group):
    """A group whose commands return exit codes, and whose errors are printed in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; exits with its exit code, or returns it unless in standalone mode."""
        invocation = Invocation()
        try:
            code = super().main(
                args,
                prog_name or "swc",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                obj=invocation,
                **extra,
            )
            code = code or 0
            if code:
                silence_streams()
            elif sys.stdout is not None:
                sys.stdout.flush()
        except (ClosedPipe, BrokenPipeError):
            silence_streams()
            code = CLOSED_PIPE
        except (Interrupted, click.Abort) as error:
            interrupted = error if isinstance(error, Interrupted) else Interrupted()
            click.echo(interrupted.message, err=True)
            code = interrupted.exit_code
        except Exception as error:
            code = report(error, invocation.debug)
            silence_streams()
        if not standalone_mode:
            return code
        sys.exit(code)

    def invoke(self, context: click.Context) -> Any:
        """Run a command, hiding two exceptions for which click has a different treatment."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            raise ClosedPipe from None

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of the commands in the order in which they were added."""
        return list(self.commands)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


@click.group(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@version_option
@debug_option
@click.pass_context
def cli(context: click.Context, /) -> int:
    """A neural audio codec for speech, music and other sounds.

    `swc encode talk.wav` writes talk.swc, `swc decode talk.swc` writes talk.wav, and `swc info talk.swc`
    shows the contents of the file. The help of each command contains examples.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return UsageError.exit_code
    return 0


COMMANDS = (
    encode,
    decode,
    transcode,
    tokens,
    play,
    info,
    verify,
    weights,
    evaluate,
    listen_results,
    train,
    completion,
)
for command in COMMANDS:
    cli.add_command(command)


def _terminate(*_: object) -> NoReturn:
    raise Interrupted(TERMINATED)


def _install_signal_handlers() -> None:
    """Clean up on SIGTERM and SIGHUP, unless they are ignored, as nohup does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)


def _buffer_output() -> None:
    """Buffer standard output even with PYTHONUNBUFFERED, where writes to a pipe may be incomplete."""
    if sys.stdout is not None and isinstance(sys.stdout.buffer, io.RawIOBase):
        encoding = sys.stdout.encoding
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(sys.stdout.detach()), encoding, line_buffering=True)


def main() -> NoReturn:
    """Run `swc` with the arguments of the process, and exit."""
    _install_signal_handlers()
    _buffer_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(standalone_mode=False))
    except KeyboardInterrupt:  # before or after a command
        sys.exit(Interrupted().exit_code)
