"""`swc train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import check_usage
from .options import Command

EXAMPLES = (
    ("swc train recordings/ --run runs/first --minutes 60", "An hour of training from nothing."),
    (
        "swc train recordings/ --run runs/more --minutes 60 --resume runs/first/weights.safetensors",
        "An hour more, from where the first ended.",
    ),
    ("swc train recordings/ --run runs/big --config recipe.toml --steps 400000 --device cuda", "A recipe."),
)


@click.command(cls=Command, examples=EXAMPLES, short_help="From a folder of audio to weights.")
@click.argument("data", metavar="DATA", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--run", metavar="DIR", type=click.Path(path_type=Path, readable=False), required=True,
    help="Folder for weights.safetensors and log.csv.",
)  # fmt: skip
@click.option("--config", metavar="TOML", type=click.Path(path_type=Path, readable=False), help="A recipe.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Train so long.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Train so many steps.")
@click.option("--resume", metavar="WEIGHTS", help="Go on from these weights (a name or a path).")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--cache", metavar="DIR", type=click.Path(path_type=Path, readable=False),
    help="Where decoded audio is kept.  [default: one in the user's cache folder, for each DATA]",
)  # fmt: skip
@click.option("--no-compile", is_flag=True, help="Do not compile the networks: slower steps, at once.")
@click.pass_context
def train(context: click.Context, data: Path, run: Path, **options: Any) -> int:
    """Train weights on a folder of audio.

    Folders directly below DATA named speech, music and sound are balanced as the recipe says. All audio is
    decoded once into a cache. The weights are written every ten minutes and at the end; Ctrl-C ends the
    run early and keeps them.
    """
    check_usage(options["minutes"] or options["steps"], "say how long: --minutes or --steps")
    check_usage(data.is_dir(), f"{data}: no such folder")
    check_usage(run.is_dir() or not run.exists(), f"{run}: is a file, not a folder")
    from ..training.config import read_config

    config = read_config(options["config"])

    from ..api import choose_device
    from ..model.weights import load_weights
    from ..model.weights_registry import find_weights
    from ..training.data import default_cache, prepare_pool
    from ..training.trainer import Trainer

    device = choose_device(options["device"])
    resume = None if options["resume"] is None else find_weights(options["resume"])
    sample_rate = config.model.sample_rate
    if resume is not None:
        sample_rate = load_weights(resume)[0].config.sample_rate
    cache = options["cache"] or default_cache(data, sample_rate)
    prepare_pool(data, cache, sample_rate, report=click.echo)
    trainer = Trainer(
        config,
        cache,
        run,
        device=str(device),
        seed=options["seed"],
        resume=resume,
        compiled=not options["no_compile"],
        report=click.echo,
    )
    parameters = sum(values.numel() for values in trainer.model.parameters())
    click.echo(
        f"{trainer.pool.hours:.2f} hours of audio, {parameters / 1e6:.1f} M parameters, on {device}; "
        f"log in {run / 'log.csv'}"
    )
    target = trainer.train(options["minutes"], options["steps"])
    click.echo(f"weights in {target} after {trainer.step} steps; log in {run / 'log.csv'}")
    return 0
