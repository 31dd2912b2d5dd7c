"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and context.obj is not None:
        context.obj.debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show where in the program an error comes from.",
)
weights_option = click.option(
    "--weights",
    metavar="NAME|PATH",
    help="Weights that ship with swc, by name, or a weights file.  [default: default]",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Where to compute; auto takes a GPU if there is one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line per file.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print nothing but warnings and errors.")
force_option = click.option("--force", "-f", is_flag=True, help="Overwrite outputs that exist.")
channels_option = click.option(
    "--channels",
    type=click.Choice(["auto", "mono", "stereo"]),
    default="auto",
    show_default=True,
    help="auto keeps mono and stereo, and refuses more channels; the others mix down (or up).",
)
effort_option = click.option(
    "--effort",
    type=click.IntRange(0, 3),
    default=2,
    show_default=True,
    help="How hard to search for the best codes: 0 is fastest, 3 is best.",
)
phase_iterations_option = click.option(
    "--phase-iterations",
    type=click.IntRange(0, 1000),
    metavar="N",
    help="Rounds of the phase search: fewer are faster, more a little cleaner.  [default: of the weights]",
)


class Command(click.Command):
    """A command that ends its help with examples and takes --debug."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        debug_option(self)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples: a command, and what it does."""
        if self.examples:
            with formatter.section("Examples"):
                for command, meaning in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{command}\n")
                    with formatter.indentation():
                        formatter.write_text(meaning)
        super().format_epilog(context, formatter)


class Seconds(click.ParamType):
    """A time in seconds, or as MM:SS or HH:MM:SS."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        parts = str(value).split(":")
        try:
            seconds = 0.0
            for part in parts:
                number = float(part)
                if not (0 <= number < 1e9) or (len(parts) > 1 and part is not parts[0] and number >= 60):
                    raise ValueError
                seconds = 60 * seconds + number
            if len(parts) > 3:
                raise ValueError
        except ValueError:
            self.fail(f"{value!r} is not a time: write seconds (12.5), MM:SS or HH:MM:SS", param, context)
        return seconds
