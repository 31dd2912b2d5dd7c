"""`swc weights`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SwcError, WeightsError, one_line
from ..model.weights_registry import find_weights, packaged_weights, weights_folder
from .errors import Invocation, report
from .formatting import format_json, format_size
from .options import Command, json_option, version_option

if TYPE_CHECKING:
    from ..model.weights_info import WeightsInfo

EXAMPLES = (
    ("swc weights", "Lists the packaged weights."),
    ("swc weights show", "Shows the configuration and the origin of the default weights."),
    ("swc weights show my.safetensors --history", "Also shows every training run."),
    ("swc weights verify my.safetensors", "Checks that a model can be built from a file."),
)


@click.group("weights", invoke_without_command=True, short_help="List, show and check weights.")
@version_option
@click.pass_context
def weights(context: click.Context, /) -> int:
    """List, show and check weights. Without a command, list them.

    A .swc file can be decoded only with the weights it was encoded with; `swc info` shows their fingerprint.
    `swc decode` finds packaged weights by it. Encoding uses the weights `default` unless others are given.
    """
    if context.invoked_subcommand is None:
        print_weights_list(as_json=False)
    return 0


@weights.command("list", cls=Command, examples=EXAMPLES[:1])
@json_option
def list_weights(as_json: bool) -> int:
    """List the packaged weights."""
    print_weights_list(as_json)
    return 0


def print_weights_list(as_json: bool) -> None:
    """Print a line for all packaged weights. Raises WeightsError if there are none."""
    found = packaged_weights()
    if not found:
        raise WeightsError(f"no weights in {weights_folder()}: the installation is incomplete")
    for name, path in found.items():
        info = _read_info(path)
        if as_json:
            click.echo(format_json({"name": name, **_record(path, info)}))
        else:
            click.echo(
                f"{name:<12} {info.config.backbone}, {info.parameters / 1e6:.1f} M parameters, "
                f"{format_size(info.file_bytes)}, fingerprint {info.fingerprint.hex()[:12]}"
            )


@weights.command("show", cls=Command, examples=EXAMPLES[1:3], short_help="Show details of weights.")
@click.argument("name", metavar="[NAME|PATH]", required=False)
@click.option("--history", is_flag=True, help="Show the recipe and the data of every training run.")
@json_option
def show_weights(name: str | None, history: bool, as_json: bool) -> int:
    """Show the fingerprint, size, configuration and origin of weights; the default ones without NAME.

    The history of the training is summed up unless --history is given. JSON always contains all of it, with
    null for numbers that are not finite.
    """
    path = find_weights(name)
    info = _read_info(path)
    config, provenance = info.config.to_dict(), info.provenance
    if as_json:
        record = _record(path, info) | {"config": config, "provenance": _finite(provenance)}
        click.echo(format_json(record))
        return 0
    if not history and "history" in provenance:
        provenance = provenance | {"history": _history_summary(provenance["history"])}
    click.echo(one_line(str(path)))
    click.echo(f"  fingerprint  {info.fingerprint.hex()}")
    click.echo(f"  size         {format_size(info.file_bytes)}, {info.parameters / 1e6:.1f} M parameters")
    for title, values in (("configuration", config), ("provenance", provenance)):
        click.echo(f"  {title}")
        for line in _nested_lines(values, indent="    "):
            click.echo(line)
    return 0


@weights.command("verify", cls=Command, examples=EXAMPLES[3:], short_help="Check weights.")
@click.argument("names", metavar="[NAME|PATH]...", nargs=-1)
@click.option("--fingerprint", metavar="HEX", help="Expected fingerprint, or the start of it.")
@click.pass_obj
def verify_weights(invocation: Invocation, /, names: tuple[str, ...], fingerprint: str | None) -> int:
    """Check that models can be built from weights; from the default ones without NAME."""
    exit_codes = []
    for name in names or (None,):
        try:
            path = find_weights(name)
            found = _load(path)
            if fingerprint is not None and not found.startswith(fingerprint.lower()):
                raise WeightsError(f"{path}: the fingerprint is {found}, not {fingerprint}")
            click.echo(one_line(f"{path}: OK, fingerprint {found}"))
        except SwcError as error:
            exit_codes.append(report(error, invocation.debug))
    return exit_codes[0] if exit_codes else 0


def _read_info(path: Path) -> WeightsInfo:
    from ..model.weights_info import read_weights

    return read_weights(path).info


def _load(path: Path) -> str:
    """Build the model of a weights file and return its fingerprint. Raises WeightsError."""
    from ..model.weights import load_weights

    return load_weights(path).fingerprint.hex()


def _record(path: Path, info: WeightsInfo) -> dict[str, Any]:
    return {
        "path": str(path),
        "fingerprint": info.fingerprint.hex(),
        "backbone": info.config.backbone,
        "parameters": info.parameters,
        "bytes": info.file_bytes,
    }


def _history_summary(runs: object) -> str:
    """The number of training runs, and their steps and minutes if these are known."""
    if not isinstance(runs, list):
        return "unknown"
    parts = [f"{len(runs)} training run{'' if len(runs) == 1 else 's'}"]
    for name in ("steps", "minutes"):
        values = [run.get(name) for run in runs if isinstance(run, dict)]
        numbers = [value for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
        if numbers:
            parts.append(f"{sum(numbers):.0f} {name}")
    return ", ".join(parts) + " (--history shows them)"


def _finite(value: Any) -> Any:
    """A JSON value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nested_lines(values: dict[str, Any] | list[Any], indent: str) -> Iterator[str]:
    """Nested JSON values, one per line."""
    if not values:
        yield f"{indent}(none)"
    entries = values.items() if isinstance(values, dict) else enumerate(values, 1)
    for name, value in entries:
        if isinstance(value, (dict, list)) and value:
            yield indent + one_line(str(name))
            yield from _nested_lines(value, indent + "  ")
        else:
            yield indent + one_line(f"{name} = {value}")
