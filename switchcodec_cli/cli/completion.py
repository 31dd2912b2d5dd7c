"""`swc completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .options import Command

EXAMPLES = (
    (
        'eval "$(swc completion bash)"',
        "Enables completion in the current shell; add it to ~/.bashrc to enable it permanently.",
    ),
    ("swc completion fish > ~/.config/fish/completions/swc.fish", "Enables completion in fish permanently."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str) -> int:
    """Print a script that enables completion of commands and options in a shell."""
    script = get_completion_class(shell)
    if script is None:
        raise click.BadParameter(f"completion for {shell} is not supported")
    click.echo(script(context.find_root().command, {}, "swc", "_SWC_COMPLETE").source())
    return 0
