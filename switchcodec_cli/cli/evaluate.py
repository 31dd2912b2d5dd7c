"""`swc eval`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ..batch.run import SOME_FAILED
from ..errors import UsageError
from .errors import check_usage
from .options import (
    Command,
    channels_option,
    device_option,
    effort_option,
    force_option,
    phase_iterations_option,
    quiet_option,
    weights_option,
)
from .progress import Progress

EXAMPLES = (
    ("swc eval speech.wav", "A table of rate against quality at four rates."),
    ("swc eval valid/ --kbps 1.78,2.67 --no-visqol --workers 2", "A tree, a mean for each of its folders."),
    ("swc eval valid/ --sweep --plot curves.png", "Every effort, an average rate, and a constant quality."),
    ("swc eval valid/ --plot curves.png --json > figures.json", "A picture, and every figure of every file."),
)
DEFAULT_RATES = "0.89,2.67,5.33,8"
OPTIONAL = ("pesq", "stoi", "visqol")


class Rates(click.ParamType):
    """Rates in kbps, separated by commas."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            rates = tuple(float(rate) for rate in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of rates such as {DEFAULT_RATES}", param, context)
        return rates


@click.command("eval", cls=Command, examples=EXAMPLES, short_help="Rate and quality, measured.")
@click.argument("references", metavar="REF...", nargs=-1, required=True, type=click.Path(readable=False))
@click.option(
    "--kbps", type=Rates(), default=DEFAULT_RATES, show_default=True, help="Rates, separated by commas."
)
@click.option(
    "--sweep",
    is_flag=True,
    help="Several curves: a constant rate at every effort, an average rate, and a constant quality.",
)
@effort_option
@click.option("--no-pesq", is_flag=True, help="Leave PESQ out.")
@click.option("--no-stoi", is_flag=True, help="Leave STOI out.")
@click.option("--no-visqol", is_flag=True, help="Leave ViSQOL out, the slowest.")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that measure."
)
@click.option("--plot", metavar="PNG|SVG|PDF", type=click.Path(readable=False), help="Draw the curves.")
@channels_option
@phase_iterations_option
@weights_option
@device_option
@force_option
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
@quiet_option
@click.pass_context
def evaluate(context: click.Context, references: tuple[str, ...], **options: Any) -> int:
    """Encode reference recordings at several rates, decode them, and measure what came back.

    REF are audio files and folders. Mel distance, STFT distance and SI-SDR are always measured; PESQ, STOI
    and ViSQOL where their packages are installed (switchcodec-cli[eval]).
    """
    from ..evaluation import available_metrics, plot_rate_quality, rate_quality, sweep_points

    wanted = [name for name in available_metrics() if not options.get(f"no_{name}", False)]
    plot, as_json = options["plot"], options["as_json"]
    if plot is not None:
        from ..report.routing_figure import check_plot

        check_plot(plot, options["force"])
    check_usage(all(rate > 0 for rate in options["kbps"]), "rates are positive numbers of kbps")
    missing = [name for name in OPTIONAL if name not in available_metrics()]

    from ..api import Codec
    from ..evaluation import Row

    codec = Codec.load(options["weights"], options["device"])
    with Progress("measuring", quiet=options["quiet"]) as progress:
        if missing:
            progress.say(f"not installed, so left out: {', '.join(missing)} (switchcodec-cli[eval])")
        progress.start("measuring", None)

        def on_row(row: Row, done: int, total: int) -> None:
            progress.advance(row.seconds)
            scores = " ".join(f"{name} {value:.3f}" for name, value in row.scores.items())
            curve = f"{row.curve}, {row.setting}: " if row.curve else ""
            progress.say(f"{done}/{total} {row.file}: {curve}{row.kbps:.3f} kbps, {scores}")

        effort, rates = options["effort"], options["kbps"]
        result = rate_quality(
            codec,
            references,
            sweep_points(rates, effort) if options["sweep"] else rates,
            metrics=wanted,
            channels=options["channels"],
            workers=options["workers"],
            encode_options={"effort": effort},
            decode_options={"phase_iterations": options["phase_iterations"]},
            on_row=on_row,
        )
        for error in result.errors.values():
            progress.error(error)
    if as_json:
        click.echo(json.dumps(result.as_dict(), allow_nan=False))
    elif result.rows:
        from rich.console import Console

        # where there is no terminal, nothing is to be cut off
        Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(result.table())
    if plot is not None and result.rows:
        plot_rate_quality(result, plot, options["force"])
    if result.errors:
        return SOME_FAILED if result.rows else UsageError.exit_code
    return 0
