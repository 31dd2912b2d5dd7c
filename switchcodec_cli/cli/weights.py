"""`swc weights`: what a weights file is, without loading torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import SwcError, WeightsError
from ..model.weights_registry import FORMAT, find_weights, packaged_weights, weights_folder
from .errors import describe, exit_code_of, one_line, print_error
from .options import Command, json_option
from .progress import size

EXAMPLES = (
    ("swc weights", "The weights that came with swc."),
    ("swc weights show", "Configuration and origin of the default weights."),
    ("swc weights verify my.safetensors", "Checks that a model can be built from this file."),
)


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file says about itself."""

    path: Path
    config: dict[str, Any]
    provenance: dict[str, Any]
    fingerprint: bytes
    parameters: int
    size: int
    """Bytes."""


def read_weights_file(path: Path) -> WeightsFile:
    """Read metadata and tensors, and compute the fingerprint that streams carry. Raises WeightsError."""
    from safetensors import SafetensorError, safe_open

    from ..model.config import ModelConfig

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsError(f"{path}: not SwitchCodec weights (format {metadata.get('format')!r})")
            config = ModelConfig.from_dict(json.loads(metadata["config"])).to_dict()
            provenance = json.loads(metadata.get("provenance", "{}"))
            # as `model.weights.fingerprint`, which has torch's names of types
            digest = hashlib.sha256(metadata["config"].encode())
            parameters = 0
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                digest.update(f"{name} torch.{tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.tobytes())
                parameters += tensor.size
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable weights file ({error})") from None
    return WeightsFile(path, config, provenance, digest.digest()[:16], parameters, path.stat().st_size)


@click.group("weights", invoke_without_command=True, short_help="Which weights there are, and what they are.")
@click.pass_context
def weights(context: click.Context) -> int | None:
    """List, show and check weights; without a command, list them.

    A .swc file can be decoded only with the weights it was made with; `swc info` shows their fingerprint.
    """
    if context.invoked_subcommand is None:
        return context.invoke(list_weights)
    return None


@weights.command("list", cls=Command, examples=EXAMPLES[:1])
@json_option
def list_weights(as_json: bool = False) -> int:
    """List the weights that came with swc."""
    found = packaged_weights()
    if not found:
        raise WeightsError(f"no weights in {weights_folder()}: the installation is incomplete")
    for name, path in found.items():
        file = read_weights_file(path)
        if as_json:
            click.echo(json.dumps({"name": name, **_record(file)}))
        else:
            click.echo(
                f"{name:<12} {file.config['backbone']}, {file.parameters / 1e6:.1f} M parameters, "
                f"{size(file.size)}, fingerprint {file.fingerprint.hex()[:12]}"
            )
    return 0


@weights.command("show", cls=Command, examples=EXAMPLES[1:2])
@click.argument("name", metavar="[NAME|PATH]", required=False)
@json_option
def show_weights(name: str | None, as_json: bool) -> int:
    """Show configuration, provenance, fingerprint and size of weights (the default ones)."""
    file = read_weights_file(find_weights(name))
    if as_json:
        click.echo(json.dumps(_record(file) | {"config": file.config, "provenance": file.provenance}))
        return 0
    click.echo(one_line(str(file.path)))
    click.echo(f"  fingerprint  {file.fingerprint.hex()}")
    click.echo(f"  size         {size(file.size)}, {file.parameters} parameters")
    click.echo("  configuration")
    _show(file.config, "    ")
    click.echo("  provenance")
    _show(file.provenance, "    ")
    return 0


@weights.command("verify", cls=Command, examples=EXAMPLES[2:])
@click.argument("names", metavar="[NAME|PATH]...", nargs=-1)
@click.option(
    "--fingerprint", metavar="HEX", help="The fingerprint, or its start, that the weights must have."
)
def verify_weights(names: tuple[str, ...], fingerprint: str | None) -> int:
    """Build the model from weights (the default ones) and check every tensor; slow, as it loads torch."""
    codes = []
    for name in names or (None,):
        try:
            path = find_weights(name)
            found = _verify(path)
            if fingerprint is not None and not found.startswith(fingerprint.lower()):
                raise WeightsError(f"{path}: the fingerprint is {found}, not {fingerprint}")
            click.echo(one_line(f"{path}: fine, fingerprint {found}"))
        except SwcError as error:
            codes.append(exit_code_of(error))
            print_error(describe(error))
    return codes[0] if codes else 0


def _verify(path: Path) -> str:
    """Check one file; returns its fingerprint. Raises WeightsError."""
    import torch

    from ..model.weights import load_weights

    model, fingerprint, _ = load_weights(path)
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} holds values that are not finite")
    return fingerprint.hex()


def _record(file: WeightsFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "fingerprint": file.fingerprint.hex(),
        "backbone": file.config["backbone"],
        "parameters": file.parameters,
        "bytes": file.size,
    }


def _show(values: Any, indent: str) -> None:
    """Nested values, one a line."""
    entries = values.items() if isinstance(values, dict) else enumerate(values, 1)
    for name, value in entries:
        if isinstance(value, (dict, list)) and value:
            click.echo(one_line_indented(indent, f"{name}"))
            _show(value, indent + "  ")
        else:
            click.echo(one_line_indented(indent, f"{name} = {value}"))
    if not values:
        click.echo(f"{indent}(none)")


def one_line_indented(indent: str, text: str) -> str:
    """One line that keeps its indentation."""
    return indent + one_line(text)
