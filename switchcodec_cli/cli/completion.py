"""`swc completion`."""

from __future__ import annotations

import click

from .options import Command

EXAMPLES = (
    (
        'eval "$(swc completion bash)"',
        "Completes commands and options in this shell; put it into ~/.bashrc to keep it.",
    ),
    ("swc completion fish > ~/.config/fish/completions/swc.fish", "The same for fish, for good."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="Shell completion.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that makes a shell complete the commands and options of swc."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(context.find_root().command, {}, "swc", "_SWC_COMPLETE").source())
    return 0
