"""Options that several commands share, and their types."""

from __future__ import annotations

from typing import Any

import click

from .errors import Invocation


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and isinstance(context.obj, Invocation):
        context.obj.debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
weights_option = click.option(
    "--weights",
    metavar="NAME|PATH",
    help="Name of packaged weights, or path of a weights file.  [default: default]",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Device to run on; auto uses a GPU if there is one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print only warnings and errors.")
force_option = click.option("--force", "-f", is_flag=True, help="Overwrite existing outputs.")
output_option = click.option(
    "-o",
    "--output",
    metavar="OUT|DIR",
    type=click.Path(allow_dash=True, readable=False),
    help="Output file or folder; - for standard output.",
)
preserve_time_option = click.option(
    "--preserve-time", is_flag=True, help="Give outputs the modification times of their inputs."
)
channels_option = click.option(
    "--channels",
    type=click.Choice(["auto", "mono", "stereo"]),
    default="auto",
    show_default=True,
    help="Channels to encode; auto keeps mono and stereo, and rejects more channels.",
)
effort_option = click.option(
    "--effort",
    type=click.IntRange(0, 3),
    metavar="N",
    default=2,
    show_default=True,
    help="Search effort, 0 (fastest) to 3 (best quality).",
)
phase_iterations_option = click.option(
    "--phase-iterations",
    type=click.IntRange(0, 1000),
    metavar="N",
    show_default="set by the weights",
    help="Iterations of phase reconstruction; fewer are faster, more improve quality slightly.",
)


class Command(click.Command):
    """A command with examples at the end of its help, and the option --debug."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        debug_option(self)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each a command line with its description."""
        if self.examples:
            with formatter.section("Examples"):
                for command, description in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{command}\n")
                    with formatter.indentation():
                        formatter.write_text(description)
        super().format_epilog(context, formatter)


def parse_time(value: str) -> float:
    """Convert a time in seconds, or as MM:SS or HH:MM:SS, to seconds. Raises click.BadParameter."""
    parts = value.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    is_valid = 1 <= len(numbers) <= 3 and all(0 <= number < 1e9 for number in numbers)
    if not is_valid or any(number >= 60 for number in numbers[1:]):
        raise click.BadParameter(f"{value!r} is not a time such as 12.5, 1:30 or 1:02:03")
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds
