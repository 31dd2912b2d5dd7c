"""`swc listen-results`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .formatting import format_json
from .options import Command, force_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..evaluation.listening_tests import ListeningResults, MushraResult

EXAMPLES = (
    ("swc listen-results *.json", "Prints means, intervals and tests over all listeners."),
    ("swc listen-results *.json --plot results.png", "Plots them as well."),
)


@click.command(
    "listen-results", cls=Command, examples=EXAMPLES, short_help="Combine results of listening tests."
)
@click.argument("files", metavar="JSON...", nargs=-1, required=True, type=click.Path(readable=False))
@click.option(
    "--plot",
    metavar="PNG|SVG|PDF",
    type=click.Path(readable=False),
    help="Plot the results into a file (needs switchcodec-cli[plot]).",
)
@force_option
@click.option("--json", "as_json", is_flag=True, help="Print all results as one JSON object.")
def listen_results(files: tuple[str, ...], plot: str | None, force: bool, as_json: bool) -> int:
    """Combine the results of several listeners in the blind tests of a page of `swc eval --html`.

    JSON are the files that the page saves. MUSHRA tests: means with 95 % intervals after the post-screening
    of ITU-R BS.1534-3. Preference tests: exact sign test. ABX tests: exact binomial test. A file that is not
    valid is an error, and nothing is combined.
    """
    from ..evaluation.listening_tests import combine_sessions, read_session

    if plot is not None:
        from ..report.figure_file import check_figure_path

        check_figure_path(plot, force)
    results = combine_sessions([read_session(file) for file in files])
    if as_json:
        click.echo(format_json(results.as_dict()))
    else:
        _print_results(results)
    if plot is not None:
        from ..report.listening_figure import plot_listening_results

        plot_listening_results(results, plot, force)
    return 0


def _print_results(results: ListeningResults) -> None:
    for abx in results.abx:
        click.echo(
            f"ABX, {abx.pair[0]} and {abx.pair[1]}: {abx.correct} of {abx.trials} correct "
            f"by {_count(abx.listeners)}, p = {abx.p_value:.4g}"
        )
    for each in results.preference:
        click.echo(
            f"Preference by {_count(each.listeners)}: {each.pair[0]} {each.first}, {each.pair[1]} "
            f"{each.second}, none {each.none}, p = {each.p_value:.4g}"
        )
    for mushra in results.mushra:
        for line in _mushra_lines(mushra):
            click.echo(line)


def _mushra_lines(result: MushraResult) -> Iterator[str]:
    yield f"MUSHRA by {_count(result.listeners)}, mean score with 95 % interval"
    width = max((len(condition.name) for condition in result.conditions), default=0)
    for condition in result.conditions:
        interval = condition.interval
        limits = f"  {interval.low:5.1f} … {interval.high:5.1f}" if condition.scores > 1 else ""
        yield f"  {condition.name:<{width}}  {condition.mean:5.1f}{limits}  ({condition.scores} scores)"
    for listener, reason in result.excluded.items():
        yield f"  excluded: {listener} {reason}"


def _count(listeners: int) -> str:
    return "1 listener" if listeners == 1 else f"{listeners} listeners"
