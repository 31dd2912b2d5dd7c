"""Options that several commands share, and their types."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .. import __version__
from ..atomic_io import PIPE
from ..batch.files import open_input
from ..batch.plan import Selection
from ..batch.shard import Shard
from ..errors import UsageError
from .errors import Invocation

Function = TypeVar("Function", bound=Callable[..., Any])


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
version_option = click.version_option(__version__, prog_name="swc", message="%(prog)s %(version)s")
weights_option = click.option(
    "--weights",
    metavar="NAME|PATH",
    help="Name of packaged weights, or path of a weights file.  "
    "[default: default; for decoding, the packaged weights that the stream was made with]",
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
update_option = click.option(
    "--update",
    "-u",
    is_flag=True,
    help="Make existing outputs again that are older than their input, damaged, or made with other settings.",
)
dry_run_option = click.option(
    "--dry-run", "-n", is_flag=True, help="Write nothing; print what would be done."
)
output_option = click.option(
    "-o",
    "--output",
    metavar="OUT|DIR",
    type=click.Path(allow_dash=True, readable=False),
    help="Output file or folder; - for standard output.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of files to process at the same time, each in a process of its own with one thread.  "
    "[default: as many as there are cores if that is faster, by the effort and the number and sizes of the "
    "files, else 1; with --ray as many as the cluster has room for]",
)


def parse_shard(value: str) -> Shard:
    """Convert I/N. Raises click.BadParameter."""
    try:
        return Shard.parse(value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


shard_option = click.option(
    "--shard",
    type=parse_shard,
    metavar="I/N",
    help="Process only part I, from 0 to N - 1, of N parts of the inputs. The path of a file below the given "
    "folder (or below --relative-to) decides, so that N processes share the work without communication.",
)
manifest_option = click.option(
    "--manifest",
    metavar="FILE.jsonl|FILE.parquet",
    type=click.Path(readable=False),
    help="Write a row for each recording: sizes, digests, length, rate, weights, or the error. With that of "
    "a former run, recordings whose row and output are unchanged are skipped without reading them, and "
    "others are processed. With --shard, {shard} in the name is replaced by I.",
)
ray_option = click.option(
    "--ray",
    "ray_address",
    metavar="auto|ADDRESS",
    help="Process files on a Ray cluster, one at a time on each core or share of a GPU; auto is the cluster "
    "that this machine belongs to (needs switchcodec-cli[ray]).",
)
preserve_time_option = click.option(
    "--preserve-time", is_flag=True, help="Give outputs the modification times of their inputs."
)
_SELECTION_OPTIONS = (
    click.option(
        "--relative-to",
        metavar="DIR",
        type=click.Path(readable=False),
        help="Keep the paths of inputs below DIR in the output folder.",
    ),
    click.option(
        "--exclude",
        metavar="GLOB",
        multiple=True,
        help="Leave out files and folders with this name, or with this path if it has a /; can be repeated.",
    ),
    click.option(
        "--files-from",
        metavar="FILE",
        type=click.Path(allow_dash=True, readable=False),
        help="Read the names of further inputs from FILE, one on each line; - for standard input.",
    ),
    click.option("-0", "--null", is_flag=True, help="Names in FILE end with a null character, not a line."),
    shard_option,
)


def selection_options(function: Function) -> Function:
    """Add the options that `parse_selection` takes to a command."""
    for option in reversed(_SELECTION_OPTIONS):
        function = option(function)
    return function


def parse_selection(
    *,
    inputs: Sequence[str],
    relative_to: str | None,
    exclude: Sequence[str],
    files_from: str | None,
    null: bool,
    shard: Shard | None,
) -> Selection:
    """Convert the values of the options. Raises SwcError."""
    if null and files_from is None:
        raise UsageError("-0 goes with --files-from")
    if files_from is None:
        if not inputs:
            raise UsageError("no inputs are given")
        return Selection(tuple(exclude), None, relative_to, shard)
    if files_from == PIPE and PIPE in inputs:
        raise UsageError("standard input cannot be both audio and a list of files")
    with open_input(files_from) as file:
        names = file.read().split(b"\0" if null else b"\n")
    listed = tuple(os.fsdecode(name) for name in names if name)
    return Selection(tuple(exclude), listed, relative_to, shard)


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
    """A command with examples at the end of its help, and the options --debug and --version."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        debug_option(self)
        version_option(self)

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
